"""Computes the features of uploaded pictures on as many threads as there are cores.

Each thread that runs a network keeps memory for its next run: torch's scratch memory, compiled
operations, and the C library's own pool. Web requests come on up to forty threads; each of them
would keep tens of megabytes. Decoding all pictures that arrive at once would take memory, too.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.decoding.decode import ImageLimits, decode_views
from sfumato.features.backbone import Backbone
from sfumato.features.picture import all_features_of
from sfumato.filter.neardup import BYTES
from sfumato.filter.views import view_hashes

_NO_HASHES: Final = torch.empty(0, BYTES, dtype=torch.uint8)


@dataclass(frozen=True, slots=True)
class Seen:
    """What an upload's file shows: every frame as viewers show it, and every feature of each."""

    features: Float[Tensor, "n d"]
    """One row a picture; of a backbone that takes faces one a face, which may be none."""
    pictures: tuple[int, ...]
    """Of each row of the features the picture that it is of, a position in `frames`."""
    hashes: tuple[UInt8[Tensor, "_ 32"], ...]
    """Of each picture the hashes of its views for near copies, where they were asked for."""
    frames: tuple[int, ...]
    """Which frame or page of the file each picture is, from 0."""

    def frame(self, picture: int) -> int | None:
        """Return the number of a picture's frame, from 1; None where the file has one alone."""
        return self.frames[picture] + 1 if self.frames[-1] else None


def see(
    backbone: Backbone, content: bytes, *, limits: ImageLimits | None = None, hashes: bool
) -> Seen:
    """Decode all that a file shows, one picture at a time, with features and hashes.

    Raises:
        ImageError: the bytes are no picture, or it is too large or has too many frames or faces.
    """
    features, found, frames = [], [], []
    for view in decode_views(content, limits=limits):
        features.append(all_features_of(backbone, view.picture))
        found.append(view_hashes(view.picture) if hashes else _NO_HASHES)
        frames.append(view.frame)
    pictures = tuple(i for i, rows in enumerate(features) for _ in rows)
    return Seen(torch.cat(features), pictures, tuple(found), tuple(frames))


class Pictures:
    """Decodes pictures within limits and computes their features by a backbone.

    Thread-safe: who asks waits for a free core, in order of arrival.
    """

    def __init__(self, backbone: Backbone, limits: ImageLimits) -> None:
        self.see = partial(see, backbone, limits=limits)
        cores = os.cpu_count() or 1
        self._cores = ThreadPoolExecutor(cores, thread_name_prefix="sfumato-picture")

    def __call__(self, content: bytes, *, hashes: bool = False) -> Seen:
        """Return what the pictures in a file's bytes are to the filter; as `see`.

        Raises:
            ImageError: as `see`.
        """
        return self._cores.submit(self.see, content, hashes=hashes).result()

    def close(self) -> None:
        """End the threads, after what they work on."""
        self._cores.shutdown()
