"""The source keeps its shape; and the rules that say so (tests/architecture.py) catch what they should."""

import re

import pytest

from tests.architecture import (
    BESIDE,
    FOREIGN,
    LAYERS,
    MAX_LINES,
    ROOT,
    docstring_problems,
    package,
    problems,
    tracked,
)


def test_the_package_keeps_its_shape() -> None:
    found = problems(package())
    assert not found, "\n" + "\n".join(found)


def test_no_module_stands_twice_in_the_tables() -> None:
    named = [name for layer in LAYERS for name in layer.modules] + list(BESIDE)
    assert sorted(named) == sorted(set(named))


def test_no_file_is_too_long() -> None:
    templates = ROOT / "appliance" / "templates"
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
    """The one problem of a small made-up package."""
    whole = {"__init__": "", "system": "", "model": "", "vrrp": "", "plan": "", **sources}
    found = [
        problem
        for problem in problems(
            {name.replace("__dot__", "."): text for name, text in whole.items()}
        )
        if "docstring" not in problem
    ]
    return "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("policy", "from appliance import plan", "policy:1: imports plan; imports go to a lower"),
        ("policy", "from appliance.plan import Plan", "policy:1: imports plan; imports go"),
        ("policy", "from .plan import Plan", "policy:1: imports plan; imports go"),
        ("policy", "from . import plan", "policy:1: imports plan; imports go"),
        ("policy", "import appliance.plan as p", "policy:1: imports plan; imports go"),
        ("policy", "def f():\n    from appliance import plan", "policy:2: imports plan"),
        ("policy", "if TYPE_CHECKING:\n    import appliance.plan", "policy:2: imports plan"),
        ("ruleset", "from appliance import vrrp", "ruleset:1: imports vrrp; imports go to a lower"),
        ("policy", "import subprocess", "policy:1: imports subprocess; system, "),
        ("policy", "from os.path import join", "policy:1: imports os; a pure module"),
        ("policy", "def f():\n    import time", "policy:2: imports time; a pure module"),
        ("policy", "from appliance import system", "policy:1: imports system; a pure module"),
        ("policy", "open('x')", "policy:1: calls open(); a pure module"),
        ("agent", "import subprocess", "agent:1: imports subprocess; system, "),
        ("agent", "import importlib", "agent:1: imports importlib; no module may"),
        ("agent", "__import__('os')", "agent:1: calls __import__()"),
        (
            "drivers__dot__sysctl",
            "from pyroute2 import IPRoute",
            "drivers.sysctl:1: imports pyroute2",
        ),
        ("lab__dot__world", "from appliance import plan", "lab.world:1: imports plan; lab.* may"),
        ("supervise", "from appliance import plan", "supervise:1: imports plan; supervise may"),
        ("unheard_of", "", "unheard_of: no layer; add it to LAYERS"),
        ("drivers__dot__utils", "", "drivers.utils: `utils` names nothing"),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str, told: str) -> None:
    assert planted(**{module: source}).startswith(told)


def test_only_the_command_line_imports_the_lab() -> None:
    lab = {"lab__dot__drills": ""}
    assert planted(**lab, agent="from appliance.lab import drills").startswith(
        "agent:1: imports lab.drills, which only the command line may import"
    )
    assert planted(**lab, cli="from appliance.lab import drills") == ""


def test_what_is_allowed_stays_allowed() -> None:
    assert planted(agent="from appliance import ApplianceError, plan, system\nimport os") == ""
    assert planted(lab__dot__world="import subprocess\nfrom appliance.model import Role") == ""
    assert planted(drivers__dot__routes="from pyroute2 import IPRoute\nfrom ..model import X") == ""


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


def test_private_names_need_no_docstring() -> None:
    assert list(docstring_problems("plan", '"""Plan."""\ndef _f(): ...')) == []
