"""Where a command's training keeps its checkpoints until its result is written."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def resumable(out: Path, made_of: Sequence[object]) -> Iterator[Path]:
    """Give a path beside `out` for checkpoints, and remove what is there once the block is done.

    The name depends on what `made_of` prints as: the same command on the same data goes on where
    it was interrupted, and one with other options starts anew.
    """
    digest = hashlib.sha256(repr(list(made_of)).encode()).hexdigest()[:8]
    path = out.with_name(f".{out.name}-{digest}.training")
    yield path
    for left in out.parent.glob(f"{path.name}*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
