"""Eq. (8) before its minimum, for many enrollments, without holding their reconstructions.

A tile of enrollments is encoded by one matrix product. Its reconstructions are then computed and
scored a piece at a time, in one buffer that stays in a core's cache. So the passes after the
product (sigmoid, difference, square, sum) cost no memory traffic. The tile limits the memory,
whatever the number of enrollments, images and dimensions.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

BATCH = 64  # images scored at once; more would make the buffer hold less of a wide feature
_BUFFER = 256 << 10  # floats in the buffer: 1 MiB; 0.5 to 4 MiB measured alike
_TILE_WEIGHTS = 1 << 20  # floats of one tile's encoders: 4 MiB
_TILE_WIDENED = 1 << 19  # where they are widened: 2 MiB, which then is still in cache when read
# An accelerator spends longer on beginning a small operation than on doing it: with the sizes above
# an H200 needed 18 ms for one feature and 10,000 enrollments, 0.08 of the speed of its memory.
_BUFFER_ACCELERATOR = 64 << 20  # 256 MiB
_TILE_ACCELERATOR = 64 << 20  # 256 MiB

SCRATCH = threading.local()
_used = threading.local()


@dataclass(frozen=True, slots=True)
class Weights:
    """Autoencoders of `t` enrollments, stacked.

    Shapes: `encoder` (t, m, d), `encoder_bias` (t, m), `decoder` (t, d, m), `decoder_bias` (t, d).
    """

    encoder: Tensor
    encoder_bias: Tensor
    decoder: Tensor
    decoder_bias: Tensor

    def __len__(self) -> int:
        return len(self.encoder)

    def tile(self, start: int, end: int) -> Weights:
        """Return the enrollments from `start` to `end`, without a copy."""
        return Weights(
            self.encoder[start:end],
            self.encoder_bias[start:end],
            self.decoder[start:end],
            self.decoder_bias[start:end],
        )

    def tiles(self) -> Iterator[tuple[int, Weights]]:
        """Yield all enrollments in tiles, each with its start."""
        for start in range(0, len(self), self.most):
            yield start, self.tile(start, start + self.most)

    @property
    def most(self) -> int:
        """The number of enrollments in a tile."""
        _, m, d = self.encoder.shape
        if self.encoder.device.type != "cpu":
            most = _TILE_ACCELERATOR
        else:
            most = _TILE_WEIGHTS if self.encoder.dtype == torch.float32 else _TILE_WIDENED
        return max(1, most // (m * d))


def picked(pieces: Sequence[tuple[Weights, Int64[Tensor, " _"]]]) -> Weights:
    """Return a tile of some enrollments: one as it is, several as copies that are wiped.

    Each piece is some places in one stack. The copies are this thread's only ones: they hold until
    the next call or `wipe_scratch`.
    """
    if len(pieces) == 1 and len(pieces[0][1]) == 1:
        weights, place = pieces[0]
        return weights.tile(int(place), int(place) + 1)
    return Weights(
        *(
            _gathered(f"picked_{name}", [(getattr(w, name), places) for w, places in pieces])
            for name in Weights.__slots__
        )
    )


def tile_errors(x: Float[Tensor, "b d"], weights: Weights, out: Float[Tensor, "t b"]) -> None:
    """Write each enrollment's squared error (6) of each feature to `out`.

    Stored bfloat16 weights are widened first; everything is computed in float32.
    """
    encoder = _widened("encoder", weights.encoder)
    decoder = _widened("decoder", weights.decoder)
    floats = _BUFFER if x.device.type == "cpu" else _BUFFER_ACCELERATOR
    buffer = _scratch("buffer", max(floats, min(len(x), BATCH)), x.device)
    for start in range(0, len(x), BATCH):
        rows = x[start : start + BATCH]
        codes = _codes(rows, encoder, weights.encoder_bias)
        errors = out[:, start : start + BATCH]
        _decode_errors(rows, codes, decoder, weights.decoder_bias, errors, buffer)
    # Numbers that overflow reconstruct nothing, and a NaN would win every minimum.
    out.nan_to_num_(nan=math.inf, posinf=math.inf)


def score_picked(
    x: Float[Tensor, "b d"],
    pieces: Sequence[tuple[Weights, Int64[Tensor, " _"]]],
    out: Float[Tensor, "n b"],
    columns: Int64[Tensor, " k"],
) -> None:
    """Write each feature's error by some enrollments to the rows `columns` of `out`."""
    errors = torch.empty(len(columns), len(x), device=x.device)
    tile_errors(x, picked(pieces), errors)
    out[columns] = errors


