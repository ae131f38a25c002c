"""Imports that a command pays for when it starts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import modules in a block without the garbage collector.

    What a module defines stays as long as the process. Looking for garbage in it takes a fifth of
    the time that importing PyTorch takes.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
