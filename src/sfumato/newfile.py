"""A new file that is never replaced: of several processes that find none, one writes it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sfumato.files import part_prefix, sync_folder


def write_first(path: Path, content: bytes) -> bool:
    """Write a whole new file with mode 0600; return False where one is there, which stays.

    Of several processes that find none, one writes: what it wrote is never replaced.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=part_prefix(path), suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:  # mkstemp gives mode 0600
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return _linked(part, path, content)
    finally:
        part.unlink(missing_ok=True)


def _linked(part: Path, path: Path, content: bytes) -> bool:
    """Give a finished file its name, unless that is taken."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return False
    except OSError:  # a file system without such links: sticks and cards, some of other machines
        return _written_alone(path, content)
    sync_folder(path.parent)
    return True


def _written_alone(path: Path, content: bytes) -> bool:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True
