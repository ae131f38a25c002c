"""One picture released by itself, as if there were no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from sfumato.data.lazy import Picture
from sfumato.filter.oneclass import one_thread

_SMALL = 1 << 16  # pixels; below, threads wait for each other longer than they compute


@contextmanager
def alone(picture: Picture) -> Iterator[None]:
    """Let a protector release one picture in a `with` block, on as many threads as pay off.

    In a batch it would depend on its neighbours: in the last bits of every sum, by how many they
    are.
    """
    height, width = picture.pixels.shape[1:]
    threads = one_thread() if height * width < _SMALL else nullcontext()
    with threads, torch.no_grad():
        yield
