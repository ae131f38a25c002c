"""Files of features, sealed and opened again byte for byte, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import torch

from sfumato.cipher.envelope import Keys, open_chunks, seal_bytes
from sfumato.cipher.header import Header, Suite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.packing import MAGIC, Chunks, Joined, Packed, may_be_packed, unpack
from sfumato.errors import EnvelopeError, InputError
from sfumato.features.tables.forms import (
    FILE,
    MODE,
    Form,
    files_of,
    form_named,
    inspect,
    read,
    write_table,
)
from sfumato.features.tables.table import FeatureTable
from sfumato.files import replacing, replacing_folder

_NOTHING = torch.empty(0, dtype=torch.uint8)


def seal_file(
    source: Path,
    target: Path,
    key: EnvelopeKey,
    *,
    suite: Suite = Suite.AES_256_GCM,
    column: str | None = None,
) -> Packed:
    """Seal features in any form, with all that lies beside them, whole or not at all.

    `column` names the vectors where there are several; everything is sealed in any case.

    Raises:
        FormatError: `source` is in none of the forms, or holds no vectors.
        InputError: `source` cannot be read or `target` not written, `column` is not there, or
            there are more files than one envelope takes.
    """
    form, files = files_of(source)
    vectors = inspect(files, form, column, str(source))
    sizes = {name: path.stat().st_size for name, path in files.items()}
    packed = Packed(form, vectors.name, vectors.shape, sizes)
    paths = {path: sizes[name] for name, path in files.items()}
    with (
        replacing(target) as part,
        part.open("wb") as stream,
        closing(Joined(packed.pack(), paths)) as joined,
    ):
        seal_bytes(joined.read, packed.size, stream.write, key, suite=suite)
    return packed


def open_file(source: Path, target: Path, keys: Keys) -> tuple[Header, tuple[int, ...]]:
    """Open an envelope; what was sealed appears once all of it is authentic.

    It has the form that it had, byte for byte, unless the target's suffix names another one: it is
    converted in memory then.

    Returns the envelope's header and the shape of the vectors.

    Raises:
        InputError: `source` cannot be read or `target` not written, or the form that the suffix
            names would lose something.
        EnvelopeError, KeyRingError: as `open_envelope`.
        FormatError: it is authentic, and no features.
    """
    with _chunks(source, keys) as (header, packed, chunks):
        if packed is not None and form_named(target) in (None, packed.form):
            _write_files(packed, chunks, target)
            return header, packed.shape
        table = _table(header, packed, chunks)
    write_table(table, target)
    return header, tuple(table.vectors.shape)


def open_table(source: Path, keys: Keys) -> FeatureTable:
    """Return the features of an envelope file; nothing is written in the clear.

    Raises:
        InputError: `source` cannot be read.
        EnvelopeError, KeyRingError: as `open_envelope`.
        FormatError: it is authentic, and no features.
    """
    with _chunks(source, keys) as opened:
        return _table(*opened)


def is_sealed(path: Path) -> bool:
    """Say whether a file begins as an envelope does."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"SFEV"


@contextmanager
def _chunks(source: Path, keys: Keys) -> Iterator[tuple[Header, Packed | None, Chunks]]:
    """Yield the header, what is packed in the envelope (None: a lone tensor), and what is left."""
    try:
        stream = source.open("rb")
    except OSError as error:
        raise InputError(f"cannot read the envelope {source}: {error.strerror}") from error
    with stream:
        try:
            header, plain = open_chunks(stream.read, source.stat().st_size, keys)
        except OSError as error:
            raise EnvelopeError from error
        chunks = Chunks(plain)
        start = chunks.exactly(len(MAGIC)) if may_be_packed(header) else b""
        if start == MAGIC:
            yield header, unpack(chunks), chunks
        else:
            chunks.put_back(start)
            yield header, None, chunks


def _table(header: Header, packed: Packed | None, chunks: Chunks) -> FeatureTable:
    if packed is None:
        content = chunks.exactly(header.plain_bytes)
        chunks.check_end()
        flat = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else _NOTHING
        return FeatureTable(vectors=flat.view(header.dtype).view(header.shape))
    files = {name: chunks.exactly(size) for name, size in packed.files.items()}
    chunks.check_end()
    return read(files, packed.form, packed.vectors, "the sealed file")


def _write_files(packed: Packed, chunks: Chunks, target: Path) -> None:
    if packed.form is not Form.DATASETS:
        with replacing(target, mode=MODE) as part, part.open("wb") as stream:
            chunks.copy(packed.files[FILE], stream.write)
            chunks.check_end()
        return
    with replacing_folder(target, ours=tuple(packed.files)) as folder:
        for name, size in packed.files.items():
            with (folder / name).open("xb") as stream:
                (folder / name).chmod(MODE)
                chunks.copy(size, stream.write)
        chunks.check_end()
