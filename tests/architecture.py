"""The rules for the shape of the source: who may import whom, what stays pure, what stays small.

A new module needs one word in LAYERS, or in BESIDE. Everything else follows from that.
"""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = "appliance"


@dataclass(frozen=True)
class Layer:
    """Modules that may import any layer before theirs, and none of their own."""

    modules: tuple[str, ...]
    pure: bool = False


# Low to high. `drivers.*` stands for every module in drivers/ that has no line of its own.
LAYERS = (
    Layer(("__init__",), pure=True),
    Layer(("change", "ruleset", "scalars", "settings", "vrrp"), pure=True),
    Layer(("system",)),
    Layer(("fields", "marks"), pure=True),
    Layer(("model",), pure=True),
    Layer(("addresses", "schema", "virtual"), pure=True),
    Layer(("address_checks", "nat_checks", "vrrp_checks", "wording"), pure=True),
    Layer(("checks",), pure=True),
    Layer(("config",), pure=True),
    Layer(("translation",), pure=True),
    Layer(("beat", "failover", "policy", "preflight", "render", "status"), pure=True),
    Layer(("degraded", "metrics", "plan", "readiness"), pure=True),
    Layer(("peer", "request"), pure=True),
    Layer(("ledger",)),
    Layer(("drivers",)),
    Layer(("drivers.devconf",)),
    Layer(("drivers.ctnetlink",), pure=True),
    Layer(("drivers.*",)),
    Layer(("drivers.probes",)),  # looks through the other drivers' eyes
    Layer(("converge", "here", "observe", "replicas", "show", "standby", "takeover")),
    Layer(("refresh", "siblings")),
    Layer(("pair",)),
    Layer(("account",)),
    Layer(("agent", "handover")),
    Layer(("operate",)),
    Layer(("cli",)),
    Layer(("__main__",)),
)

# Beside the layers: what each may import, besides its own kind; only the command line imports them.
WORDS = frozenset({"__init__", "model", "system", "vrrp"})
BESIDE = {
    "lab.*": WORDS,
    "supervise": WORDS,
}
IMPORTERS_OF_BESIDE = {"cli", "__main__"}

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
    "pyroute2",
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

# Packages that one module knows, and the few others that may, each with its reason.
DOORS = {
    "subprocess": {
        "system": "the one door to programs",
        "lab.bench.gateway": "is a node's first process, and keeps the daemons of its set-up",
        "lab.entry": "starts programs inside a world that runs already",
        "lab.nodes": "starts programs on a machine of the lab and lets them run",
        "lab.world": "starts a process tree of its own and talks to it while it lives",
        "supervise": "starts supervisord and turns its end into an exit code",
    },
    "pyroute2": {
        "drivers.links": "makes the links that bear virtual MACs",
        "drivers.neighbours": "keeps a peer's place on the LAN known",
        "drivers.routes": "the door to netlink for all else",
    },
    "docker": {"lab.engine": "the one door to the container engine"},
    "matplotlib": {
        "lab.bench.plots": "draws; an extra that only a report needs",
        "lab.drawing": "gives all drawings one look",
        "lab.drill_plots": "draws the course of drills, for their report",
    },
    "importlib": {},
}

MAX_LINES = 300
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
WITHOUT_DOCSTRING = {"__main__"}  # three lines that call cli.main

# No address of a package index, and no path that only one machine has, in any tracked file.
FOREIGN = re.compile(
    r"py[p]i\.org|python[h]osted\.org|/[s]imple/[a-z]|/[h]ome/[a-z]\w*/|/[U]sers/[A-Za-z]|(?<![\w})\]])/[r]oot/[.\w]"
)


def layer_of(module: str) -> int | None:
    """The number of a module's layer, or None where no line of LAYERS names it."""
    for name in (module, f"{module.rpartition('.')[0]}.*"):
        for number, layer in enumerate(LAYERS):
            if name in layer.modules:
                return number
    return None


def beside(module: str) -> str | None:
    """The line of BESIDE that a module falls under."""
    for name in (module, f"{module.partition('.')[0]}.*"):
        if name in BESIDE:
            return name
    return None


def imports(module: str, source: str, known: frozenset[str]) -> Iterator[tuple[str, int]]:
    """Everything a module imports, anywhere in it, with the line: ours as "plan", others as ":os"."""
    package = [PACKAGE, *module.split(".")[:-1]]
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
            top, _, rest = name.partition(".")
            if top != PACKAGE:
                yield f":{top}", node.lineno
                continue
            while rest and rest not in known:  # the last part may be a name inside a module
                rest = rest.rpartition(".")[0]
            yield rest or "__init__", node.lineno


def import_problems(sources: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with who imports whom: a sentence each."""
    for module, source in sources.items():
        if layer_of(module) is None and beside(module) is None:
            yield (
                f"{module}: no layer; add it to LAYERS (or to BESIDE) in tests/architecture.py, "
                "above everything it imports"
            )
            continue
        for target, line in imports(module, source, frozenset(sources)):
            where = f"{module}:{line}"
            if target.startswith(":"):
                yield from door_problems(module, where, target[1:])
            elif problem := direction_problem(module, target):
                yield f"{where}: imports {target}{problem}"


def direction_problem(module: str, target: str) -> str | None:
    """Why a module of ours may not import another; None if it may."""
    kind, theirs = beside(module), beside(target)
    if kind is not None:
        if target in BESIDE[kind] or theirs == kind:
            return None
        return f"; {kind} may import only {', '.join(sorted(BESIDE[kind]))} and itself"
    if theirs is not None:
        return None if module in IMPORTERS_OF_BESIDE else ", which only the command line may import"
    here, there = layer_of(module), layer_of(target)
    if here is not None and there is not None and there >= here:
        return "; imports go to a lower layer only (see LAYERS)"
    if is_pure(module) and target == "system":
        return "; a pure module takes what it needs as an argument"
    return None


def is_pure(module: str) -> bool:
    """Whether a module is declared pure."""
    number = layer_of(module)
    return number is not None and LAYERS[number].pure


def door_problems(module: str, where: str, package: str) -> Iterator[str]:
    """What is wrong with importing a package that is not ours."""
    if package in DOORS and module not in DOORS[package]:
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
    if module in WITHOUT_DOCSTRING:
        return
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
        for part in module.split("."):
            if part in NAMELESS:
                found.append(f"{module}: `{part}` names nothing; call it by what it is about")
    return found


@cache
def package() -> dict[str, str]:
    """The real package as {module: source}."""
    sources = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
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
