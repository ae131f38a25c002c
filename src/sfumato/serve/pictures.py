"""Uploaded pictures become features on as many threads as there are cores, whoever asks.

Each thread that runs a network keeps memory for the next time: torch's scratch and compiled
operations, the C library's own pool. Requests come on any of forty threads that start and end as
they please, and each would come to keep tens of megabytes; so would the pictures, if all that
arrive were decoded at once.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.decode import ImageLimits, decode_image
from sfumato.features.backbone import Backbone

Seen = tuple[UInt8[Tensor, "c h w"], Float[Tensor, "1 d"]]
"""A picture and its features."""


class Pictures:
    """Decodes pictures within limits and computes their features by a backbone.

    Thread-safe: who asks waits for a free core, in order of arrival.
    """

    def __init__(self, backbone: Backbone, limits: ImageLimits) -> None:
        self._see = partial(_see, backbone, limits)
        cores = os.cpu_count() or 1
        self._cores = ThreadPoolExecutor(cores, thread_name_prefix="sfumato-picture")

    def __call__(self, content: bytes) -> Seen:
        """Return the picture in a file's bytes with its features.

        Raises:
            ImageError: the bytes are no picture, or a too large one.
        """
        return self._cores.submit(self._see, content).result()

    def close(self) -> None:
        """End the threads, after what they work on."""
        self._cores.shutdown()


def _see(backbone: Backbone, limits: ImageLimits, content: bytes) -> Seen:
    picture = decode_image(content, limits=limits)
    with torch.inference_mode():
        return picture, backbone(picture[None])
