"""The kinds of faults that a soak has: each with its sentence, how it begins and ends, and what it may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance import CommandFailed
from appliance.run_dir import RunDir
from vgw_lab import faults
from vgw_lab.faults.fault import Order, nothing, possible
from vgw_lab.faults.orders import cable, lose, lose_nothing
from vgw_lab.worlds.running import HEALTHY_SECONDS, Lab

_SUPERVISOR = f"unix://{RunDir().supervisor_socket}"
_VRRP_ALONE = "nothing takes the VGW from a node whose keepalived does not run or hear"


@dataclass(frozen=True)
class Kind:
    """One kind. `end` puts right what `begin` did, None where the pair does so itself.

    `causes`: expressions, one of which is in what a health says of an outage that it makes; none where any
    will do. `cuts`: the internet is away meanwhile. `forgets`: the node loses its connection table.
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
    known: Mapping[str, str] = field(default_factory=dict)
    ends: bool = False
    lacks: Callable[[Lab], str | None] = possible
    healthy: float = HEALTHY_SECONDS


def _drill(name: str, *causes: str, sentence: str = "", forgets: bool = False) -> Kind:
    """What a drill does to the MASTER, to either node."""
    drill = faults.fault(name)
    return Kind(
        f"{{node}}: {sentence or drill.what}",
        drill.inject,
        None if drill.mend is nothing else drill.mend,
        causes,
        cuts=drill.cuts,
        forgets=forgets,
        known=drill.known,
        lacks=drill.lacks,
        healthy=drill.healthy,
    )


def _program(name: str, how: str) -> Order:
    """The order that has supervisord send a signal to one of its programs."""

    def order(lab: Lab, node: str) -> None:
        argv = ["supervisorctl", "-s", _SUPERVISOR, "signal", how, name]
        done = lab.node(node).run(argv)
        if "ERROR" in done.output or done.returncode != 0:
            raise CommandFailed(f"{node}: supervisorctl signal {how} {name}: {done.output}")

    return order


def _deaf(lab: Lab, node: str) -> None:
    lose(lab, node, "lan", "ip protocol 112")


def _hand_over(lab: Lab, node: str) -> None:
    done = lab.node(node).run(["vgw", "switchover"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: vgw switchover: {done.output}")


def _hand_back(lab: Lab, node: str) -> None:
    """The VGW to where a failback would bring it, for one that was handed over stays."""
    home = lab.topology.gateways[0].name
    if home not in lab.holders():
        _hand_over(lab, lab.other(home))


def _lossy_lan(lab: Lab, node: str) -> None:
    lose(lab, node, "lan", "numgen random mod 100 < 30")


KINDS: dict[str, Kind] = {
    "power": _drill("power-off", "peer", forgets=True),
    "restart": _drill("clean-stop", "peer", forgets=True, sentence="it is stopped in order"),
    "kill all": _drill("kill-all", "peer", forgets=True),
    "freeze all": _drill("freeze-node", "peer", "status", sentence="all its processes are frozen"),
    "lan cable": _drill("lan-down", "peer", "lan", "eth1"),
    "wan cable": _drill("wan-down", "wan", "eth0", "way out"),
    "sync cable": Kind(
        "{node}: its sync cable is pulled", cable("sync", "down"), cable("sync", "up")
    ),
    "lan anew": _drill("lan-anew", "eth1", "lan"),
    "lan parts": _drill("lan-partition"),
    "lan deaf": Kind(
        "{node}: it hears no adverts", _deaf, lose_nothing, known={"two": _VRRP_ALONE}
    ),
    "lan loses": Kind(
        "{node}: it loses a third of what the LAN says",
        _lossy_lan,
        lose_nothing,
        known={"two": _VRRP_ALONE},
    ),
    "wan black hole": _drill("wan-black-hole", "way out", "answers"),
    "internet dead": _drill("internet-dead"),
    "stop keepalived": _drill("stop-keepalived", "keepalived"),
    "kill keepalived": _drill("kill-keepalived", "keepalived"),
    "freeze keepalived": _drill(
        "freeze-vrrp", "keepalived", sentence="keepalived's VRRP process is frozen"
    ),
    "kill conntrackd": Kind("{node}: conntrackd is killed", _program("conntrackd", "KILL")),
    "kill agent": Kind("{node}: the agent is killed", _program("agent", "KILL")),
    "freeze agent": Kind(
        "{node}: the agent is frozen",
        _program("agent", "STOP"),
        _program("agent", "CONT"),
        ("agent",),
    ),
    "switchover": Kind("{node}: it is asked to hand over", _hand_over, _hand_back),
}


def possible_in(lab: Lab) -> dict[str, Kind]:
    """The kinds that a lab can have."""
    return {name: kind for name, kind in KINDS.items() if kind.lacks(lab) is None}
