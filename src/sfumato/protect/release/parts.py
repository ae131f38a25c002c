"""A release that is under way: its folder, and what it is made of, told by content.

The folder `.NAME.part` holds the pictures so far and a state that says of which protector,
pictures and labels they were made. Another protector, or a collection that changed, is never
mixed with them, whatever the command was called.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

from sfumato._version import __version__
from sfumato.counted import counted
from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.leftout import FILE_COLUMN, LeftOut, named, table_of, write_list
from sfumato.data.metadata import METADATA
from sfumato.errors import InputError
from sfumato.files import make_empty, resumable_writes, swap_folder, write_bytes
from sfumato.fingerprint import fingerprint
from sfumato.protect.release.noise import fresh_secret
from sfumato.types import Protector

_STATE = ".progress.json"
_LEFT_OUT = ".left-out.csv"
_WORDS = {
    "protector": "the protector",
    "pictures": "the pictures, their labels, or how they are read",
    "labels": "which labels are kept",
    "version": "the version of sfumato",
}


def left_out_list(out: Path) -> Path:
    """Return where the files that a release left out are listed: beside it, never inside."""
    return out.with_name(f"{out.name}.left-out.csv")


def write_left_out(out: Path, left_out: Sequence[LeftOut]) -> None:
    """List what a release left out, beside it; without any, there is no list."""
    path = left_out_list(out)
    path.unlink(missing_ok=True)
    if left_out:
        write_list(path, left_out)


@dataclass(slots=True)
class Progress:
    """How far a release came; a number of bytes says how much of a table counts."""

    made_of: Mapping[str, str]
    files: int
    secret: str
    """Draws the order and all noise; whoever has it can take the noise away again."""
    read: int = 0
    written: int = 0
    table_bytes: int = 0
    left_out: int = 0
    left_out_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """The folder of a release that is under way."""

    folder: Path
    labels: tuple[str, ...]
    progress: Progress

    @property
    def secret(self) -> bytes:
        """What draws the order of the pictures and their noise."""
        return bytes.fromhex(self.progress.secret)

    def keep(
        self,
        files: Sequence[bytes],
        values: Sequence[Sequence[str]],
        left_out: Sequence[LeftOut],
        *,
        read: int,
    ) -> None:
        """Add released pictures with their labels, and what was left out on the way.

        Raises:
            InputError: they cannot be written.
        """
        at = self.progress
        names = [f"{at.written + i:08d}.png" for i in range(len(files))]
        rows = [[name, *row] for name, row in zip(names, values, strict=True)]
        head = [] if at.table_bytes else [[FILE_COLUMN, *self.labels]]
        with resumable_writes(self.folder):
            for name, content in zip(names, files, strict=True):
                (self.folder / name).write_bytes(content)
            at.table_bytes = self._append(METADATA, at.table_bytes, [*head, *rows])
            at.left_out_bytes = self._append(_LEFT_OUT, at.left_out_bytes, left_out)
        at.read += read
        at.written += len(files)
        at.left_out += len(left_out)
        self.note()

    def note(self) -> None:
        """Write down how far the release came."""
        write_bytes(self.folder / _STATE, json.dumps(asdict(self.progress)).encode(), mode=0o600)

    def left_out(self, most: int | None = None) -> list[LeftOut]:
        """Return the files that were left out, or the first of them."""
        with (
            suppress(FileNotFoundError),
            (self.folder / _LEFT_OUT).open(encoding="utf-8", newline="") as stream,
        ):
            return [LeftOut(*row) for row in islice(csv.reader(stream), most)]
        return []

    def named(self) -> str:
        """Return the first few files that were left out, with their reasons."""
        return named(self.left_out(3), self.progress.left_out)

    def finish(self, out: Path) -> None:
        """Put the whole release in its place, and the list of what it lacks beside it."""
        left_out = self.left_out()
        if left_out or not self.progress.left_out:  # else this was done, and then interrupted
            write_left_out(out, left_out)
        notes = [path for path in self.folder.iterdir() if path.name.startswith(".")]
        for path in sorted(notes, key=lambda path: path.name == _STATE):  # the state goes last
            path.unlink()
        swap_folder(self.folder, out)

    def _append(self, name: str, after: int, rows: Sequence[Sequence[str]]) -> int:
        """Write rows behind what counts of a table, and return how much counts now."""
        content = table_of(rows)
        if content:
            with (self.folder / name).open("ab") as stream:
                stream.truncate(after)
                stream.write(content)
        return after + len(content)


def begin(
    protector: Protector, images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]
) -> Part:
    """Return the interrupted release of the same content, or start a new one.

    Raises:
        InputError: something else is there, or the folder cannot be written.
    """
    found = under_way(protector, images, out, labels)
    folder = _folder_of(out)
    if found is None:
        return _new(folder, _made_of(protector, images, labels), images, labels)
    for number in count(found.written):  # what was written after the last note
        try:
            (folder / f"{number:08d}.png").unlink()
        except FileNotFoundError:
            break
    return Part(folder, tuple(labels), found)


def _folder_of(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _made_of(
    protector: Protector, images: FolderImages | LoadedImages, labels: Sequence[str]
) -> dict[str, str]:
    return {
        "protector": fingerprint(protector),
        "pictures": images.fingerprint(),
        "labels": json.dumps(list(labels)),
        "version": __version__,
    }


def under_way(
    protector: Protector, images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]
) -> Progress | None:
    """Return how far an interrupted release of the same came; None where there is none.

    Raises:
        InputError: one of something else is there.
    """
    folder, found = _folder_of(out), _found(_folder_of(out))
    if found is None:
        return None
    made_of = _made_of(protector, images, labels)
    changed = [_WORDS[key] for key, value in made_of.items() if found.made_of.get(key) != value]
    if changed:
        counts = f" ({counted(found.files, 'file')} then, {len(images):,} now)"
        raise InputError(
            f"{folder} is an interrupted release of something else: {' and '.join(changed)} "
            f"changed{counts if found.files != len(images) else ''}. Delete that folder to start "
            "anew, or bring back what it was made of to go on"
        )
    return found


def _found(folder: Path) -> Progress | None:
    with suppress(OSError, ValueError, TypeError):
        found = Progress(**json.loads((folder / _STATE).read_bytes()))
        bytes.fromhex(found.secret)  # a state that was damaged is none
        return found
    return None


def _new(
    folder: Path,
    made_of: Mapping[str, str],
    images: FolderImages | LoadedImages,
    labels: Sequence[str],
) -> Part:
    make_empty(folder)
    progress = Progress(made_of=made_of, files=len(images), secret=fresh_secret().hex())
    part = Part(folder, tuple(labels), progress)
    part.note()
    write_bytes(folder / _LEFT_OUT, b"", mode=0o600)  # names are private
    part.keep([], [], images.left_out, read=0)
    return part
