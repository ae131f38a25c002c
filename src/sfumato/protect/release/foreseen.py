"""What a release would read and leave out, and how long it takes, before anything is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sfumato.counted import counted
from sfumato.data.folder import read_headers
from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.leftout import LeftOut, named
from sfumato.errors import DataError

_TRIED = 8  # pictures that are timed


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a release would write; nothing was written."""

    count: int
    """Pictures."""
    done: int
    """Pictures that an interrupted run has read already."""
    left_out: tuple[LeftOut, ...]
    """By their headers: what is damaged further on is found when it is read."""
    minutes: float | None
    """None where its time cannot be told from a few pictures."""


def foreseen(
    images: FolderImages | LoadedImages,
    *,
    done: int,
    release: Callable[[Sequence[int]], object] | None,
) -> Foreseen:
    """Read headers, and release a few pictures to know how long all of them take."""
    left_out = list(images.left_out)
    usable: Sequence[int] = range(len(images))
    if isinstance(images, FolderImages):
        heads, refused = read_headers(images.path, images.order)
        left_out += refused
        usable = [i for i, file in enumerate(images.order) if file in heads]
    if not usable:
        raise DataError(
            f"{images.name}: none of its {counted(len(left_out), 'file')} is usable: "
            f"{named(left_out)}"
        )
    minutes = None
    if release is not None:
        tried = usable[:: max(1, len(usable) // _TRIED)][:_TRIED]
        release(tried[:1])  # a first one also prepares what later ones find
        start = time.perf_counter()
        release(tried)
        spent = time.perf_counter() - start
        minutes = spent / len(tried) * max(0, len(usable) - done) / 60
    return Foreseen(count=len(usable), done=done, left_out=tuple(left_out), minutes=minutes)
