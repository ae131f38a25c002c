"""Where a command's training keeps its checkpoints until its result is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sfumato._version import __version__


@contextmanager
def resumable(out: Path, made_of: Sequence[object]) -> Iterator[Path]:
    """Give a path beside `out` for checkpoints, and remove what is there once the block is done.

    The name depends on the content of `made_of`: the same settings on the same data go on where
    they were interrupted, and others start anew. Of a file give its digest and not its path.

    Raises:
        InputError: `out` holds other files than a protector's, so that nothing could be written
            after the training.
    """
    from sfumato.fingerprint import fingerprint
    from sfumato.protect.pretrained import check_place

    check_place(out)

    digest = fingerprint(__version__, list(made_of))[:16]
    path = out.with_name(f".{out.name}-{digest}.training")
    yield path
    for left in out.parent.glob(f"{path.name}*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()
