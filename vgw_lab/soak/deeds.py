"""What a soak does to a node beside what drills do: others take what is its own, its disks fill, its file changes."""

from appliance import CommandFailed
from appliance.run_dir import RunDir
from vgw_lab.faults.fault import Order
from vgw_lab.faults.orders import lose
from vgw_lab.worlds.running import Lab

_SUPERVISOR = f"unix://{RunDir().supervisor_socket}"
_FILE = "/run/lab/gateway.yaml"
# The session of what goes on beside the node's own programs: the agent is a Python program like others.
_BESIDE = "/run/beside.pid"
_NO_MORE_BESIDE = f"kill -KILL -$(cat {_BESIDE}) || :; rm -f {_BESIDE}"
_HUNGRY_SECONDS, _FED_SECONDS = 0.4, 0.05
_OTHERS = 6
AGENT = f"supervisorctl -s {_SUPERVISOR} pid agent"
VRRP = f"cat {RunDir().vrrp_pid}"


def shell(lab: Lab, node: str, script: str, seconds: float = 30) -> None:
    """Run a script on a node to its end. Raises CommandFailed where it fails, ApplianceError where the node is off."""
    done = lab.node(node).run(["sh", "-ec", script], seconds)
    if done.returncode != 0:
        raise CommandFailed(f"{node}: {script}: {done.output}")


def script(text: str) -> Order:
    """The order that runs a script; `{lan}`, `{wan}` and `{sync}` stand for the node's interfaces there."""

    def order(lab: Lab, node: str) -> None:
        names = {bridge: lab.interface(node, bridge) for bridge in ("lan", "wan", "sync")}
        shell(lab, node, text.format(**names))

    return order


def program(name: str, how: str) -> Order:
    """The order that has supervisord send a signal to one of its programs."""

    def order(lab: Lab, node: str) -> None:
        argv = ["supervisorctl", "-s", _SUPERVISOR, "signal", how, name]
        done = lab.node(node).run(argv)
        if "ERROR" in done.output or done.returncode != 0:
            raise CommandFailed(f"{node}: supervisorctl signal {how} {name}: {done.output}")

    return order


def loses(bridge: str, rule: str = "", way: str = "ingress") -> Order:
    """The order that has a node lose what it hears from a bridge, or says to it (`egress`)."""

    def order(lab: Lab, node: str) -> None:
        lose(lab, node, bridge, rule, way)

    return order


def wire(bridge: str, *, there: bool) -> Order:
    """The order that takes a node's interface away, or makes it anew; a node that is off has it when it starts."""

    def order(lab: Lab, node: str) -> None:
        if not lab.node(node).on or _has(lab, node, bridge) == there:
            return
        lab.wire(node, bridge, there=there)

    return order


def _has(lab: Lab, node: str, bridge: str) -> bool:
    return lab.node(node).run(["ip", "link", "show", lab.interface(node, bridge)]).returncode == 0


def address_lost(bridge: str) -> Order:
    """The order that takes a node's own address on a network from it; a note on the node says where it was."""

    def order(lab: Lab, node: str) -> None:
        own, name = _own(lab, node, bridge), lab.interface(node, bridge)
        shell(lab, node, f"ip address del {own} dev {name}; echo {name} >/run/lost-{bridge}")

    return order


def address_back(bridge: str) -> Order:
    """The order that gives it back; a node that was off meanwhile has it."""

    def order(lab: Lab, node: str) -> None:
        own, note = _own(lab, node, bridge), f"/run/lost-{bridge}"
        has = f"[ ! -s {note} ] || ip -o -4 address | grep -qF ' {own} '"
        shell(lab, node, f"{has} || ip address add {own} dev $(cat {note}); rm -f {note}")

    return order


def _own(lab: Lab, node: str, bridge: str) -> str:
    wires = lab.topology.node(node).wires
    return next(str(wire.address) for wire in wires if wire.bridge == bridge)


def starve(pid: str) -> Order:
    """The order that lets the process whose number a command prints run for 50 ms of 450 alone."""
    hungry = (
        f"kill -STOP $pid && sleep {_HUNGRY_SECONDS} && kill -CONT $pid && sleep {_FED_SECONDS}"
    )

    def order(lab: Lab, node: str) -> None:
        shell(lab, node, f"pid=$({pid}); {_beside(f'while {hungry}; do :; done')}")

    return order


def feed(pid: str) -> Order:
    """The order that ends what `starve` began."""

    def order(lab: Lab, node: str) -> None:
        if lab.node(node).on:
            shell(lab, node, f"{_NO_MORE_BESIDE}; kill -CONT $({pid}) || :")

    return order


def busy(lab: Lab, node: str) -> None:
    """Others on the node want all of its processors."""
    shell(lab, node, _beside(" & ".join(["while :; do :; done"] * _OTHERS)))


def no_longer_busy(lab: Lab, node: str) -> None:
    """They end."""
    if lab.node(node).on:
        shell(lab, node, _NO_MORE_BESIDE)


def _beside(loop: str) -> str:
    """A script that has a loop go on in a session of its own, whose number is in a file."""
    return f'setsid sh -c "{loop}" </dev/null >/dev/null 2>&1 & echo $! >{_BESIDE}'


def hand_over(lab: Lab, node: str) -> None:
    """Ask a node to hand over. Raises CommandFailed where it refuses."""
    done = lab.node(node).run(["vgw", "switchover"])
    if done.returncode != 0:
        raise CommandFailed(f"{node}: vgw switchover: {done.output}")


def hand_back(lab: Lab, node: str) -> None:
    """The VGW to where a failback would bring it, for one that was handed over stays."""
    home = lab.topology.gateways[0].name
    if home not in lab.holders():
        hand_over(lab, lab.other(home))


def file(changed: str) -> Order:
    """The order that puts another file in the place of a node's, and has it taken up if it can be.

    `changed`: `another` (a port opened, a timer, a rule), `broken`, `other pair` (one that both nodes must have), `own`.
    """

    def order(lab: Lab, node: str) -> None:
        text = edited(lab.topology.text, changed)
        write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
        lab.node(node).run(["python3", "-c", write, _FILE, text])
        done = lab.node(node).run(["vgw", "apply"])
        # A broken one is refused: that is what it is for.
        if done.returncode != 0 and changed != "broken":
            raise CommandFailed(f"{node}: vgw apply: {done.output}")

    return order


def edited(text: str, how: str) -> str:
    """A gateway's file after somebody has edited it."""
    match how:
        case "another":
            rules = (
                "timeouts: {udp: 40}\nforward:\n  rules: [{action: drop, to: 198.51.100.0/24}]\n"
            )
            return text + rules
        case "broken":
            return text + "nat: [\n"
        case "other pair":
            return text.replace("virtual_router_id: 51", "virtual_router_id: 52")
        case _:
            return text