def wipe_scratch() -> None:
    """Overwrite this thread's scratch memory, so that no erased enrollment stays in it."""
    for name, size in vars(_used).items():
        getattr(SCRATCH, name)[:size].zero_()
    vars(_used).clear()


def _scratch(name: str, size: int, device: torch.device) -> Float[Tensor, "size"]:
    """Return this thread's memory of that name: fresh pages each time cost more than the sums."""
    name = name if device.type == "cpu" else f"{name} {device}"
    kept: Tensor | None = getattr(SCRATCH, name, None)
    if kept is None or len(kept) < size:
        if kept is not None:
            kept.zero_()
        kept = torch.empty(size, device=device)
        setattr(SCRATCH, name, kept)
    # Only what was used is wiped: a few rows must not pay for the largest tile there ever was.
    setattr(_used, name, max(size, getattr(_used, name, 0)))
    return kept[:size]


def _gathered(name: str, pieces: Sequence[tuple[Tensor, Int64[Tensor, " _"]]]) -> Tensor:
    stored, count = pieces[0][0], sum(len(places) for _, places in pieces)
    shape = (count, *stored.shape[1:])
    size = math.prod(shape)
    words = -(-size * stored.itemsize // 4)  # scratch is float32, and bfloat16 half as long
    target = _scratch(name, words, stored.device).view(stored.dtype)[:size].view(shape)
    start = 0
    for tensor, places in pieces:
        end = start + len(places)
        torch.index_select(tensor, 0, places, out=target[start:end])
        start = end
    return target


def _widened(name: str, stored: Tensor) -> Tensor:
    if stored.dtype == torch.float32:
        return stored
    return _scratch(name, stored.numel(), stored.device).view(stored.shape).copy_(stored)


def _codes(
    x: Float[Tensor, "b d"], encoder: Float[Tensor, "t m d"], bias: Float[Tensor, "t m"]
) -> Float[Tensor, "t b m"]:
    """Eq. (2) for all enrollments of a tile, as one matrix product."""
    t, m, d = encoder.shape
    if len(x) == 1:
        # One feature makes it matrices times a vector, limited by memory. As a batch of small ones
        # they read it two to three times as fast as the library's product of all rows at once.
        hidden = torch.bmm(encoder, x.T.expand(t, d, 1)).view(t, 1, m)
        return hidden.add_(bias[:, None]).relu_()
    codes = torch.addmm(bias.view(-1), x, encoder.view(t * m, d).T).relu_()
    return codes.view(len(x), t, m).transpose(0, 1).contiguous()


def _decode_errors(
    x: Float[Tensor, "b d"],
    codes: Float[Tensor, "t b m"],
    decoder: Float[Tensor, "t d m"],
    bias: Float[Tensor, "t d"],
    out: Float[Tensor, "t b"],
    buffer: Float[Tensor, "size"],
) -> None:
    """Eqs (3) and (6), as many enrollments and dimensions at a time as the buffer holds."""
    b, d = x.shape
    width = min(d, max(1, len(buffer) // b))
    group = max(1, len(buffer) // (b * width))
    out.zero_()
    for first in range(0, len(codes), group):
        part = slice(first, min(first + group, len(codes)))
        count = part.stop - part.start
        for left in range(0, d, width):
            columns = slice(left, min(left + width, d))
            size = columns.stop - left
            y = buffer[: count * b * size].view(count, b, size)
            _logits(codes[part], decoder[part, columns], bias[part, columns], out=y)
            y.sigmoid_().sub_(x[:, columns])
            out[part] += torch.linalg.vector_norm(y, dim=2).square_()


def _logits(
    codes: Float[Tensor, "t b m"],
    decoder: Float[Tensor, "t d m"],
    bias: Float[Tensor, "t d"],
    *,
    out: Float[Tensor, "t b d"],
) -> None:
    """The argument of the sigmoid of eq. (3); for one feature as a vector times matrices."""
    if codes.shape[1] == 1:
        torch.bmm(codes, decoder.mT, out=out).add_(bias[:, None])
    else:
        torch.baddbmm(bias[:, None], codes, decoder.mT, out=out)
