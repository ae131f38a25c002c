"""Writing that is whole or absent; safetensors and JSON from anyone, read with suspicion."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import safetensors
import safetensors.torch
from torch import Tensor

from sfumato.errors import FormatError, InputError, SfumatoError

_HEADER_LENGTH_BYTES = 8  # little-endian, before the JSON header of a safetensors file
_METADATA_KEY = "sfumato"
_PIPE_LIMIT_BYTES = 1 << 28  # of a pipe or a device, which may have no end
_NAMED = 50  # characters of a file's name that the name of its temporary file begins with
_PART = 1 << 20  # bytes at once of what does not say how long it is

MALFORMED: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What parsing JSON, and taking it apart, raise where it is not what we write."""


def at_home(path: str | Path) -> Path:
    """Return a path whose first `~` is the home folder: no shell expands it inside an option."""
    return Path(os.path.expanduser(path))


@contextmanager
def resumable_writes(folder: Path) -> Iterator[None]:
    """Say of an error of writing that a command, which keeps what it has, can go on after it.

    Raises:
        InputError: something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {error.strerror}; mend that, and the same command goes on"
        ) from error


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it and rename it into place.

    A reader sees the old file or the whole new one. On any error, a full disk included, the
    temporary file is removed and `path` is as it was. A link stays, and what it leads to is
    replaced.

    Raises:
        InputError: it cannot be written, or is no plain file.
    """
    path = Path(os.path.realpath(path))
    refuse_no_file(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=part_prefix(path), suffix=".part")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.chmod(mode)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; nothing was changed") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, ours: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes `path`'s place.

    A folder that is already there is replaced only where it holds nothing but files named in
    `ours`. On any error the temporary folder is removed and `path` is as it was. A link stays, and
    what it leads to is replaced.

    Raises:
        InputError: the place is taken by something else, or cannot be written.
    """
    path = Path(os.path.realpath(path))
    refuse_foreign(path, ours)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=path.parent, prefix=part_prefix(path), suffix=".part"))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    try:
        yield part
        part.chmod(0o755)
        swap_folder(part, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; nothing was changed") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def part_prefix(path: Path) -> str:
    """Return how the name of a temporary file beside `path` begins.

    All of a name of 255 bytes, the most there is, would leave no room for anything beside it.
    """
    return f".{path.name[:_NAMED]}."


def check_file(path: Path) -> None:
    """Find out before long work whether a file can be written at `path`; nothing is changed.

    Raises:
        InputError: a folder, a device or a pipe is there, or its folder cannot be written in.
    """
    refuse_no_file(Path(os.path.realpath(path)))
    _try_to_write(path, path.parent)


def check_folder(path: Path) -> None:
    """Find out before long work whether files can be written into `path`; nothing is changed.

    Raises:
        InputError: a file is there, or the folder, or the one to make it in, cannot be written in.
    """
    if os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f"expected a folder at {path}, but it is a file; choose another place")
    _try_to_write(path, path)


def _try_to_write(path: Path, folder: Path) -> None:
    """Write a file without a name in the nearest folder that is there: it is gone at once."""
    folder = Path(os.path.realpath(folder))
    there = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error


def refuse_no_file(path: Path) -> None:
    """Raise an InputError where a folder, a device or a pipe is at the place of a file."""
    # A device's place would be taken by the file: a root user would lose /dev/null.
    if os.path.exists(path) and not path.is_file():
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise InputError(f"cannot write {path}: it is {kind}; name a file")


def refuse_foreign(path: Path, ours: Sequence[str]) -> None:
    """Raise an InputError where `path` is a file, or a folder that must not be replaced.

    Such a one has other files than `ours`, or is the one that the command runs in.
    """
    if os.path.lexists(path) and not os.path.isdir(path):
        raise InputError(f"expected a folder at {path}, but it is a file; choose another place")
    if os.path.realpath(path) == os.path.realpath(os.curdir):
        raise InputError(
            f"{path} is the folder that this runs in, and would be replaced; name a new one in it"
        )
    there = path.iterdir() if os.path.isdir(path) else ()
    foreign = [entry.name for entry in there if entry.name not in ours]
    if foreign:
        raise InputError(
            f"{path} holds other files ({', '.join(sorted(foreign)[:3])}); choose another folder"
        )


def swap_folder(part: Path, path: Path) -> None:
    """Put the finished folder `part` in the place of `path`, whose old content is removed."""
    old = part.with_suffix(".old")
    if path.exists():
        path.rename(old)
    part.rename(path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_bytes(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path, mode=mode) as part:
        part.write_bytes(content)


def read_limited(path: Path, *, limit_bytes: int, error: type[SfumatoError] = InputError) -> bytes:
    """Return a file's content; no more than the limit is ever in memory, of a device neither.

    Raises:
        InputError: (or the given `error`) the file cannot be read, or is larger.
    """
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                limit_bytes = min(limit_bytes, _PIPE_LIMIT_BYTES)
            size = found.st_size
            parts = list(_parts(stream, size, limit_bytes + 1))
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}") from cause
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    if len(content) > limit_bytes:
        got = max(size, len(content))
        raise error(f"{path}: expected at most {limit_bytes:,} bytes, got {got:,}")
    return content


def _parts(stream: BinaryIO, size: int, most: int) -> Iterator[bytes]:
    """Yield up to `most` bytes: a file of that size at once, a pipe or a device bit by bit.

    To read with a limit makes room for the limit, which may be more than there is.
    """
    at_once = max(size, _PART)
    while most > 0 and (part := stream.read(min(most, at_once))):
        yield part
        most, at_once = most - len(part), _PART


def pack_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Return one safetensors file as bytes; the same content gives the same bytes.

    The metadata travels as one JSON string, because the library writes several keys in a random
    order.
    """
    packed = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(packed, _packed(metadata))


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, mode: int = 0o644
) -> None:
    """Write contiguous CPU tensors of any size to `path` without a copy, whole or not at all."""
    with replacing(path, mode=mode) as part:
        try:
            safetensors.torch.save_file(dict(tensors), part, _packed(metadata))
        except safetensors.SafetensorError as error:
            raise InputError(f"cannot write {path}: {error}; nothing was changed") from error


