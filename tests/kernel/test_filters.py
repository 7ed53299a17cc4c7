"""What others' filters do is judged as the kernel does it: on what they really write, and on rules made up at random."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance import converge
from appliance.config import gateway_file
from appliance.config.model import Interfaces
from appliance.drivers.nftables import Nftables
from appliance.filters import kernel
from appliance.filters.crossings import Passes, Subject, crossings
from appliance.filters.hindrances import hindrances
from appliance.planning.ruleset import FirstPackets
from appliance.planning.wanted import Names
from appliance.run_dir import RunDir
from appliance.vrrp import Role
from tests.kernel.behind import ICMP, TCP, UDP, Behind
from tests.kernel.conftest import Namespace
from tests.kernel.wanted import hold_addresses, plan_of
from tests.rulesets import RULESETS

Cases = dict[str, Path]
OURS = frozenset({("inet", Names().table)})
INTERFACES = Interfaces(lan="eth1", wan="eth0", sync="eth2")
RULESETS_AT_RANDOM = 150
KINDS = {"TCP": TCP, "UDP": UDP, "ping": ICMP}


def nft(script: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)


def lead(path: Path) -> None:
    """Be the MASTER of this file."""
    hold_addresses(Role.MASTER)
    converge.converge_fully(plan_of(path, Role.MASTER), RunDir())


def subject(path: Path) -> Subject:
    return Subject(gateway_file.parse(path.read_bytes()), "master", INTERFACES, Names())


def counted() -> FirstPackets:
    found = Nftables(Names().table, RunDir().ruleset_digests).first_packets()
    assert found
    return found


def test_what_sets_out_and_what_leaves_is_counted_once_a_flow(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        lead(cases["01-standard"])
        with Behind() as machine:
            assert counted() == FirstPackets(0, 0, 0, 0)
            assert machine.begins(TCP) and machine.begins(UDP)
            assert counted() == FirstPackets(0, 0, 2, 2)
            assert machine.begins(ICMP)
            assert counted() == FirstPackets(1, 1, 2, 2)
            for address in ("192.168.100.2", "203.0.113.99", "10.99.0.2", "192.168.100.77"):
                machine.begins(UDP, to=address)
            machine.begins(UDP, to="224.0.0.251")
            machine.begins(ICMP, ttl=1)
            assert counted() == FirstPackets(1, 1, 2, 2), "these have no business outside"
            nft("table ip other { chain f { type filter hook forward priority 0; policy drop; }\n}")
            assert machine.begins(TCP) == machine.begins(ICMP) == []
            assert counted() == FirstPackets(2, 1, 3, 2)

    namespace(body)


def test_what_our_own_rules_drop_or_the_path_is_too_narrow_for_does_not_set_out(
    namespace: Namespace, cases: Cases
) -> None:
    def body() -> None:
        subprocess.run(["ip", "link", "set", "eth0", "mtu", "1300"], check=True)
        lead(cases["01-standard"])
        with Behind() as machine:
            assert machine.begins(UDP, octets=1350) == []
            assert counted() == FirstPackets(0, 0, 0, 0)
        lead(cases["05-everything"])
        with Behind() as machine:
            assert machine.begins(UDP) == machine.begins(TCP, to="198.51.100.7") == []
            assert counted() == FirstPackets(0, 0, 0, 0)
            assert machine.begins(TCP) and machine.begins(ICMP)
            assert counted() == FirstPackets(1, 1, 1, 1)

    namespace(body)


def judged(what: Subject, passes: Passes) -> dict[str, bool | None]:
    """Of each kind of packet, whether it surely passes (True), surely not, or nobody can tell."""
    found: dict[str, bool | None] = {}
    for crossing in crossings(what):
        if crossing.passes is passes:
            met = hindrances([crossing], kernel.foreign_chains(OURS))
            found[crossing.of] = False if any(one.surely for one in met) else None if met else True
    return found


# How each program's rules come into the kernel, and what lets the traffic pass again.
RECORDED = {
    "ufw": ("iptables-nft-restore", "ufw.rules", {"TCP", "UDP"}),
    "ufw as nft lists it": ("nft -f -", "ufw.nft", {"TCP", "UDP"}),
    "ufw, mended": ("iptables-nft-restore", "ufw-mended.rules", set()),
    "ufw, legacy": ("iptables-legacy-restore", "ufw.rules", {"TCP", "UDP"}),
    "firewalld": ("nft -f -", "firewalld.nft", {"TCP", "UDP", "ping"}),
    "firewalld, mended": ("nft -f -", "firewalld-mended.nft", set()),
    "Docker": ("iptables-nft-restore", "docker.rules", {"TCP", "UDP", "ping"}),
    "Docker as nft lists it": ("nft -f -", "docker.nft", {"TCP", "UDP", "ping"}),
    "Docker, mended": ("iptables-nft-restore", "docker-mended.rules", set()),
    "Docker, legacy": ("iptables-legacy-restore", "docker.rules", {"TCP", "UDP", "ping"}),
    "Docker, legacy, mended": ("iptables-legacy-restore", "docker-mended.rules", set()),
}


def loads(program: str, script: str) -> bool:
    """Have a program load rules; whether it took them."""
    words = program.split()
    done = subprocess.run(words, input=script, text=True, capture_output=True, check=False)
    return done.returncode == 0


def needs(program: str) -> None:
    name = program.split(maxsplit=1)[0]
    if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip(f"{name} is not installed")
    if "legacy" in name and not Path("/proc/net/ip_tables_names").exists():
        pytest.skip("this kernel has no iptables-legacy (CONFIG_IP_NF_IPTABLES_LEGACY)")


@pytest.mark.parametrize("whose", RECORDED)
def test_what_known_programs_write_is_judged_as_the_kernel_does_it(
    namespace: Namespace, cases: Cases, whose: str
) -> None:
    program, file, dropped = RECORDED[whose]
    needs(program)

    def body() -> dict[str, tuple[bool | None, bool]]:
        lead(cases["01-standard"])
        assert loads(program, (RULESETS / file).read_text())
        verdicts = judged(subject(cases["01-standard"]), Passes.OUT)
        with Behind() as machine:
            return {
                name: (says, bool(machine.begins(KINDS[name]))) for name, says in verdicts.items()
            }

    expected = {name: [name not in dropped] * 2 for name in KINDS}
    assert namespace(body) == expected


# What a rule may ask for, and do: each word is drawn by itself.
NFT_TESTS = (
    *("", "", 'iifname "eth1"', 'iifname "eth0"', 'iifname "eth*"', 'iifname != "eth1"'),
    *('oifname "eth0"', 'oifname != "eth0"', 'iifname { "eth1", "lo" }', "meta nfproto ipv4"),
    *("ip saddr 192.168.100.0/24", "ip saddr 192.168.100.10", "ip saddr != 192.168.0.0/16"),
    *("ip saddr { 10.0.0.0/8, 192.168.96.0-192.168.103.255 }", "ip daddr 8.8.8.8", "ip daddr @far"),
    *("meta l4proto tcp", "meta l4proto { tcp, udp }", "meta l4proto != icmp", "ip protocol udp"),
    *("tcp dport 443", "udp dport { 53, 100-200 }", "tcp flags syn", "icmp type echo-request"),
    *("ct state new", "ct state established,related", "ct state { new, untracked }"),
    *("ct state != new", "ct status dnat", "ct direction original", "meta mark 0", "ip ttl > 1"),
)
NFT_DEEDS = (
    *("accept", "drop", "drop", "return", "counter", 'log prefix "seen "', "reject"),
    *("jump one", "goto one", "jump two", "meta mark set meta mark or 1", "meta mark set 0"),
    *("ct state vmap { new : jump two, established : accept }", 'iifname vmap { "eth1" : drop }'),
    *("meta l4proto vmap { tcp : accept, icmp : goto two }", "tcp dport vmap { 1-442 : drop }"),
)
IPTABLES_TESTS = (
    *("", "", "-i eth1", "-i eth0", "-i eth+", "! -i eth1", "-o eth0", "! -o eth0", "-o eth+"),
    *("-s 192.168.100.0/24", "! -s 192.168.100.0/24", "-s 192.168.100.10", "-d 8.8.8.8"),
    *(
        "-p tcp",
        "! -p udp",
        "-p icmp",
        "-p icmp -m icmp --icmp-type 8",
        "-p tcp -m tcp --dport 443",
    ),
    *("-m conntrack --ctstate NEW", "-m conntrack ! --ctstate NEW", "-m comment --comment x"),
    *(
        "-m conntrack --ctstate RELATED,ESTABLISHED",
        "-m limit --limit 1/day --limit-burst 100",
        "-f",
    ),
)
IPTABLES_DEEDS = (
    *("-j ACCEPT", "-j DROP", "-j DROP", "-j RETURN", "-j one", "-g one", "-j two", "", "-j LOG"),
)
OF_FILTER = ("-j REJECT",)
OF_MANGLE = ("-j TOS --set-tos 0", "-j MARK --set-mark 0", "-j MARK --or-mark 1")


def nft_table(chance: random.Random) -> str:
    """A table with a base chain, and two that it may call."""
    hook = chance.choice(("prerouting", "forward", "forward", "postrouting"))
    priority, policy = (
        chance.choice((-310, -160, -10, 0, 20, 150)),
        chance.choice(("accept", "drop")),
    )

    def rules(*, last: bool, base: bool) -> str:
        lines = []
        for _ in range(chance.randint(0, 4)):
            tests = [chance.choice(NFT_TESTS) for _ in range(chance.randint(0, 2))]
            deed = chance.choice(NFT_DEEDS)
            if (last and ("one" in deed or "two" in deed)) or (not base and "one" in deed):
                deed = "accept"
            if hook == "prerouting":
                tests = [one for one in tests if "oifname" not in one]
            deed = deed if hook == "forward" else deed.replace("reject", "drop")
            lines.append(" ".join([*tests, deed]))
        return "\n".join(lines)

    return (
        f"table inet other {{\nset far {{ type ipv4_addr; flags interval; elements = {{ 8.0.0.0/8 }}\n}}\n"
        f"chain two {{\n{rules(last=True, base=False)}\n}}\n"
        f"chain one {{\n{rules(last=False, base=False)}\n}}\n"
        f"chain base {{\ntype filter hook {hook} priority {priority}; policy {policy};\n"
        f"{rules(last=False, base=True)}\n}}\n}}\n"
    )


def iptables_table(chance: random.Random) -> str:
    """The same for iptables: its table filter, or mangle."""
    chain = chance.choice(("FORWARD", "FORWARD", "PREROUTING", "POSTROUTING"))
    table, more = ("filter", OF_FILTER) if chain == "FORWARD" else ("mangle", OF_MANGLE)
    lines = [f"*{table}", f":{chain} {chance.choice(('ACCEPT', 'DROP'))} [0:0]"]
    lines += [":one - [0:0]", ":two - [0:0]"]
    unaskable = {"PREROUTING": "-o ", "POSTROUTING": "-i "}.get(chain, "no such word")
    for owner in (chain, "one", "two"):
        called = {chain: ("one", "two"), "one": ("two",), "two": ()}[owner]
        deeds = [
            one
            for one in (*IPTABLES_DEEDS, *more)
            if not one.endswith(("one", "two")) or one.endswith(called)
        ]
        tests = [one for one in IPTABLES_TESTS if unaskable not in one]
        for _ in range(chance.randint(0, 4)):
            lines.append(f"-A {owner} {chance.choice(tests)} {chance.choice(deeds)}")
    return "\n".join([*lines, "COMMIT", ""])


PROGRAMS = ("nft -f -", "iptables-nft-restore", "iptables-legacy-restore")


@pytest.mark.parametrize("passes", [Passes.OUT, Passes.BACK])
@pytest.mark.parametrize("program", PROGRAMS)
def test_whatever_rules_there_are_what_is_sure_is_so(
    namespace: Namespace, cases: Cases, program: str, passes: Passes
) -> None:
    needs(program)
    seed = random.SystemRandom().randrange(2**32)

    def body() -> list[int]:
        chance, said = random.Random(seed), list[bool | None]()
        lead(cases["01-standard"])
        what = subject(cases["01-standard"])
        with Behind() as machine:
            for number in range(RULESETS_AT_RANDOM):
                script = nft_table(chance) if program.startswith("nft") else iptables_table(chance)
                for kind in KINDS.values() if passes is Passes.BACK else ():
                    assert machine.begins(kind)
                if not loads(program, script):
                    continue
                for name, says in judged(what, passes).items():
                    so = comes_through(machine, KINDS[name], passes)
                    told = f"seed {seed}, number {number}, {name}: said {says}, and it is {so}"
                    assert says in (None, so), f"{told}\n{script}"
                    said.append(says)
                away(program, script)
        return [len(said), said.count(None)]

    judgements, unsure = namespace(body)
    assert judgements > RULESETS_AT_RANDOM, "the program refused nearly all"
    assert judgements > 3 * unsure, "who can tell little proves little"


def comes_through(machine: Behind, kind: int, passes: Passes) -> bool:
    """Whether such a packet passes the gateway."""
    return bool(machine.begins(kind) if passes is Passes.OUT else machine.gets_an_answer(kind))


def away(program: str, script: str) -> None:
    """Take a made-up ruleset away."""
    if program.startswith("nft"):
        nft("delete table inet other")
        return
    table = script.partition("\n")[0][1:]
    built_in = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "mangle": ("PREROUTING", "POSTROUTING")}[
        table
    ]
    policies = "\n".join(f":{one} ACCEPT [0:0]" for one in built_in)
    assert loads(program, f"*{table}\n{policies}\nCOMMIT\n")
