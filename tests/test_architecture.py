"""The source keeps its shape; and the rules that say so (tests/architecture.py) catch what they should."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.architecture import (
    FOREIGN,
    LAB,
    LAB_ORDER,
    LONG_LINES,
    MAX_LINES,
    PRODUCT,
    PRODUCT_ORDER,
    PURE,
    ROOT,
    docstring_problems,
    layers,
    package,
    problems,
    room,
    tracked,
)
from tests.names import name_problems
from tests.sizes import OVER, size_problems

pytestmark = pytest.mark.no_cover  # they reach none of the product's lines, and walk much faster so


def test_the_package_keeps_its_shape() -> None:
    found = problems(package())
    assert not found, "\n" + "\n".join(found)


def test_the_tables_name_what_is_there() -> None:
    there = {room(module) for module in package() if module.startswith(PRODUCT)}
    assert set(PRODUCT_ORDER) == there
    assert set(LAB_ORDER) == {room(module) for module in package() if module.startswith(LAB)}
    assert [name for name in PURE if name not in package()] == []


def test_the_design_shows_the_order(request: pytest.FixtureRequest) -> None:
    design = ROOT / "docs" / "design.md"
    before, heading, rest = design.read_text(encoding="utf-8").partition("\n## Layers\n")
    words, _, rest = rest.partition("```\n")
    block, _, rest = rest.partition("```\n")
    if request.config.getoption("update"):
        design.write_text(f"{before}{heading}{words}```\n{layers()}```\n{rest}", encoding="utf-8")
        return
    assert block == layers(), "docs/design.md, Layers: `make golden` writes the block anew"


def test_what_may_be_over_a_cap_still_is(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = dict(OVER)
    over: list[str] = []
    for name in allowed:
        monkeypatch.delitem(OVER, name)
    for module, source in package().items():
        over += [problem.partition(":")[0] for problem in size_problems(module, source)]
    assert sorted(allowed) == sorted(over), "tests/sizes.py: take out of OVER what is in order"


def test_no_file_is_too_long() -> None:
    templates = ROOT / "appliance" / "planning" / "templates"
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix == ".py" or templates in path.parents
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}, f"over {MAX_LINES} lines: split by what the parts are about"


def test_no_tracked_file_knows_one_machine() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if foreign := FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {foreign.group()}")
    assert not found, "\n" + "\n".join(found)


def test_requirements_are_pins_and_hashes_only() -> None:
    line = re.compile(
        r"# [a-z]+: pinned by make lock; do not edit|"
        r"[a-z0-9.-]+==[\w.]+( ; [\w .<>='\"()]+)? \\|"
        r"    --hash=sha256:[0-9a-f]{64}( \\)?"
    )
    for path in sorted((ROOT / "setup" / "requirements").glob("*.txt")):
        odd = [text for text in path.read_text().splitlines() if not line.fullmatch(text)]
        assert odd == [], f"{path.name}: neither a pin, a hash nor the heading"


def planted(**sources: str) -> str:
    """The one problem of a small made-up package; `__` stands for a dot."""
    made_up = {
        "appliance": "",
        "appliance.planning": "",
        "appliance.planning.plan": "",
        "vgw_lab": "",
    }
    made_up |= {"appliance.system": "", "appliance.config.model": "", "appliance.agent.loop": ""}
    made_up |= {name.replace("__", "."): text for name, text in sources.items()}
    found = [problem for problem in problems(made_up) if "docstring" not in problem]
    return "\n".join(found)


UP = "imports appliance.agent.loop; agent stands above"


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("drivers__routes", "from appliance.agent import loop", f"drivers.routes:1: {UP}"),
        ("drivers__routes", "from appliance.agent.loop import X", f"drivers.routes:1: {UP}"),
        ("drivers__routes", "from ..agent.loop import X", f"drivers.routes:1: {UP}"),
        ("drivers__routes", "from ..agent import loop", f"drivers.routes:1: {UP}"),
        ("drivers__routes", "import appliance.agent.loop as p", f"drivers.routes:1: {UP}"),
        ("drivers__routes", "def f():\n    from ..agent import loop", f"drivers.routes:2: {UP}"),
        (
            "drivers__routes",
            "if TYPE_CHECKING:\n    import appliance.agent.loop",
            f"drivers.routes:2: {UP}",
        ),
        ("vrrp", "from appliance import system", "vrrp:1: imports appliance.system; system stands"),
        (
            "planning__nat",
            "import subprocess",
            "planning.nat:1: imports subprocess; appliance.system, ",
        ),
        ("planning__nat", "from os.path import join", "planning.nat:1: imports os; a pure module"),
        (
            "planning__nat",
            "def f():\n    import time",
            "planning.nat:2: imports time; a pure module",
        ),
        (
            "planning__nat",
            "from appliance import system",
            "planning.nat:1: imports appliance.system; a pure",
        ),
        ("planning__nat", "open('x')", "planning.nat:1: calls open(); a pure module"),
        (
            "agent__loop",
            "import subprocess",
            "agent.loop:1: imports subprocess; appliance.system, ",
        ),
        ("agent__loop", "import importlib", "agent.loop:1: imports importlib; appliance.commands."),
        ("agent__loop", "__import__('os')", "agent.loop:1: calls __import__()"),
        ("drivers__sysctl", "from yaml import safe_load", "drivers.sysctl:1: imports yaml"),
        (
            "planning__plan",
            "from ipaddress import IPv4Address",
            "planning.plan:1: imports ipaddress",
        ),
        ("unheard_of", "", "unheard_of: no place; add unheard_of to the order"),
        ("drivers__utils", "", "drivers.utils: `utils` names nothing"),
        (
            "agent__loop",
            "import vgw_lab",
            "agent.loop:1: imports vgw_lab; the product runs without",
        ),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str, told: str) -> None:
    assert planted(**{f"appliance__{module}": source}).removeprefix("appliance.").startswith(told)


def test_a_circle_inside_a_package_is_found() -> None:
    found = planted(
        appliance__planning__nat="from appliance.planning import plan",
        appliance__planning__plan="from appliance.planning import nat",
    )
    assert found == ("appliance.planning.nat: imports itself by way of appliance.planning.plan")


def test_no_class_and_no_constant_of_the_product_has_a_name_for_two_things() -> None:
    found = list(name_problems(package()))
    assert not found, "\n" + "\n".join(found)


def test_one_name_for_two_things_is_found() -> None:
    sources = {
        "appliance.drivers.routes": "class State: ...\nPATIENCE, STEP = 1.0, 2",
        "appliance.pair.peer": "class State: ...\nPATIENCE: float = 2.0\nSTEP = 2",
        "vgw_lab.drills": "class State: ...",
    }
    assert list(name_problems(sources)) == [
        "appliance.pair.peer: class State is one of appliance.drivers.routes too",
        "appliance.pair.peer: PATIENCE is 2.0 here and 1.0 in appliance.drivers.routes",
    ]


def test_the_lab_knows_words_of_the_product_and_no_deeds() -> None:
    assert planted(vgw_lab__worlds__world="from appliance.agent import loop").startswith(
        "vgw_lab.worlds.world:1: imports appliance.agent.loop; the lab knows of the product"
    )
    assert planted(vgw_lab__worlds__world="from appliance.config.model import Config") == ""


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import yaml", "imports yaml; an instrument runs from its source alone"),
        (
            "from vgw_lab.instruments import flows",
            "imports vgw_lab.instruments.flows; an instrument",
        ),
        ("from .flows import Flow", "imports vgw_lab.instruments.flows; an instrument runs"),
        ("from appliance import system", "imports appliance.system; an instrument runs from"),
        ("from vgw_lab import WATCH_SECONDS", "imports vgw_lab; an instrument runs from its"),
    ],
)
def test_an_instrument_imports_the_standard_library_alone(source: str, told: str) -> None:
    flows = {"vgw_lab__instruments": "", "vgw_lab__instruments__flows": "import socket, json"}
    found = planted(**flows, vgw_lab__instruments__probe=source)
    assert found.startswith(f"vgw_lab.instruments.probe:1: {told}")
    assert planted(**flows) == ""


def test_what_is_allowed_stays_allowed() -> None:
    allowed = "from appliance import ApplianceError, system\nfrom appliance.planning import plan\nimport os"
    assert planted(appliance__agent__loop=allowed) == ""
    assert planted(vgw_lab__worlds__world="import subprocess") == ""
    assert (
        planted(
            appliance__config__places="import yaml",
            appliance__drivers__routes="from ..config.places import read\nfrom ..config.model import X",
        )
        == ""
    )


def test_long_files_are_told(record_property: Callable[[str, object], None]) -> None:
    """No failure: a file of that length should be looked at, and cut only where its subject divides."""
    for module, source in package().items():
        if (lines := len(source.splitlines())) > LONG_LINES:
            record_property("figure", f"{module} has {lines} lines; does its subject divide?")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "plan: the module has no docstring"),
        ('"""Plan."""\ndef f(): ...', "plan.f (line 2): no docstring"),
        ('"""Plan."""\nclass C:\n    """C."""\n    def f(self): ...', "plan.C.f (line 4): no"),
        ('"""Plan."""\nasync def f(): ...', "plan.f (line 2): no docstring"),
    ],
)
def test_a_missing_docstring_is_found(source: str, told: str) -> None:
    assert next(docstring_problems("plan", source)).startswith(told)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "class C:\n    def __init__(self):\n"
            + "".join(f"        self.a{number} = 0\n" for number in range(13)),
            "plan.C: 13 attributes, at most 12",
        ),
        (
            "@dataclass\nclass C:\n" + "".join(f"    a{number}: int\n" for number in range(13)),
            "plan.C: 13 attributes, at most 12",
        ),
        ("def f():\n    return " + " or ".join("abcdefghijklmnopq"), "plan.f: 17 ways through it"),
        ("def f():\n" + "    x = 1\n" * 60, "plan.f: 61 lines, at most 60"),
    ],
)
def test_what_is_hard_to_hold_is_found(source: str, told: str) -> None:
    assert next(size_problems("plan", source)).startswith(told)


def test_a_row_of_values_may_be_wide() -> None:
    fields = "".join(f"    a{number}: int\n" for number in range(30))
    assert list(size_problems("plan", f"@dataclass(frozen=True)\nclass C:\n{fields}")) == []


def test_private_names_need_no_docstring() -> None:
    assert list(docstring_problems("plan", '"""Plan."""\ndef _f(): ...')) == []


def test_every_module_can_be_imported() -> None:
    modules = [name for name in package() if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(f"import {name}" for name in modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
