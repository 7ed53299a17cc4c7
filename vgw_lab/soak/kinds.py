"""The kinds of faults that a soak has: each with its sentence, how it begins and ends, and what it may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from vgw_lab import faults
from vgw_lab.faults.fault import Order, nothing, possible
from vgw_lab.faults.orders import cable, lose_nothing
from vgw_lab.soak.deeds import (
    AGENT,
    VRRP,
    address_back,
    address_lost,
    busy,
    feed,
    file,
    hand_back,
    hand_over,
    loses,
    no_longer_busy,
    program,
    script,
    starve,
    wire,
)
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab

_A_THIRD = "numgen random mod 100 < 33"
_TUNNEL = "ip link add tunnel type veth peer name far; ip link set far up; ip link set tunnel up;"
_GUARD = "table inet guard {{ chain f {{ type filter hook forward priority 0; policy drop; }}; }}"
_NO_RULES = (
    "ip rule flush; ip rule add pref 32766 lookup main; ip rule add pref 32767 lookup default"
)
_DELETE_VGW = "ip -o -4 address show dev {lan} | grep -oE '[0-9.]+\\.99/[0-9]+' | head -1 | xargs -I% ip address del % dev {lan}"
_ORDERED_ENDS = {
    "flows": "the kernel tells of each entry that it ends, to the peer too; what the machine does not speak in stays ended"
}
_ECHOES = {
    "leftover": "where the roles change meanwhile, half a million entries are told back and forth, and what is lost of "
    "their ends stays until its timer"
}
_UNTIL_IT_RUNS = {
    "held": "until keepalived runs again nobody takes the VGW off its node, and a busy machine takes its time"
}
_OLD_WORD = "what an agent that does not run told last is old, and health says how old"
_VRRP_ALONE = dict.fromkeys(
    ("two", "held"),
    "who hears no adverts in time takes over, and the other goes on: VRRP alone decides the role",
)


@dataclass(frozen=True)
class Kind:
    """One kind. `end` puts right what `begin` did, None where the pair does so itself.

    `causes`: expressions, one of which is in what a health says of an outage that it makes; none where any
    will do. `cuts`: the internet is away meanwhile. `forgets`: the node loses its connection table.
    `fenced`: it goes on to hold the VGW, and its kernel no longer answers for it, so nobody behind meets two.
    `known`: what it is known to break, by the kind of violation, with the reason. `ends`: the node may
    end itself, for whoever runs it to start it anew. `lacks`: why a lab cannot have it. `healthy`: how
    many seconds the pair may take to be well again.
    """

    sentence: str
    begin: Order
    end: Order | None = None
    causes: tuple[str, ...] = ()
    cuts: bool = False
    forgets: bool = False
    fenced: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    ends: bool = False
    lacks: Callable[[Lab], str | None] = possible
    healthy: float = HEALTHY_SECONDS


def _drill(name: str, *causes: str, sentence: str = "", **words: Any) -> Kind:
    """What a drill does to the MASTER, to either node; `words`: what else Kind has to be told."""
    drill = faults.fault(name)
    return Kind(
        f"{{node}}: {sentence or drill.what}",
        drill.inject,
        None if drill.mend is nothing else drill.mend,
        causes,
        cuts=drill.cuts,
        known={**drill.known, **words.pop("known", {})},
        lacks=drill.lacks,
        healthy=drill.healthy,
        **words,
    )


def _anew(bridge: str) -> Kind:
    return Kind(
        f"{{node}}: its {bridge.upper()} interface is deleted, and made anew under its old name",
        wire(bridge, there=False),
        wire(bridge, there=True),
        ("interface|lan|eth",),
        lacks=faults.fault("lan-anew").lacks,
    )


def _loses(sentence: str, bridge: str, rule: str = "", way: str = "ingress") -> Kind:
    known = _VRRP_ALONE if bridge == "lan" else {}
    return Kind(f"{{node}}: {sentence}", loses(bridge, rule, way), lose_nothing, known=known)


def _silent(kind: Kind) -> Kind:
    """One that keeps the agent from telling how it is now."""
    return replace(kind, known={**kind.known, "differs": _OLD_WORD})


def _starved(who: str, pid: str) -> Kind:
    return Kind(f"{{node}}: {who} runs for 50 ms of 450 alone", starve(pid), feed(pid))


def _taken(what: str, begin: str, end: str = "", *causes: str) -> Kind:
    """Others take what is the node's, by a script, and give it back by another, or the node takes it back."""
    return Kind(f"{{node}}: {what}", script(begin), script(end) if end else None, causes)


def _own_address(bridge: str) -> Kind:
    sentence = f"{{node}}: somebody deletes its own address on the {bridge.upper()}"
    begin, end = address_lost(bridge), address_back(bridge)
    return Kind(sentence, begin, end, ("own address|this node's address",))


def _file(changed: str, sentence: str) -> Kind:
    return Kind(f"{{node}}: {sentence}", file(changed), file("own"), lacks=_files_of_the_host)


def _files_of_the_host(lab: Lab) -> str | None:
    return None if lab.bridged else "the file of a container is the host's"


