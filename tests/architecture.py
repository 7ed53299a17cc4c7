"""The rules for the shape of the source: who may import whom, what stays pure, what stays small.

A new package needs one line in PRODUCT_ORDER or LAB_ORDER; a new module in a package needs nothing.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.sizes import size_problems

ROOT = Path(__file__).parent.parent
PRODUCT, LAB = "appliance", "vgw_lab"

# The product's packages and single modules, low to high: each imports what stands before it.
PRODUCT_ORDER = {
    "__init__": "the version, and the errors with their exit codes",
    "bulkhead": "what goes wrong in one step is told, and the next goes on",
    "vrrp": "the protocol's arithmetic",
    "netlink": "the messages that the kernel is spoken to in",
    "netlink_door": "a question to the kernel in such messages, and the whole answer",
    "addresses": "what an address is, and of which family",
    "rtnetlink": "links, addresses, routes, routing rules and neighbours, as the kernel tells them",
    "nfnetlink": "nftables' chains, rules and sets, as the kernel tells them",
    "system": "the one door to programs, files and the clock",
    "run_dir": "the name of every file that a node keeps",
    "config": "the file, or all its errors",
    "planning": "the whole wanted machine, as data",
    "status": "what a node tells of itself",
    "control": "what a command asks of the agent that runs",
    "processes": "supervisord and its programs",
    "wires": "what is heard and said on the networks",
    "conntrack": "the kernel's connection table, and conntrackd",
    "drivers": "diff and apply, a kind of object each",
    "converge": "the machine against the plan",
    "filters": "what other programs' filters do with what passes",
    "site": "what this machine is",
    "pair": "the two nodes: beats, judgement, replicas",
    "agent": "the loop that decides the role and keeps the plan",
    "commands": "what an operator types",
    "__main__": "`vgw`: how a command begins and ends",
}
# The lab's, low to high; above all of the product but its commands.
LAB_ORDER = {
    "__init__": "how long a drill looks on",
    "simulation": "the judgement of both nodes in a world of its own, without time and machines",
    "instruments": "programs that measure inside a node, each from its source alone",
    "worlds": "the machines of a lab: namespaces, containers, somebody's own pair",
    "measures": "what is looked at: tables, invariants, packets outside",
    "faults": "what goes wrong on purpose, and how it is put right",
    "drills": "one fault under flows, and its verdict",
    "soak": "faults at random, and the shortest story of what broke",
    "reports": "verdicts as tables, drawings and a page",
    "bench": "the pair beside other people's recipes",
    "commands": "`vgw lab`, `vgw drill` and `vgw demo`",
}
# What the lab may import of the product: words, not deeds.
LAB_KNOWS = frozenset({"__init__", "config", "run_dir", "status", "system", "vrrp"})
# What a part of the lab runs of it beside those: the judgement itself, with its words.
LAB_RUNS = {
    "simulation": frozenset(
        {"addresses", "agent", "bulkhead", "commands", "conntrack", "pair", "wires"}
    ),
}

# Each runs from its source alone, on a machine that has nothing but Python.
INSTRUMENTS = "vgw_lab.instruments"

# No effect, no clock, no file: a package stands for all modules in it.
PURE = (
    "appliance.vrrp",
    "appliance.netlink",
    "appliance.addresses",
    "appliance.config",
    "appliance.planning",
    "appliance.status.node_status",
    "appliance.status.typed_json",
    "appliance.status.health",
    "appliance.status.rows",
    "appliance.status.metrics",
    "appliance.control.words",
    "appliance.conntrack.ctnetlink",
    "appliance.conntrack.orders",
    "appliance.conntrack.passing",
    "appliance.conntrack.permissions",
    "appliance.run_dir",
    *(f"appliance.agent.{one}" for one in ("claimants", "networks", "roles", "room", "upkeep")),
    "appliance.commands.plan_text",
    "appliance.filters.crossings",
    "appliance.filters.extensions",
    "appliance.filters.hindrances",
    "appliance.filters.legacy_rules",
    "appliance.filters.nft_rules",
    "appliance.filters.packets",
    "appliance.filters.leaving",
    "appliance.filters.verdicts",
    "appliance.filters.whose",
    "appliance.site.locate",
    "appliance.site.way_out",
    "appliance.site.preflight",
    "appliance.processes.deaths",
    "appliance.pair.beat",
    "appliance.pair.canaries",
    "appliance.pair.changed",
    "appliance.pair.contest",
    "appliance.pair.deeds",
    "appliance.pair.degraded",
    "appliance.pair.election",
    "appliance.pair.facts",
    "appliance.pair.judgement",
    "appliance.pair.mac_frames",
    "appliance.pair.peer",
    "appliance.pair.progress",
    "appliance.pair.readiness",
    "appliance.pair.replication",
    "appliance.pair.replication_master",
    "appliance.pair.replication_standby",
    "appliance.pair.replication_state",
    "appliance.pair.resync",
    "appliance.pair.standstill",
    "appliance.pair.steps",
    "appliance.pair.sync_path",
    "appliance.pair.terms",
    "appliance.pair.turn",
)

# What a pure module has no business with: the clock, the machine, other processes, the network.
EFFECTS = {
    "asyncio",
    "concurrent",
    "ctypes",
    "fcntl",
    "glob",
    "http",
    "io",
    "iptc",
    "multiprocessing",
    "os",
    "random",
    "secrets",
    "select",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
}
EFFECTFUL_CALLS = {"open", "input", "print", "exec", "eval"}

# Packages that one module knows, and the few others that may, each with its reason; a package stands for its modules.
DOORS = {
    "ipaddress": {
        "appliance.addresses": "says what an address is; a second family begins there",
        "vgw_lab": "has networks of its own",
    },
    "subprocess": {
        "appliance.system": "the one door to programs",
        "appliance.processes.supervise": "starts supervisord and turns its end into an exit code",
        "vgw_lab.bench.gateway": "is a node's first process, and keeps the daemons of its set-up",
        "vgw_lab.worlds.entry": "starts programs inside a world that runs already",
        "vgw_lab.worlds.nodes": "starts programs on a machine of the lab and lets them run",
        "vgw_lab.worlds.world": "starts a process tree of its own and talks to it while it lives",
    },
    "docker": {"vgw_lab.worlds.engine": "the one door to the container engine"},
    "yaml": {
        "appliance.config.places": "the one reader of a gateway's file",
        "vgw_lab.worlds.compose": "writes what is laid over compose's files",
    },
    "matplotlib": {
        "vgw_lab.bench.plots": "draws; an extra that only a report needs",
        "vgw_lab.reports.drawing": "gives all drawings one look",
        "vgw_lab.reports.drill_plots": "draws the course of drills, for their report",
    },
    "importlib": {
        "appliance.commands.lab_door": "finds the lab where there is one, when it is asked for",
    },
}

# A file is cut where its subject divides. It should be looked at from LONG_LINES on; MAX_LINES is the end.
LONG_LINES, MAX_LINES = 300, 400
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}

# No address of a package index, and no path that only one machine has, in any tracked file.
FOREIGN = re.compile(
    r"py[p]i\.org|python[h]osted\.org|/[s]imple/[a-z]|/[h]ome/[a-z]\w*/|/[U]sers/[A-Za-z]|(?<![\w})\]])/[r]oot/[.\w]"
)


def imports(module: str, source: str, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Everything a module imports, anywhere in it, with the line: ours in full, others as ":os"."""
    package = module.split(".")[:-1] if module not in packages(known) else module.split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in (PRODUCT, LAB):
                yield f":{name.partition('.')[0]}", node.lineno
                continue
            yield module_in(name, known), node.lineno


