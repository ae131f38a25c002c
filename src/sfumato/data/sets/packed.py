"""Published files that may be packed with gzip."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from sfumato.errors import DataError


def unpacked(path: Path, limit_bytes: int) -> bytes:
    """Return the content of a file, unpacked where its name ends in .gz.

    Raises:
        DataError: it cannot be read, is cut or damaged, or is larger than the limit.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; copy the file again") from error
    if len(content) > limit_bytes:
        raise DataError(f"{path}: expected at most {limit_bytes:,} bytes once unpacked")
    return content
