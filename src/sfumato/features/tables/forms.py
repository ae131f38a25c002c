"""Forms of features on disk: told by a file's content when it is read, by its name when written.

A form is one file, or the folder that `datasets.Dataset.save_to_disk` writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from sfumato.errors import FormatError, InputError
from sfumato.features.tables import arrowfile, numpyfile, tensorfile
from sfumato.features.tables.table import FeatureTable, Source, Vectors


class Form(StrEnum):
    """How features lie on disk."""

    SAFETENSORS = "safetensors"
    NPY = "npy"
    NPZ = "npz"
    PARQUET = "parquet"
    ARROW = "arrow"
    DATASETS = "datasets"


FILE: Final = "features"
"""The name of the only file of a form that is one."""

MODE: Final = 0o600  # features in the clear are personal data

Files = Mapping[str, Source]
"""What a form consists of, by name."""

_STATE = "state.json"
_BESIDES = ("dataset_info.json",)
_STARTS = {
    b"\x93NUMPY": Form.NPY,
    b"PK\x03\x04": Form.NPZ,
    b"PK\x05\x06": Form.NPZ,
    b"PAR1": Form.PARQUET,
    b"ARROW1": Form.ARROW,
    b"\xff\xff\xff\xff": Form.ARROW,
}
_SUFFIXES = {
    ".safetensors": Form.SAFETENSORS,
    ".features": Form.SAFETENSORS,
    ".npy": Form.NPY,
    ".npz": Form.NPZ,
    ".parquet": Form.PARQUET,
    ".arrow": Form.ARROW,
}
_READERS = {
    Form.SAFETENSORS: tensorfile.read,
    Form.NPY: numpyfile.read_npy,
    Form.NPZ: numpyfile.read_npz,
}
_INSPECTORS = {
    Form.SAFETENSORS: tensorfile.inspect,
    Form.NPY: numpyfile.inspect_npy,
    Form.NPZ: numpyfile.inspect_npz,
}
_CHECKS: Mapping[Form, Callable[[FeatureTable], object]] = {
    Form.NPY: numpyfile.check_npy,
    Form.NPZ: numpyfile.check_npz,
}
_WRITERS = {
    Form.SAFETENSORS: tensorfile.write,
    Form.NPY: numpyfile.write_npy,
    Form.NPZ: numpyfile.write_npz,
    Form.PARQUET: arrowfile.write_parquet,
    Form.ARROW: arrowfile.write_arrow,
}


def form_named(path: Path) -> Form | None:
    """Return the form that a file's suffix names, or None."""
    return _SUFFIXES.get(path.suffix.lower())


def files_of(path: Path) -> tuple[Form, dict[str, Path]]:
    """Return the form of what lies at a path, and its files.

    Raises:
        FormatError: a folder that `datasets` did not write.
        InputError: it cannot be read, or is a folder of several splits.
    """
    try:
        if path.is_dir():
            return Form.DATASETS, _folder(path)
        with path.open("rb") as stream:
            start = stream.read(max(map(len, _STARTS)))
    except OSError as error:
        raise InputError(f"cannot read the features {path}: {error.strerror}") from error
    form = next((form for magic, form in _STARTS.items() if start.startswith(magic)), None)
    return form or Form.SAFETENSORS, {FILE: path}


def inspect(files: Files, form: Form, column: str | None, file: str) -> Vectors:
    """Return which vectors the files hold, in constant memory.

    Raises:
        FormatError: the files are not of this form, or hold no vectors.
        InputError: `column` is not there, or several could be meant.
    """
    if form in _INSPECTORS:
        return _INSPECTORS[form](files[FILE], column, file)
    return arrowfile.inspect(_arrow_sources(files, form), column, file)


def read(files: Files, form: Form, column: str | None, file: str) -> FeatureTable:
    """Return what the files hold. `file` is their name in messages.

    Raises:
        FormatError, InputError: as `inspect`.
    """
    if form in _READERS:
        return _READERS[form](files[FILE], column, file)
    return arrowfile.read(_arrow_sources(files, form), column, file)


def read_table(path: Path | str, column: str | None = None) -> FeatureTable:
    """Return the features at a path with all that is known of them.

    `column` names the vectors where a file has several.

    Raises:
        FormatError: the bytes are in none of the forms, or hold no vectors.
        InputError: nothing can be read, `column` is not there, or several could be meant.
    """
    form, files = files_of(Path(path))
    return read(files, form, column, str(path))


def write_table(table: FeatureTable, path: Path | str) -> None:
    """Write a table in the form that the suffix names (safetensors without one).

    The file can be read by its owner alone.

    Raises:
        InputError: the form would lose something of it, or the path cannot be written.
    """
    path = Path(path)
    _WRITERS[form_named(path) or Form.SAFETENSORS](table, path, mode=MODE)


def check_table(table: FeatureTable, path: Path | str) -> None:
    """Find out before long work whether a form has a place for such columns and metadata.

    Raises:
        InputError: the form that the suffix names would lose something of them.
    """
    check = _CHECKS.get(form_named(Path(path)) or Form.SAFETENSORS)
    if check is not None:
        check(table)


def _folder(path: Path) -> dict[str, Path]:
    if (path / "dataset_dict.json").is_file():
        raise InputError(f"{path} holds several splits; name the folder of one, as {path}/train")
    if not (path / _STATE).is_file():
        raise FormatError(f"{path}: expected a folder of datasets' save_to_disk, with {_STATE}")
    names = [_STATE, *arrowfile.data_files(path / _STATE)]
    names += [name for name in _BESIDES if (path / name).is_file()]
    missing = [name for name in names if not (path / name).is_file() or (path / name).is_symlink()]
    if missing:
        raise FormatError(f"{path}: expected the file {missing[0]}, which is missing or a link")
    return {name: path / name for name in names}


def _arrow_sources(files: Files, form: Form) -> list[Source]:
    if form is not Form.DATASETS:
        return [files[FILE]]
    return [files[name] for name in arrowfile.data_files(files[_STATE])]
