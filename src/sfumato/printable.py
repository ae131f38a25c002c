"""Text from outside, as a terminal may show it."""

from __future__ import annotations

import re
from typing import Final

# From the first colon that is no scheme's to the last @: a password may have either character.
_PASSWORD: Final = re.compile(r":(?!//).*@", re.DOTALL)
_QUERY: Final = re.compile(r"(://[^?#]*[?#]).+", re.DOTALL)


def printable(text: str) -> str:
    """Return the text with everything escaped that would move or colour what a terminal shows.

    A file's name may hold line breaks, control sequences, and bytes that are no text.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def without_secrets(url: str) -> str:
    """Return a URL, or what was typed for one, without a password, query and fragment.

    A file's name may have a `?` or a `#`, and keeps it.
    """
    masked = _PASSWORD.sub(":***@", url)
    return _QUERY.sub(r"\1...", masked)