KINDS: dict[str, Kind] = {
    # A whole node.
    "power": _drill("power-off", "peer", forgets=True),
    "restart": _drill("clean-stop", "peer", forgets=True, sentence="it is stopped in order"),
    "kill all": _drill("kill-all", "peer", forgets=True),
    "freeze all": _silent(
        _drill(
            "freeze-node", "peer", "status", sentence="all its processes are frozen", fenced=True
        )
    ),
    "busy": Kind("{node}: others want its processors", busy, no_longer_busy),
    "switchover": Kind("{node}: it is asked to hand over", hand_over, hand_back),
    # A link.
    "lan cable": _drill("lan-down", "peer", "lan", "eth1"),
    "wan cable": _drill("wan-down", "wan", "eth0", "way out"),
    "sync cable": Kind(
        "{node}: its sync cable is pulled", cable("sync", "down"), cable("sync", "up")
    ),
    "lan anew": _anew("lan"),
    "wan anew": _anew("wan"),
    "sync anew": _anew("sync"),
    "lan parts": _drill("lan-partition"),
    "lan deaf": _loses("it hears no adverts", "lan", "ip protocol 112"),
    "lan mute": _loses("nobody hears its adverts", "lan", "ip protocol 112", "egress"),
    "lan loses": _loses("it loses a third of what the LAN says", "lan", _A_THIRD),
    "lan slow": _taken(
        "its LAN carries 64 kbit/s, up to 0.4 s late",
        "tc qdisc replace dev {lan} root tbf rate 64kbit burst 1600 latency 400ms",
        "tc qdisc del dev {lan} root || :",
    ),
    "sync loses": _loses("it loses a third of what the sync link says", "sync", _A_THIRD),
    "sync deaf": _loses("it hears nothing on the sync link", "sync"),
    "sync narrow": _taken(
        "its sync interface takes 1280 bytes",
        "ip link set {sync} mtu 1280",
        "ip link set {sync} mtu 1500",
    ),
    "wan black hole": _drill("wan-black-hole", "way out", "answers"),
    "internet dead": _drill("internet-dead"),
    # A program.
    "stop keepalived": _drill("stop-keepalived", "keepalived"),
    "kill keepalived": _drill("kill-keepalived", "keepalived", known=_UNTIL_IT_RUNS),
    "kill vrrp": _drill("kill-vrrp", "keepalived", known=_UNTIL_IT_RUNS),
    "freeze keepalived": _drill(
        "freeze-vrrp", "keepalived", sentence="keepalived's VRRP process is frozen", fenced=True
    ),
    "starve keepalived": replace(_starved("keepalived's VRRP process", VRRP), known=_VRRP_ALONE),
    "kill conntrackd": Kind("{node}: conntrackd is killed", program("conntrackd", "KILL")),
    "freeze conntrackd": Kind(
        "{node}: conntrackd is frozen", program("conntrackd", "STOP"), program("conntrackd", "CONT")
    ),
    "kill agent": Kind("{node}: the agent is killed", program("agent", "KILL")),
    "freeze agent": _silent(
        Kind(
            "{node}: the agent is frozen",
            program("agent", "STOP"),
            program("agent", "CONT"),
            ("agent",),
        )
    ),
    "starve agent": _silent(_starved("its agent", AGENT)),
    # What is its own.
    "lan address": _own_address("lan"),
    "wan address": _own_address("wan"),
    "sync address": _own_address("sync"),
    "vgw deleted": _taken("somebody deletes the VGW on it", _DELETE_VGW),
    "route stolen": _taken(
        "a tunnel's routes take what passes",
        f"{_TUNNEL} for half in 0.0.0.0/1 128.0.0.0/1; do ip route add $half dev tunnel; done",
        "ip link del tunnel || :",
        "route",
    ),
    "rule in front": _taken(
        "a routing rule in front of ours discards what comes from inside",
        "ip rule add pref 10 iif {lan} blackhole",
        "ip rule del pref 10 || :",
        "rule",
    ),
    "policy drop": _taken(
        "another table's policy drops what it forwards",
        f"nft '{_GUARD}'",
        "nft delete table inet guard || :",
        "filter of another program",
    ),
    "our table gone": _taken("somebody deletes our nft table", "nft delete table inet vgw"),
    "all rules gone": _taken("somebody flushes the ruleset", "nft flush ruleset"),
    "our routes gone": _taken("somebody flushes our routing rules", _NO_RULES),
    "flows gone": replace(
        _taken("somebody empties its connection table", "conntrack -F"), known=_ORDERED_ENDS
    ),
    "forwarding off": _taken(
        "somebody switches forwarding off", "echo 0 >/proc/sys/net/ipv4/conf/{lan}/forwarding"
    ),
    # A full one, and its file.
    "run directory full": _taken(
        "its run directory is full",
        "mount -o remount,size=1m /run; ! dd if=/dev/zero of=/run/full bs=4k 2>/dev/null",
        "rm -f /run/full; mount -o remount,size=64m /run",
    ),
    "table full": replace(_drill("table-full", "table"), known=_ECHOES),
    "another file": _file("another", "its file gets another rule and timer"),
    "broken file": _file("broken", "its file is broken"),
    "other pair's file": _file("other pair", "its file gets another virtual router id"),
}


def possible_in(lab: Lab) -> dict[str, Kind]:
    """The kinds that a lab can have."""
    return {name: kind for name, kind in KINDS.items() if kind.lacks(lab) is None}
