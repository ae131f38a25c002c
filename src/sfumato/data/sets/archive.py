"""One file out of a ZIP, with its size checked before it is unpacked."""

from __future__ import annotations

import zipfile
import zlib

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import DataError

_LIMIT = ImageLimits().max_bytes


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the bytes of one picture in an archive.

    Raises:
        DataError: it is too large once unpacked, damaged, encrypted or packed in an unknown way.
    """
    size = archive.getinfo(name).file_size  # no more than this is ever unpacked
    if size > _LIMIT:
        raise DataError(
            f"{archive.filename}: {name}: expected at most {_LIMIT:,} bytes, got {size:,}"
        )
    try:
        return archive.read(name)
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError) as error:
        raise DataError(f"{archive.filename}: {name}: {error}; copy the archive again") from error
