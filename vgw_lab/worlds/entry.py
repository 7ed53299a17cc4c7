"""The way into namespaces that exist: finding the labs' processes, and running programs beside them.

Processes of a lab carry two tags in their environment: the lab's name, and the node's (or `world`).
The first process of each namespace is the one whose number inside is 1.
"""

import contextlib
import os
import re
import select
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from appliance import CommandFailed, system
from appliance.run_dir import RunDir

LAB_TAG = "VGW_LAB"
NODE_TAG = "VGW_LAB_NODE"
# The tag of the world's own processes, beside the names of its nodes.
WORLD = "world"
# For sh -c, where there is no pkill(1): $0 is the program, $1 the signal; with a $2, only those whose
# parent has the same name.
SIGNAL = """\
for place in /proc/[0-9]*; do
  read -r name <$place/comm && [ "$name" = "$0" ] || continue
  parent=$(sed 's/.*) . //; s/ .*//' $place/stat)
  [ -z "$2" ] || { read -r name </proc/$parent/comm && [ "$name" = "$0" ]; } || continue
  found="$found ${place#/proc/}"
done 2>/dev/null
[ -z "$found" ] || kill -$1 $found
"""
_NAMESPACES = ("user", "mnt", "net", "uts", "ipc", "pid")
_NSENTER = {"mnt": "mount"}
_CAP_SYS_ADMIN = 21
# Where each was last: its number here, and its birth.
_found: dict[tuple[str, str], tuple[int, str]] = {}
_NUMBERS = re.compile(rb"^NSpid:(.*)$", re.MULTILINE)
# Clocks that differ by more are those of two machines: an engine may be elsewhere.
_ONE_CLOCK_SECONDS = 1.0
_EXEC_TRIES, _EXEC_SECONDS = 10, 0.001
# A program that was started and goes on: what it prints is read as it comes.
Child = subprocess.Popen[str]
_SOURCE = Path(__file__).resolve().parents[2]
# Which nodes run another source tree than this one, for a pair of two versions: NODE=DIRECTORY,...
SOURCES = "VGW_LAB_SOURCES"


def option(lab: str) -> str:
    """What a command needs to mean this lab."""
    return "" if lab == "lab" else f" --name {lab}"


def off(lab: str, node: str) -> str:
    """What to say of a node that is off."""
    words = f"{option(lab)} {node}`"
    return f"{node}: the node is off; `vgw lab start{words} switches it on, `vgw lab logs{words} tells why"


def labs() -> list[str]:
    """The names of all labs of ours that are up."""
    found = {
        tags[LAB_TAG]
        for pid, level in _firsts()
        if level == 1 and LAB_TAG in (tags := _variables(pid))
    }
    return sorted(found)


@contextlib.contextmanager
def claimed(what: str) -> Iterator[bool]:
    """Whether nobody else of this user's had claimed this when the block began; then we have.

    An abstract socket (unix(7)) is gone with the process that holds it, however that ends.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
        try:
            claim.bind(f"\0vgw-lab-{os.geteuid()}-{what}")
        except OSError:
            yield False
        else:
            yield True


def find(lab: str) -> dict[str, int]:
    """The first process of the world and of each running node, by name; empty when nothing runs."""
    found = {}
    for pid, level in _firsts():
        tags = _variables(pid)
        node = tags.get(NODE_TAG, WORLD)
        if tags.get(LAB_TAG) == lab and level == (1 if node == WORLD else 2):
            found[node] = pid
    return found


def first(lab: str, place: str) -> int | None:
    """The first process of one node, or of the world; None when it does not run.

    It is asked for with all that is done there, so a place where it was found is looked at first.
    """
    pid, birth = _found.get((lab, place), (0, ""))
    if birth and _birth(pid) == birth:
        return pid
    found = find(lab).get(place)
    if found:
        _found[lab, place] = found, _birth(found)
    return found


def _birth(pid: int) -> str:
    """What tells a process from all others that ever had its number: when it began (proc_pid_stat(5)).

    Empty when it has ended.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # gone, maybe between opening and reading: ESRCH
        return ""
    words = stat.rpartition(")")[2].split()
    return words[19] if words and words[0] not in "XZ" else ""


def _firsts() -> Iterator[tuple[int, int]]:
    """Each process of ours that is the first of its process namespace, and how far below ours that is.

    A world is one level below, a node two. So a lab of the same name in a container of this machine is not
    ours. A lab is looked for many times a second: what most processes are is told by one link.
    """
    ours, here = os.geteuid(), os.readlink("/proc/self/ns/pid")
    for name in os.listdir("/proc"):  # noqa: PTH208 - as all of this, for its speed
        if not name.isdigit():
            continue
        try:
            if (
                os.readlink(f"/proc/{name}/ns/pid") == here
                or os.stat(f"/proc/{name}").st_uid != ours  # noqa: PTH116
            ):
                continue
            numbers = _numbers(name)
        except OSError:
            continue  # ended meanwhile, or not ours
        if numbers[-1:] == ["1"]:
            yield int(name), len(numbers) - 1


def text_of(pid: int | None, path: str) -> str:
    """The text of a file as a process sees it, by no program there. Raises OSError."""
    # /proc/net is the reader's own network; a process's is in its own directory (proc(5)).
    own = path.startswith("/proc/net/")
    place = f"/proc/{pid}{path.removeprefix('/proc')}" if own else f"/proc/{pid}/root{path}"
    return Path(place).read_text(encoding="utf-8")


