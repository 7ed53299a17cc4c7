"""The pair in containers, brought up once and judged at the end."""

from collections.abc import Iterator

import pytest

from tests.containers import engine
from tests.containers.pair import Pair
from tests.waiting import eventually


@pytest.fixture(scope="session")
def engine_url() -> Iterator[str]:
    """An engine with the images, or the reason why there is none, which the summary repeats."""
    running = engine.engine()
    try:
        url = running.__enter__()
    except engine.Unavailable as error:
        pytest.skip(f"the container tests cannot run: {error}")
    try:
        yield url
    finally:
        running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def whole_pair(engine_url: str) -> Iterator[Pair]:
    """The project; ended with the promise that no packet ever left it untranslated."""
    pair = Pair(engine_url)
    try:
        pair.down()
        # Nothing has changed since the images were built, so this needs no network.
        pair.compose("up", "--detach", "--build", "--pull=never")
        pair.await_first_answers()
        yield pair
        seen = pair.capture()
    finally:
        pair.down()
        pair.docker.close()
    assert seen["untranslated"] == 0, seen
    assert seen["translated"] > 0, "the capture saw nothing at all, so it proves nothing"


@pytest.fixture
def pair(whole_pair: Pair) -> Pair:
    """The pair in its usual state, whatever the test before has done to it."""
    if not whole_pair.settled():
        whole_pair.up()
    assert eventually(whole_pair.settled), [
        (node, whole_pair.status(node), whole_pair.logs(node)[-2000:])
        for node in ("master", "backup")
    ]
    return whole_pair
