"""YAML text as data that remembers where each value stood.

A small, strict part of YAML: maps, lists, words, numbers, true, false and null. A plain word is what
it looks like: `no` is the word "no" and `08` is text, not YAML 1.1's false and error; text in quotes
is always text. Anchors, aliases and tags are refused, so a small file cannot grow in memory.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from appliance.config.scalars import quoted

MAX_SIZE = 256 * 1024  # bytes or characters
MAX_DEPTH = 20

Path = tuple[str | int, ...]

# What PyYAML was doing, as a reader of the file would call the place.
CONTEXTS = {
    "while parsing a flow mapping": "the {...}",
    "while parsing a flow sequence": "the [...]",
    "while parsing a block mapping": "the map",
    "while parsing a block collection": "the list",
    "while scanning a simple key": "the line",
    "while scanning a quoted scalar": "the text in quotes",
    "while scanning a double-quoted scalar": "the text in quotes",
}

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{0,30})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
# What YAML forbids, and the line ends of YAML 1.1 that no editor counts as lines.
_FORBIDDEN = re.compile(
    "[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


@dataclass(frozen=True, order=True)
class Place:
    """A place in the file; line and column count from 1."""

    line: int
    col: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.col}"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing wrong with the file, or, as a warning, worth a second thought."""

    line: int
    col: int
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"
    file: str = "gateway.yaml"

    def __str__(self) -> str:
        warning = "warning: " if self.severity == "warning" else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.col}: {warning}{path}{self.message}"


@dataclass(frozen=True)
class Remark:
    """A finding whose place is still to be looked up.

    `on_key`: the key is wrong, not the value. `see`: a path whose place the message tells as "{see}".
    """

    path: Path
    message: str
    severity: Literal["error", "warning"] = "error"
    on_key: bool = False
    see: Path | None = None


class Unreadable(Exception):
    """The text is not YAML, or not the part of YAML read here."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place
        self.message = message


@dataclass(frozen=True)
class Document:
    """What the text says; `values` and `keys` are the places of each path's value and key.

    `mistakes` are those that leave the rest readable.
    """

    data: Any
    values: Mapping[Path, Place]
    keys: Mapping[Path, Place]
    mistakes: tuple[Finding, ...]

    def finding(self, remark: Remark, file: str) -> Finding:
        """A remark with its place."""
        place = self.place(remark.path, remark.on_key)
        message = remark.message
        if remark.see is not None:
            message = message.replace("{see}", f"line {self.place(remark.see).line}")
        return Finding(
            place.line, place.col, path_text(remark.path), message, remark.severity, file
        )

    def place(self, path: Path, on_key: bool = False) -> Place:
        """The place of a value or key, or of the nearest map or list around it that is written."""
        if on_key and path in self.keys:
            return self.keys[path]
        while path not in self.values:
            path = path[:-1]
        return self.values[path]


def path_text(path: Path) -> str:
    """A path as messages show it: `nat.source[0].from`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += "." * bool(text) + (
                step if re.fullmatch(r"[\w-]+", step, re.ASCII) else quoted(step)
            )
    return text


def read(text: str | bytes) -> Document:
    """Read one YAML document. Raises Unreadable."""
    loader = _Loader(_checked(text))
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(
            _place(error.problem_mark or error.context_mark), _problem(error)
        ) from None
    except (ValueError, OverflowError, IndexError):
        # PyYAML lets these escape from numbers beyond Unicode in "\U..." and the like.
        raise Unreadable(_place(loader.get_mark()), "is not valid YAML: a bad escape") from None
    if node is None:
        raise Unreadable(
            Place(1, 1), "the file is empty; it must hold vgw, lan, wan, sync, nodes, nat"
        )
    return _Walk().document(node)


def _checked(text: str | bytes) -> str:
    """The characters, none of which YAML forbids. Raises Unreadable."""
    if len(text) > MAX_SIZE:
        problem = f"the file has a size of {len(text)}; at most {MAX_SIZE} is read"
        raise Unreadable(Place(1, 1), problem)
    characters = text if isinstance(text, str) else _decoded(text)
    if characters.startswith("\ufeff"):
        problem = 'the file begins with a byte order mark; save it as "UTF-8 without BOM"'
        raise Unreadable(Place(1, 1), problem)
    if found := _FORBIDDEN.search(characters):
        problem = f"character U+{ord(found[0]):04X} is not allowed in YAML; delete it"
        raise Unreadable(_place_of(characters[: found.start()]), problem)
    return characters


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_of(text[: error.start].decode("utf-8"))
        problem = f"byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise Unreadable(place, problem) from None


def _place_of(before: str) -> Place:
    """The place that comes after the text `before`."""
    lines = re.split("\r\n|\r|\n", before)
    return Place(len(lines), len(lines[-1]) + 1)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "unknown"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces; indent with spaces"
    if "but found another document" in problem:
        return "a second document begins here; keep one and remove the line '---'"
    if "<block end>" in problem:
        problem = "this line begins further left or right than those it belongs to"
    context = ""
    if error.context and error.context_mark:
        begun = CONTEXTS.get(error.context, "the text")
        context = f", in {begun} that begins in line {error.context_mark.line + 1}"
    return f"is not valid YAML: {problem}{context}"


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, without what lets a small file grow, or hide what it says."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        self._refuse(event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refuse(self, event: Any) -> None:
        problem = None
        if getattr(event, "anchor", None) is not None:
            problem = (
                f"'{event.anchor}' is an anchor or alias, which is not read; write the value out"
            )
        elif getattr(event, "tag", None) is not None:
            problem = f"{quoted(event.tag)} is a tag, which is not read; write the plain value"
        elif self.depth >= MAX_DEPTH:
            problem = f"is nested more than {MAX_DEPTH} deep"
        if problem:
            raise Unreadable(_place(event.start_mark), problem)


class _Walk:
    """One walk over the nodes, which notes the place of all it meets."""

    def __init__(self) -> None:
        self.values: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.mistakes: list[Finding] = []

    def document(self, node: yaml.Node) -> Document:
        return Document(self.value(node, ()), self.values, self.keys, tuple(self.mistakes))

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.values[path] = _place(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self.map(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        quotes = isinstance(node, yaml.ScalarNode) and node.style
        return node.value if quotes else _plain(node.value)

    def mistake(self, place: Place, path: Path, message: str) -> None:
        self.mistakes.append(Finding(place.line, place.col, path_text(path), message))

    def map(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for key, value in node.value:
            here = _place(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                self.mistake(here, path, "a key must be one word, not a list or a map")
                continue
            inner = (*path, key.value)
            if key.value in read:
                first = self.keys[inner]
                self.mistake(
                    here, inner, f"is written twice, in {first} and in {here}; keep or rename one"
                )
                continue
            self.keys[inner] = here
            read[key.value] = self.value(value, inner)
        return read


def _plain(text: str) -> str | int | float | bool | None:
    """What a word without quotes stands for."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
