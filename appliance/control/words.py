"""A request to the agent, and its answer: a JSON object each, on a line of its own. Pure.

CONTROL_SCHEMA rises when a word comes to mean something else; a word that comes has a default.
"""

import json
from typing import Any, NamedTuple

from appliance import ApplianceError
from appliance.status import typed_json

CONTROL_SCHEMA = 1
LONGEST_REQUEST = 32768  # bytes: a path has 4096 (PATH_MAX), and JSON takes six for some of them
LONGEST_ANSWER = (
    65536  # bytes: the kernel takes so many at one stroke, so that nobody waits for a reader
)
_MOST_SENTENCES, _LONGEST_SENTENCE = 20, 400  # of an answer that would be longer
_APPLY, _ANSWER = "apply", "the agent's answer"


class ApplyRequest(NamedTuple):
    """Take up your file again."""

    file: str = ""
    """Which file the operator means; empty: whichever the agent goes by."""
    node: str = ""
    """Which node the operator takes this one for; empty: whichever it is."""
    role: str = ""
    """For which role the machine is to be planned; the agent refuses any, for it decides the role."""
    keep_flows: bool = False
    """Leave flows alone that the file no longer allows."""


class ApplyAnswer(NamedTuple):
    """What came of it."""

    changes: tuple[str, ...] = ()
    """What was changed, as `vgw apply` prints it."""
    told: tuple[str, ...] = ()
    """What is to be said besides, a sentence each."""
    refusal: str = ""
    """Why nothing was taken up; empty where it was."""
    code: int = 0
    """The exit code that the command should end with."""
    before: str = ApplianceError.before
    """What stands in front of the refusal on stderr."""


def refused(error: ApplianceError) -> ApplyAnswer:
    """The answer that tells of an error."""
    return ApplyAnswer(refusal=str(error), code=error.exit_code, before=error.before)


def request_line(request: ApplyRequest) -> bytes:
    """The request as it is sent."""
    return _line({"ask": _APPLY}, request)


def read_request(line: bytes) -> ApplyRequest:
    """The request that was sent. Raises ApplianceError with a sentence for whoever asked."""
    found = _object(line, "the request")
    if found.get("ask") != _APPLY:
        raise ApplianceError(
            f"the agent here knows the request `{_APPLY}` alone; ask by its own `vgw`"
        )
    request: ApplyRequest = _read(ApplyRequest, found, "the request")
    return request


def answer_line(answer: ApplyAnswer) -> bytes:
    """The answer as it is sent; of one that is too long the begin, and how much there was."""
    line = _line({}, answer)
    return line if len(line) <= LONGEST_ANSWER else _line({}, _shortened(answer))


def read_answer(line: bytes) -> ApplyAnswer:
    """The answer that was sent. Raises ApplianceError."""
    answer: ApplyAnswer = _read(ApplyAnswer, _object(line, _ANSWER), _ANSWER)
    return answer


def _line(words: dict[str, Any], what: ApplyRequest | ApplyAnswer) -> bytes:
    said = {"schema": CONTROL_SCHEMA, **words, **typed_json.plain(what)}
    return json.dumps(said).encode() + b"\n"


def _object(line: bytes, what: str) -> dict[str, Any]:
    """What stands on the line; another version's words mean something else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ApplianceError(f"{what} is no JSON object on a line of its own: {error}") from None
    if not isinstance(found, dict):
        raise ApplianceError(f"{what} is no JSON object on a line of its own")
    if found.get("schema") != CONTROL_SCHEMA:
        raise ApplianceError(
            f"{what} is in words of another version of VGW: ask by the `vgw` of the node that runs, or "
            "start the node anew by this one"
        )
    return found


def _read(kind: Any, found: dict[str, Any], what: str) -> Any:
    try:
        return typed_json.read(kind, found)
    except ValueError as error:
        raise ApplianceError(f"{what} is not to be understood: {error}") from None


def _shortened(answer: ApplyAnswer) -> ApplyAnswer:
    return answer._replace(
        changes=_first(answer.changes),
        told=_first(answer.told),
        refusal=answer.refusal[: _MOST_SENTENCES * _LONGEST_SENTENCE],
    )


def _first(sentences: tuple[str, ...]) -> tuple[str, ...]:
    begin = tuple(one[:_LONGEST_SENTENCE] for one in sentences[:_MOST_SENTENCES])
    more = len(sentences) - len(begin)
    return (*begin, f"and {more} more") if more else begin
