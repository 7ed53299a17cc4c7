"""Shrinking: of a long story that ends badly, the least that still does."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Told = TypeVar("Told")
Broken = TypeVar("Broken")
One = TypeVar("One")


def least(
    whole: Told,
    broken: Broken,
    shorter: Callable[[Told], Iterator[Told]],
    breaks: Callable[[Told], Broken | None],
    tries: int,
) -> tuple[Told, Broken]:
    """What still breaks, and how; after each step that does, the steps begin anew. `tries` bounds how often one is told."""
    going = True
    while going:
        going = False
        for candidate in shorter(whole):
            tries -= 1
            found = breaks(candidate) if tries >= 0 else None
            if found is not None:
                whole, broken, going = candidate, found, True
                break
    return whole, broken


def fewer(many: Sequence[One]) -> Iterator[list[One]]:
    """Some of many, the greatest step first: either half, then all but one."""
    if len(many) > 3:
        half = len(many) // 2
        yield list(many[:half])
        yield list(many[half:])
    for index in range(len(many)):
        yield [*many[:index], *many[index + 1 :]]
