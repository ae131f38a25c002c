"""`If-None-Match` as RFC 9110 (8.8.3, 13.1.2) defines it."""

from __future__ import annotations

import re
from typing import Final

from fastapi import Request

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
# One way alone to read any text: spaces that two parts could take would be tried in every mixture,
# by a request of nobody in particular, while all others wait.
_LIST: Final = re.compile(rf"[ \t]*(?:{_TAG.pattern}[ \t]*)?(?:,[ \t]*(?:{_TAG.pattern}[ \t]*)?)*")


def unchanged(request: Request, tag: str) -> bool:
    """Return whether the client has what `tag`, a strong one with its quotes, stands for.

    `*` says that it has any. Of a list one is enough, and a weak tag is as good as a strong one. A
    header that is none of these is ignored.
    """
    lines = request.headers.getlist("if-none-match")
    wanted = ", ".join(lines).strip(" \t")
    if wanted == "*":
        return True
    return bool(_LIST.fullmatch(wanted)) and tag in _TAG.findall(wanted)
