"""Looks for bytes of erased content in a database's files.

Of content that is erased, marks are kept: 64-bit hashes of a few short pieces, from which no byte
can be computed. A rolling hash of every piece of a file is compared with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8, UInt64

_PIECE: Final = 32  # bytes of a piece
_EVERY: Final = 2048  # so that every page of a database that holds content holds whole pieces
_VARIED: Final = 12  # different bytes of a piece that nothing else holds by chance
_FACTOR: Final = 0x9E37_79B9_7F4A_7C15
READ_BYTES: Final = 4 << 20
"""Bytes of a file that are looked through at once."""
_BITS: Final = 22


def marks_of(content: bytes) -> bytes:
    """Return the marks of some content, to be kept when it is erased."""
    hashes = _hashes(np.frombuffer(content, np.uint8))
    wanted = [
        at for at in range(0, len(hashes), _EVERY) if len(set(content[at : at + _PIECE])) >= _VARIED
    ]
    marks: bytes = hashes[wanted].astype("<u8").tobytes()
    return marks


class Marks:
    """The marks of everything that was erased, and what of it was found."""

    def __init__(self, erased: Iterable[bytes]) -> None:
        kept = b"".join(erased)
        self._wanted = np.unique(np.frombuffer(kept, "<u8").astype(np.uint64))

    def __len__(self) -> int:
        return len(self._wanted)

    def leave_out(self, content: bytes) -> None:
        """Do not look for pieces that live content has as well: a copy of what was erased, say."""
        if len(self._wanted):
            found = self._among(_hashes(np.frombuffer(content, np.uint8)))
            self._wanted = np.setdiff1d(self._wanted, found)

    def found_in(self, path: Path) -> int:
        """Return how many of the pieces a file holds; 0 where there is no such file."""
        if not len(self._wanted) or not path.is_file():
            return 0
        found: list[UInt64[np.ndarray, " _"]] = []
        with path.open("rb") as file:
            before = b""
            while part := file.read(READ_BYTES):
                found.append(self._among(_hashes(np.frombuffer(before + part, np.uint8))))
                before = part[1 - _PIECE :]
        return len(np.unique(np.concatenate(found))) if found else 0

    def _among(self, hashes: UInt64[np.ndarray, " n"]) -> UInt64[np.ndarray, " _"]:
        # Most are ruled out by a table of their last bits; searching for each would take minutes.
        table = np.zeros(1 << _BITS, bool)
        last = np.uint64((1 << _BITS) - 1)
        table[self._wanted & last] = True
        likely = hashes[table[hashes & last]]
        found: UInt64[np.ndarray, " _"] = likely[np.isin(likely, self._wanted)]
        return found


def _hashes(data: UInt8[np.ndarray, " n"]) -> UInt64[np.ndarray, " _"]:
    """Return the hash of the piece at every offset: a polynomial in the bytes, modulo 2^64."""
    if len(data) < _PIECE:
        return np.empty(0, np.uint64)
    hashes, factor, width = data.astype(np.uint64) + np.uint64(1), _FACTOR, 1
    while width < _PIECE:
        hashes = hashes[:-width] * np.uint64(factor) + hashes[width:]
        factor, width = factor * factor % (1 << 64), 2 * width
    return hashes
