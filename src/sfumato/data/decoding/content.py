"""The bytes of one file that may be a picture: anybody may have named it."""

from __future__ import annotations

from pathlib import Path

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ImageError


def content_of(file: Path, limits: ImageLimits) -> bytes:
    """Return a file's bytes, no more than say that it is too large.

    Raises:
        ImageError: there is none, or it is a folder, a device or a pipe.
        OSError: it cannot be read.
    """
    if not file.is_file():
        raise ImageError("there is no such file" if not file.exists() else "not a plain file")
    with file.open("rb") as stream:
        return stream.read(limits.max_bytes + 1)
