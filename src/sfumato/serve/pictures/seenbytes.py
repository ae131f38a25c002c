"""What a process that decodes pictures is asked, and what it answers, as bytes. Nothing is pickled.

A question is a number that was drawn for it, two bytes (whether large pictures are wanted, whether
hashes are) and the file. Its answer repeats the number, so that none is taken for another's. After
that comes a byte: 0 what was seen, 1 a large picture, from 2 on an error and its text.
What was seen is three uint32 (rows, features a row, pictures), the features in float32, of each row
its picture, of each picture its frame and the number of its hashes, and the hashes; all numbers
little-endian.

An answer comes from where a stranger's bytes were read, so every number of it is checked.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import torch
from torch import Tensor

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import (
    ConfigError,
    DataError,
    ImageError,
    ServiceError,
    SfumatoError,
    UnavailableError,
)
from sfumato.filter.neardup import BYTES
from sfumato.printable import printable
from sfumato.serve.pictures.extract import NO_HASHES, Found, Seen

MOST_BYTES: Final = 64 << 20
"""Of an answer: 400 frames of many faces, of a wide backbone, have fewer."""
NUMBER_BYTES: Final = 8
"""Of the number of a question: too many to be guessed before it came."""
_MOST_PICTURES: Final = ImageLimits().max_frames
_SEEN: Final = 0
_LARGE: Final = 1
_ERRORS: Final[tuple[type[SfumatoError], ...]] = (
    ImageError,
    DataError,
    ConfigError,
    UnavailableError,
)
_ERROR: Final = 2
_UNKNOWN: Final = 255
_TEXT: Final = 2000  # characters of an error
_COUNTS: Final = struct.Struct("<BIII")
_UINT_BYTES: Final = 4
_FEATURE: Final = np.dtype("<f4")


def pack_question(number: bytes, content: bytes, *, large: bool, hashes: bool) -> bytes:
    """Return a question about a file; `number` has `NUMBER_BYTES` bytes."""
    return number + bytes((large, hashes)) + content


def unpack_question(message: bytes) -> tuple[bytes, bytes, bool, bool]:
    """Return number and file of a question, whether large pictures are wanted, whether hashes."""
    number, rest = message[:NUMBER_BYTES], message[NUMBER_BYTES:]
    return number, rest[2:], bool(rest[0]), bool(rest[1])


def answer_to(number: bytes, message: bytes) -> bytes:
    """Return of a message what answers the question of this number.

    Raises:
        ServiceError: it answers another one.
    """
    if message[:NUMBER_BYTES] != number:
        raise ServiceError("an answer about a picture came that was not asked about")
    return message[NUMBER_BYTES:]


def pack_answer(found: Found) -> bytes:
    """Return the answer: what was seen, None for a large picture, or an error."""
    if found is None:
        return bytes((_LARGE,))
    if isinstance(found, BaseException):
        known = next((i for i, kind in enumerate(_ERRORS) if isinstance(found, kind)), None)
        kind = _UNKNOWN if known is None else _ERROR + known
        return bytes((kind,)) + str(found)[-_TEXT:].encode(errors="replace")
    rows, width = found.features.shape
    numbers = (*found.pictures, *found.frames, *map(len, found.hashes))
    parts = (
        _COUNTS.pack(_SEEN, rows, width, len(found.frames)),
        found.features.numpy().astype(_FEATURE).tobytes(),
        struct.pack(f"<{len(numbers)}I", *numbers),
        *(one.numpy().tobytes() for one in found.hashes),
    )
    return b"".join(parts)


def unpack_answer(message: bytes, *, dim: int) -> Found:
    """Return what `pack_answer` was given, of a backbone of `dim` features.

    Raises:
        ServiceError: it is no answer.
    """
    kind = message[0] if message else _UNKNOWN
    if kind == _SEEN:
        return _seen(message, dim)
    if kind == _LARGE and len(message) == 1:
        return None
    text = printable(message[1:].decode(errors="replace"))
    if _ERROR <= kind < _ERROR + len(_ERRORS):
        return _ERRORS[kind - _ERROR](text)
    if kind == _UNKNOWN and text:
        return RuntimeError(text)
    raise ServiceError(f"expected an answer about a picture, got {len(message):,} other bytes")


def _seen(message: bytes, dim: int) -> Seen:
    if len(message) < _COUNTS.size:
        raise ServiceError("an answer about a picture was cut short")
    _, rows, width, pictures = _COUNTS.unpack_from(message)
    numbers_at = _COUNTS.size + _FEATURE.itemsize * rows * width
    hashes_at = numbers_at + _UINT_BYTES * (rows + 2 * pictures)
    if width != dim or not 0 < pictures <= _MOST_PICTURES or hashes_at > len(message):
        raise ServiceError(
            f"expected an answer of {dim} features a row, got {rows} of {width}, of {pictures} "
            "pictures"
        )
    numbers = struct.unpack_from(f"<{rows + 2 * pictures}I", message, numbers_at)
    shows, frames, counts = numbers[:rows], numbers[rows:-pictures], numbers[-pictures:]
    # A copy: what was received cannot be written to, and torch wants to be able to.
    features = np.frombuffer(message, _FEATURE, rows * width, _COUNTS.size).astype(np.float32)
    sound = bool(np.isfinite(features).all()) and max(shows, default=0) < pictures
    if not sound or len(message) != hashes_at + BYTES * sum(counts):
        raise ServiceError("an answer about a picture contradicts itself")
    hashes = (NO_HASHES,) * pictures if len(message) == hashes_at else _hashes(message, counts)
    return Seen(torch.from_numpy(features).view(rows, width), shows, hashes, frames)


def _hashes(message: bytes, counts: tuple[int, ...]) -> tuple[Tensor, ...]:
    rows = np.frombuffer(message, np.uint8, BYTES * sum(counts), len(message) - BYTES * sum(counts))
    each: tuple[Tensor, ...] = torch.from_numpy(rows.copy()).view(-1, BYTES).split(list(counts))
    return each
