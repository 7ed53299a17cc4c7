"""What is remembered from one moment to the next seldom changes; then it is not copied. Pure."""

from dataclasses import replace
from typing import Any, TypeVar

Remembered = TypeVar("Remembered")


def changed(state: Remembered, **words: Any) -> Remembered:
    """A copy with these words; where none differs the same object, for a copy costs more than a judgement."""
    for name, word in words.items():
        known = getattr(state, name)
        if known is not word and known != word:
            return replace(state, **words)  # type: ignore[type-var]
    return state
