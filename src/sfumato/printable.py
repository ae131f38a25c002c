"""Text from outside, as a terminal may show it."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with everything escaped that would move or colour what a terminal shows.

    A file's name may hold line breaks, control sequences, and bytes that are no text.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