def unpack_tensors(
    content: bytes, *, limit_bytes: int, error: type[FormatError] = FormatError
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of one safetensors file from anywhere.

    The size is checked first; the library then checks that offsets lie inside the file, do not
    overlap and fit their shapes. The tensors own their memory. A file that Sfumato did not write
    has empty metadata.

    Raises:
        FormatError: (or the given `error`) the bytes are too many, or are no safetensors file.
    """
    if len(content) > limit_bytes:
        raise error(f"expected at most {limit_bytes:,} bytes, got {len(content):,}")
    try:
        tensors = safetensors.torch.load(content)
        header = _parsed(content[_HEADER_LENGTH_BYTES : _header_end(content)])
    except (safetensors.SafetensorError, *MALFORMED) as cause:
        raise error(f"expected a whole safetensors file: {cause}") from cause
    return tensors, _metadata(header, error)


def read_tensors(
    path: Path, *, limit_bytes: int, error: type[FormatError] = FormatError
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file from disk as `unpack_tensors` does, without reading past the limit.

    Raises:
        FormatError: (or the given `error`) the file is missing, too large or malformed.
    """
    content = read_limited(path, limit_bytes=limit_bytes, error=error)
    try:
        return unpack_tensors(content, limit_bytes=limit_bytes, error=error)
    except FormatError as cause:
        raise error(f"{path}: {cause}") from cause


def read_json(
    path: Path, *, limit_bytes: int, error: type[FormatError] = FormatError
) -> dict[str, Any]:
    """Read a file that holds one JSON object, without reading past the limit.

    Raises:
        FormatError: (or the given `error`) the file is missing, too large or no JSON object.
    """
    content = read_limited(path, limit_bytes=limit_bytes, error=error)
    try:
        document = _parsed(content)
    except MALFORMED as cause:
        raise error(f"{path} is no JSON: {cause}") from cause
    if not isinstance(document, dict):
        raise error(f"{path}: expected a JSON object, got {type(document).__name__}")
    return document


def map_tensors(
    path: Path, *, error: type[FormatError] = FormatError
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Map a safetensors file: nothing is read until it is used, and changes stay in memory.

    Raises:
        FormatError: (or the given `error`) the file is missing or malformed.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = {"__metadata__": file.metadata() or {}}
        return safetensors.torch.load_file(path), _metadata(header, error)
    except OSError as cause:
        raise error(f"cannot read {path}: {cause.strerror or cause}") from cause
    except safetensors.SafetensorError as cause:
        raise error(f"{path}: expected a whole safetensors file: {cause}") from cause


def _parsed(text: str | bytes) -> Any:  # noqa: ANN401 - whatever JSON holds
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys differ: of two values, two readers might take one each."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"it has the key {twice[:40]!r} twice")
    return made


def _packed(metadata: Mapping[str, str]) -> dict[str, str]:
    return {_METADATA_KEY: json.dumps(metadata, sort_keys=True)}


def _header_end(content: bytes) -> int:
    length = int.from_bytes(content[:_HEADER_LENGTH_BYTES], "little")
    return _HEADER_LENGTH_BYTES + length


def _metadata(header: dict[str, dict[str, str]], error: type[FormatError]) -> dict[str, str]:
    try:
        metadata = _parsed(header.get("__metadata__", {}).get(_METADATA_KEY, "{}"))
    except MALFORMED as cause:
        raise error(f"expected metadata in JSON: {cause}") from cause
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise error("expected metadata that maps names to strings")
    return metadata


def sync_folder(folder: Path) -> None:
    """Let the names in a folder reach the disk."""
    # Not every file system lets a folder be opened for this; the rename itself is atomic anyway.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def make_empty(folder: Path) -> None:
    """Make a folder, and its parents, that nothing lies in yet.

    Raises:
        InputError: it cannot be written, or holds files of something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = next(folder.iterdir(), None)
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {error.strerror}; choose another place"
        ) from error
    if foreign is not None:
        raise InputError(f"{folder} holds files of something else; delete it, or move it away")
