"""What is remembered from one moment to the next seldom changes; then it is not copied. Pure."""

from typing import Any, TypeVar

Remembered = TypeVar("Remembered")


def changed(state: Remembered, **words: Any) -> Remembered:
    """A copy of a frozen dataclass with these words; where none differs the same object.

    As `dataclasses.replace`, which costs more than all else of a judgement: it gives each field to `__init__`, which sets it by
    a call of its own. No state here has a `__post_init__` that this would pass by. Raises KeyError for a word that is no field.
    """
    known = vars(state)
    for name, word in words.items():
        was = known[name]
        if was is not word and was != word:
            copy = object.__new__(type(state))
            vars(copy).update(known, **words)
            return copy
    return state