def module_in(name: str, known: frozenset[str]) -> str:
    """The module that a dotted name leads to: its last part may be a name inside one."""
    while "." in name and name not in known:
        name = name.rpartition(".")[0]
    return name


def packages(known: frozenset[str]) -> frozenset[str]:
    """Of these modules, the ones that hold others."""
    return frozenset(name.rpartition(".")[0] for name in known) & known


def room(module: str) -> str:
    """The entry of PRODUCT_ORDER or LAB_ORDER that a module falls under."""
    return module.split(".")[1] if "." in module else "__init__"


def import_problems(sources: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with who imports whom: a sentence each."""
    known = frozenset(sources)
    arrows: dict[str, set[str]] = {}
    for module, source in sources.items():
        order = PRODUCT_ORDER if module.partition(".")[0] == PRODUCT else LAB_ORDER
        if room(module) not in order:
            yield (
                f"{module}: no place; add {room(module)} to the order in tests/architecture.py, "
                "above everything it imports"
            )
            continue
        for target, line in imports(module, source, known):
            where = f"{module}:{line}"
            if is_instrument(module) and target[1:] not in sys.stdlib_module_names:
                yield f"{where}: imports {target.removeprefix(':')}; an instrument runs from its source alone"
            elif target.startswith(":"):
                yield from door_problems(module, where, target[1:])
            elif problem := direction_problem(module, target):
                yield f"{where}: imports {target}{problem}"
            elif target != module:
                arrows.setdefault(module, set()).add(target)
    if circle := first_circle(arrows):
        yield f"{circle[0]}: imports itself by way of {' and '.join(circle[1:])}"


def direction_problem(module: str, target: str) -> str | None:
    """Why a module of ours may not import another; None if it may."""
    here, there = module.partition(".")[0], target.partition(".")[0]
    if here == PRODUCT and there == LAB:
        return "; the product runs without the lab"
    if here == LAB and there == PRODUCT:
        may = LAB_KNOWS | LAB_RUNS.get(room(module), frozenset())
        known = ", ".join(sorted(may))
        return None if room(target) in may else f"; the lab knows of the product {known}"
    order = list(PRODUCT_ORDER if here == PRODUCT else LAB_ORDER)
    if room(target) in order and order.index(room(target)) > order.index(room(module)):
        return f"; {room(target)} stands above {room(module)} in the order"
    if is_pure(module) and target == f"{PRODUCT}.system":
        return "; a pure module takes what it needs as an argument"
    return None


def layers() -> str:
    """Both orders as docs/design.md shows them, high to low: what each is, and what in it is pure."""
    lines = []
    for top, order in ((LAB, LAB_ORDER), (PRODUCT, PRODUCT_ORDER)):
        lines.append(f"{top}/")
        for name, what in reversed(order.items()):
            full = top if name == "__init__" else f"{top}.{name}"
            parts = sorted(pure.rpartition(".")[2] for pure in PURE if pure.startswith(f"{full}."))
            pure = ""
            if full in PURE or full == PRODUCT:
                pure = " (pure)"
            elif parts and full != PRODUCT:
                pure = f" (pure: {', '.join(parts)})"
            lines.append(f"  {name:<12} {what}{pure}")
    return "".join(f"{line}\n" for line in lines)


def first_circle(arrows: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Modules that import each other in a circle; empty where none do."""
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> tuple[str, ...]:
        if module in way:
            return way[way.index(module) :]
        if module in done:
            return ()
        for target in sorted(arrows.get(module, ())):
            if circle := walk(target, (*way, module)):
                return circle
        done.add(module)
        return ()

    return next((circle for module in sorted(arrows) if (circle := walk(module, ()))), ())


def is_pure(module: str) -> bool:
    """Whether a module is declared pure."""
    return module == PRODUCT or within(module, PURE)


def within(module: str, names: Iterable[str]) -> bool:
    """Whether a module is one of these, or lies in a package that is."""
    return any(f"{module}.".startswith(f"{name}.") for name in names)


def is_instrument(module: str) -> bool:
    """Whether a module is an instrument of the lab."""
    return module.startswith(f"{INSTRUMENTS}.")


def door_problems(module: str, where: str, package: str) -> Iterator[str]:
    """What is wrong with importing a package that is not ours."""
    if package in DOORS and not within(module, DOORS[package]):
        doors = ", ".join(DOORS[package]) or "no module"
        yield f"{where}: imports {package}; {doors} may (DOORS names each with its reason)"
    elif is_pure(module) and package in EFFECTS:
        yield f"{where}: imports {package}; a pure module has no effects and asks no clock"


def call_problems(module: str, source: str) -> Iterator[str]:
    """Effects that need no import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if is_pure(module) and name in EFFECTFUL_CALLS:
                yield f"{module}:{node.lineno}: calls {name}(); a pure module has no effects"
            if name == "__import__":
                yield f"{module}:{node.lineno}: calls __import__(), which hides what is imported"


def docstring_problems(module: str, source: str) -> Iterator[str]:
    """Public modules, classes and functions that do not say what they are."""
    tree = ast.parse(source)
    if not ast.get_docstring(tree):
        yield f"{module}: the module has no docstring"
    places: list[tuple[str, ast.Module | ast.ClassDef]] = [(module, tree)]
    while places:
        name, place = places.pop()
        for node in place.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                yield f"{name}.{node.name} (line {node.lineno}): no docstring"
            if isinstance(node, ast.ClassDef):
                places.append((f"{name}.{node.name}", node))


def problems(sources: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with a package, given as {module: source}."""
    found = list(import_problems(sources))
    for module, source in sources.items():
        found += [*call_problems(module, source), *docstring_problems(module, source)]
        found += size_problems(module, source)
        for part in module.split("."):
            if part in NAMELESS:
                found.append(f"{module}: `{part}` names nothing; call it by what it is about")
    return found


@cache
def package() -> dict[str, str]:
    """Both real packages as {module: source}."""
    sources = {}
    for top in (PRODUCT, LAB):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            sources[name] = path.read_text(encoding="utf-8")
    return sources


def tracked() -> list[Path]:
    """The files that git tracks or would; outside a checkout, every file set-up did not make."""
    listing = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]
    made = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not made & set(path.parts)]
