"""The plain content of a sealed features file: its form, then its files, byte for byte.

Layout, docs/formats.md: magic (8 bytes), the length of a JSON object (4, big-endian), the object,
and the files one after the other.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.cipher.header import Header
from sfumato.errors import FormatError, InputError
from sfumato.features.tables.forms import Form
from sfumato.files import MALFORMED

MAGIC = b"SFFILES\x01"
_LENGTH = struct.Struct(">I")
_LIMIT_BYTES = 1 << 20  # of the JSON object: some ten thousand files


@dataclass(frozen=True, slots=True)
class Packed:
    """What lies in a sealed features file.

    Raises:
        FormatError: a name is no name of a file in a folder, or a length is none.
    """

    form: Form
    vectors: str
    """Name of the vectors' column or tensor."""
    shape: tuple[int, ...]
    files: Mapping[str, int]
    """Bytes of each file, in order."""

    def __post_init__(self) -> None:
        plain = all(n and n == Path(n).name and "\\" not in n and n[0] != "." for n in self.files)
        if not self.files or not plain or min(self.files.values()) < 0:
            raise FormatError(f"the sealed files' names or lengths are wrong: {dict(self.files)}")

    def pack(self) -> bytes:
        """Return what comes before the files' bytes.

        Raises:
            InputError: there are more files than a reader takes.
        """
        document = {
            "form": self.form.value,
            "vectors": self.vectors,
            "shape": list(self.shape),
            "files": [{"name": name, "bytes": size} for name, size in self.files.items()],
        }
        text = json.dumps(document, sort_keys=True).encode()
        if len(text) > _LIMIT_BYTES:
            raise InputError(
                f"expected files whose names and sizes take {_LIMIT_BYTES:,} bytes at most, got "
                f"{len(self.files):,} that take {len(text):,}; write the features to fewer files"
            )
        return MAGIC + _LENGTH.pack(len(text)) + text

    @property
    def size(self) -> int:
        """Bytes of all."""
        return len(self.pack()) + sum(self.files.values())


class Chunks:
    """Reads any number of bytes at a time from chunks that come in sizes of their own."""

    def __init__(self, chunks: Iterator[UInt8[Tensor, "bytes"]]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def read(self, most: int) -> memoryview:
        """Return up to `most` bytes, and none only at the end."""
        while not len(self._rest):
            chunk = next(self._chunks, None)
            if chunk is None:
                return self._rest
            self._rest = chunk.numpy().data
        taken, self._rest = self._rest[:most], self._rest[most:]
        return taken

    def put_back(self, start: bytes) -> None:
        """Let the next bytes be these, which were read already."""
        self._rest = memoryview(start + bytes(self._rest))

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes.

        Raises:
            FormatError: there are fewer.
        """
        parts = bytearray()
        while len(parts) < size:
            part = self.read(size - len(parts))
            if not len(part):
                raise FormatError("the sealed files are shorter than they say")
            parts += part
        return bytes(parts)

    def copy(self, size: int, write: Callable[[memoryview], object]) -> None:
        """Write `size` bytes, a chunk at a time.

        Raises:
            FormatError: there are fewer.
        """
        while size:
            part = self.read(size)
            if not len(part):
                raise FormatError("the sealed files are shorter than they say")
            write(part)
            size -= len(part)

    def check_end(self) -> None:
        """Read to the end, which proves that all before was whole.

        Raises:
            FormatError: there is more.
        """
        if len(self.read(1)):
            raise FormatError("the sealed files are longer than they say")


def may_be_packed(header: Header) -> bool:
    """Say whether an envelope may hold files: else it is a lone tensor."""
    long = header.plain_bytes >= len(MAGIC) + _LENGTH.size
    return header.dtype == torch.uint8 and len(header.shape) == 1 and long


def unpack(chunks: Chunks) -> Packed:
    """Take what comes before the files, `MAGIC` already read.

    Raises:
        FormatError: it is not what we write.
    """
    (length,) = _LENGTH.unpack(chunks.exactly(_LENGTH.size))
    if length > _LIMIT_BYTES:
        raise FormatError(f"expected at most {_LIMIT_BYTES:,} bytes about files, got {length:,}")
    try:
        document = json.loads(chunks.exactly(length))
        files = {str(file["name"]): int(file["bytes"]) for file in document["files"]}
        shape = tuple(int(side) for side in document["shape"])
        return Packed(Form(document["form"]), str(document["vectors"]), shape, files)
    except MALFORMED as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"expected a list of sealed files: {error!r}") from error


class Joined:
    """Reads a prefix and then files, one after the other."""

    def __init__(self, prefix: bytes, files: Mapping[Path, int]) -> None:
        self._prefix, self._files = prefix, iter(files.items())
        self._open: IO[bytes] | None = None
        self._left = 0

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer where a file is shorter than it was."""
        found = bytearray(self._prefix[:size])
        self._prefix = self._prefix[size:]
        while len(found) < size:
            if not self._left and not self._next():
                break
            part = self._open.read(min(self._left, size - len(found))) if self._open else b""
            if not part:
                break
            found += part
            self._left -= len(part)
        return bytes(found)

    def close(self) -> None:
        """Close the file that is open."""
        if self._open:
            self._open.close()

    def _next(self) -> bool:
        self.close()
        path, self._left = next(self._files, (None, 0))
        if path is None:
            return False
        self._open = path.open("rb")
        return self._left > 0 or self._next()