def ended(pid: int, seconds: float) -> bool:
    """Whether a process has ended before so many seconds are over (pidfd_open(2))."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], seconds)[0])
    finally:
        os.close(process)


def _numbers(pid: int | str) -> list[str]:
    """A process's numbers, from our namespace down to its own (proc_pid_status(5)). Raises OSError."""
    with open(f"/proc/{pid}/status", "rb") as status:  # noqa: PTH123
        found = _NUMBERS.search(status.read())
    return found[1].decode().split() if found else []


def in_world(pid: int) -> int:
    """The number that the first process of a node, known here by this one, has in the node's world."""
    return int(_numbers(pid)[-2])


def _variables(pid: int) -> dict[str, str]:
    """A process's environment as it was started with; empty when it is gone or not ours to read."""
    for _ in range(_EXEC_TRIES):
        try:
            text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
            if text:
                return dict(word.split("=", 1) for word in text.split("\0") if "=" in word)
            # Empty for good once it has died, and for a moment while it becomes another program.
            Path(f"/proc/{pid}/exe").readlink()
        except OSError:
            break
        time.sleep(_EXEC_SECONDS)
    return {}


def may_make_namespaces() -> bool:
    """Whether this process may make namespaces without a user namespace around them."""
    found = re.search(
        r"^CapEff:\s*(\w+)", system.read(Path("/proc/self/status")) or "", re.MULTILINE
    )
    return bool(found and int(found[1], 16) >> _CAP_SYS_ADMIN & 1)


def sysctls(keys: Iterable[str]) -> dict[str, str]:
    """Those of these kernel settings that this kernel has."""
    values = {key: system.read(Path("/proc/sys", key.replace(".", "/"))) for key in keys}
    return {key: value.strip() for key, value in values.items() if value is not None}


def environment(lab: str, node: str) -> dict[str, str]:
    """What a program in the lab finds in its environment: ours, the tags, and the gateway's words.

    PATH leads to the programs that belong to the running Python, then to ours, then to the
    administrator's.
    """
    path = [
        str(Path(sys.executable).parent),
        os.environ.get("PATH", os.defpath),
        *system.ADMIN_PATHS,
    ]
    others = dict(word.split("=", 1) for word in os.environ.get(SOURCES, "").split(",") if word)
    source = [others.get(node), str(_SOURCE), os.environ.get("PYTHONPATH")]
    return {
        **os.environ,
        # `python -m` would else look in the directory where it stands, before all of these.
        **({"PYTHONSAFEPATH": "1"} if node in others else {}),
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": os.pathsep.join(filter(None, source)),
        LAB_TAG: lab,
        NODE_TAG: node,
        "VGW_NODE": node,
        "VGW_CONFIG": "/run/lab/gateway.yaml",
        "VGW_RUN_DIR": str(RunDir()),
    }


def prefix(pid: int) -> list[str]:
    """The nsenter(1) command that runs what follows in the namespaces of a process, where it stands.

    Only the namespaces that differ from ours are entered: the kernel refuses to enter the user
    namespace one is in (setns(2)).
    """
    flags = [
        f"--{_NSENTER.get(kind, kind)}"
        for kind in _NAMESPACES
        if os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    ]
    if "--user" in flags:
        flags.append("--preserve-credentials")
    here = Path.cwd()
    if not here.is_relative_to("/run") and not here.is_relative_to("/proc"):
        flags.append(f"--wdns={here}")
    return [system.program("nsenter"), "--target", str(pid), *flags, "--"]


def run(
    lab: str, node: str, pid: int, argv: Sequence[str], text: str | None = None, seconds: float = 30
) -> system.Result:
    """Run a program beside process `pid` to its end, whatever its exit code.

    Raises CommandFailed when it has not ended after `seconds`.
    """
    return complete(node, prefix(pid), argv, environment(lab, node), text, seconds)


def complete(
    node: str,
    way: Sequence[str],
    argv: Sequence[str],
    variables: Mapping[str, str],
    text: str | None = None,
    seconds: float = 30,
) -> system.Result:
    """Run a program to its end; `way` is the command that leads to its node.

    Raises CommandFailed when it has not ended after `seconds`.
    """
    try:
        done = subprocess.run(
            [*way, *argv],
            env=variables,
            input=text or "",
            capture_output=True,
            text=True,
            timeout=seconds,
            start_new_session=True,  # Ctrl-C is for us, who then decide
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{node}: {shlex.join(argv)}: no end after {seconds:g} s") from None
    return system.Result(done.returncode, done.stdout, done.stderr)


def popen(lab: str, node: str, pid: int, argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start a program beside process `pid`, with pipes to its input and output."""
    return begin([*prefix(pid), *argv], environment(lab, node))


def begin(argv: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start a program, with pipes to its input and output."""
    return subprocess.Popen(
        argv,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def first_lines(children: Mapping[str, Child]) -> Iterator[tuple[str, str]]:
    """The first line of each program, by its name and as soon as it is there; empty of one that ended."""
    waiting = {child.stdout: name for name, child in children.items() if child.stdout is not None}
    while waiting:
        for out in select.select(list(waiting), [], [])[0]:
            yield waiting.pop(out), out.readline().strip()


def ahead(clock: str) -> float:
    """How far a clock that was just told is ahead of ours; 0 for one of this machine."""
    found = float(clock) - time.monotonic()
    return found if abs(found) > _ONE_CLOCK_SECONDS else 0.0
