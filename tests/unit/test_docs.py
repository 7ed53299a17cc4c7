"""The texts name only what is there: modules, files, keys of the file, and places to read on."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from appliance.config import schema
from tests.architecture import LAB, LAB_ORDER, PRODUCT, PRODUCT_ORDER, ROOT, package, tracked

pytestmark = pytest.mark.no_cover  # they reach few of the product's lines, and read much faster so

RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
TEXTS = [path for path in tracked() if path.suffix == ".md"]

# The head of a decision record: number, title, what it is now, and when it was made.
HEAD = re.compile(
    r"# (?P<number>\d{4}): (?P<title>.+)\n\n"
    r"Status: (?P<status>accepted|superseded by \[(?P<by>\d{4})\]\((?P=by)-[\w-]+\.md\))"
    r"(, in place of \[(?P<former>\d{4})\]\((?P=former)-[\w-]+\.md\))?\. Date: \d{4}-\d\d-\d\d\.\n"
)

# What is written with dots in the texts and is neither ours nor a key of the file.
ELSEWHERE = (
    "com.docker.*",  # the engine's labels and options
    "net.*",  # the kernel's settings
    "vgw.commands",  # the entry points by which the lab's commands are found
    "promise.*",  # what `vgw status --json` tells
)
FILES = re.compile(
    r".*\.(ya?ml|json|jsonl|conf|trial|html|md|toml|txt|svg|py|sh|sock|pid|fifo|ctl|lock|args)"
)
NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z_]\w*)+")
PATH = re.compile(r"[\w.*-]+(/[\w.*-]+)+/?")


def prose(path: Path) -> str:
    """A text without its blocks of code: those show programs and their output."""
    return re.sub(
        r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def quoted(path: Path) -> Iterator[str]:
    """The words in backticks; of a command each of its words, without what stands behind a colon."""
    for words in re.findall(r"`([^`\n]+)`", prose(path)):
        yield from (word.strip(",;:()").partition(":")[0] for word in words.split())


@cache
def keys() -> frozenset[str]:
    """Every key of gateway.yaml with its way: `nat.source`."""
    ways = (f"{where}.{key}" for where, inside in schema.sections() for key in inside)
    return frozenset(way.removeprefix("the top level.").replace("[]", "") for way in ways)


@cache
def names(module: str) -> frozenset[str]:
    """What a module defines at its top."""
    found: set[str] = set()
    for node in ast.parse(package()[module]).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {ast.unparse(target) for target in node.targets}
        elif isinstance(node, ast.AnnAssign):
            found.add(ast.unparse(node.target))
    return frozenset(found)


def is_ours(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one; its first parts may be left out."""
    for module in package():
        for end, last in ((name, ""), (name.rpartition(".")[0], name.rpartition(".")[2])):
            if f".{module}".endswith(f".{end}") and (not last or last in names(module)):
                return True
    return False


@cache
def places() -> frozenset[str]:
    """The project's files and folders, as seen from its root."""
    ours = [file.relative_to(ROOT) for file in tracked()]
    return frozenset(str(place) for file in ours for place in (file, *file.parents))


@cache
def is_there(path: str) -> bool:
    """Whether a path with a known beginning is among the project's files; it may have `*`."""
    wanted = path.rstrip("/")
    begun = {f"{PRODUCT}/{wanted}", f"{LAB}/{wanted}", wanted}
    possible = {*begun, *(f"{place}.py" for place in begun)}
    if "*" not in path:
        return not possible.isdisjoint(places())
    return any(fnmatch(place, each) for place in places() for each in possible)


def unknown(path: Path) -> Iterator[str]:
    """What a text names that is not there."""
    begins = {place for place in places() if "/" not in place} | {*PRODUCT_ORDER, *LAB_ORDER}
    for word in quoted(path):
        if PATH.fullmatch(word):
            if word.partition("/")[0] in begins and not is_there(word):
                yield word
        elif NAME.fullmatch(word) and not FILES.fullmatch(word):
            known = word in keys() or any(fnmatch(word, each) for each in ELSEWHERE)
            if not known and not is_ours(word):
                yield word


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_names_what_is_there(path: Path) -> None:
    assert sorted(set(unknown(path))) == []


def anchors(path: Path) -> frozenset[str]:
    """The places in a text that a link can lead to: its headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    named = ("readiness.judge", "nat.source", "appliance/system.py", "drivers/routes", "net.core.x")
    gone = (
        "failover.decide",
        "nat.sauce",
        "appliance/agent.py",
        "drivers/probes",
        "readiness.judges",
    )
    text.write_text(" ".join(f"`{name}`" for name in (*named, *gone)))
    assert tuple(unknown(text)) == gone


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_decision_says_what_it_is_and_when_it_was_made(path: Path) -> None:
    head = HEAD.match(path.read_text(encoding="utf-8"))
    assert head, "begins with `# NNNN: title`, a blank line, `Status: accepted. Date: YYYY-MM-DD.`"
    assert path.name.startswith(f"{head['number']}-")
    titles = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    note = f" (superseded by {head['by']})" if head["by"] else ""
    assert f"[{head['number']}](decisions/{path.name}): {head['title']}{note}.\n" in titles


def test_each_decision_has_a_number_of_its_own() -> None:
    numbers = [path.name.partition("-")[0] for path in RECORDS]
    assert sorted(set(numbers)) == numbers


def test_what_a_decision_replaces_says_so() -> None:
    heads = [head for path in RECORDS if (head := HEAD.match(path.read_text(encoding="utf-8")))]
    assert {(head["former"], head["number"]) for head in heads if head["former"]} == {
        (head["number"], head["by"]) for head in heads if head["by"]
    }
