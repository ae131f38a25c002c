"""Numbers with their nouns, in the singular where there is one."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun: `1 picture`, `1,200 pictures`, `0 people` (of `person`).

    `plural` is the noun's where it is not the noun and an s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
