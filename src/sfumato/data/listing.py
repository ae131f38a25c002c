"""The files of a folder at any depth: nothing is passed over in silence.

Names that start with a dot are hidden, here as everywhere. A link that leads out of the folder is
never followed, whether to a file or to a folder: whoever hands over a folder would otherwise
choose what is read elsewhere. What a link inside the folder leads to is read under its own name,
and once, or else the same picture could be among those to learn from and those to judge by. A
link to a hidden file is read (so do stores of large files keep their content), one to a hidden
folder is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sfumato.data.leftout import LeftOut, shortened
from sfumato.errors import DataError

OUTSIDE = "a link that leads out of the folder"


@dataclass(frozen=True, slots=True)
class Listing:
    """Paths inside the folder (with `/`), sorted, and what is left out unread."""

    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def list_files(folder: Path) -> Listing:
    """Return every file that is not hidden, and every link and subfolder that is not read.

    Raises:
        DataError: the folder does not exist, is a file, or cannot be read.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"expected a folder of pictures, but {folder} {kind}")
    walk = _Walk(folder, folder.resolve())
    walk.enter()
    for inside in sorted(walk.links):
        walk.follow(inside)
    return Listing(tuple(sorted(walk.files)), tuple(sorted(walk.left_out)))


@dataclass(slots=True)
class _Walk:
    folder: Path
    root: Path
    """The folder without links."""
    files: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    read: dict[Path, str] = field(default_factory=dict)
    """Hidden files that links have led to, and the first such link."""

    def enter(self) -> None:
        """List the folder and the folders in it; no link is followed, so there is an end."""
        folders = [""]
        while folders:
            inside = folders.pop()
            try:
                with os.scandir(self.folder / inside) as entries:
                    folders += self._sort(entries, f"{inside}/" if inside else "")
            except OSError as error:
                self._unreadable(inside, error)

    def _sort(self, entries: Iterable[os.DirEntry[str]], start: str) -> list[str]:
        """Put entries where they belong, and return the folders among them."""
        folders = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = start + entry.name
            if entry.is_symlink():
                self.links.append(path)
            elif entry.is_dir():
                folders.append(path)
            else:
                self.files.append(path)
        return folders

    def follow(self, inside: str) -> None:
        """Read what a link leads to, or say why not."""
        try:
            target = (self.folder / inside).resolve(strict=True)
        except (OSError, RuntimeError):  # Python before 3.13 raises the latter of a loop
            self.left_out.append(LeftOut(inside, "a link that leads nowhere"))
            return
        reason = self._refused(target)
        if reason is not None:
            self.left_out.append(LeftOut(inside, reason))
            return
        self.read[target] = inside
        self.files.append(inside)

    def _refused(self, target: Path) -> str | None:
        if not target.is_relative_to(self.root):
            return OUTSIDE
        parts = target.relative_to(self.root).parts
        if not any(part.startswith(".") for part in parts):
            return f"a link to {shortened('/'.join(parts)) or 'the folder itself'}, read there"
        if target.is_dir():
            return "a link to a hidden folder"
        return f"the same file as {self.read[target]}" if target in self.read else None

    def _unreadable(self, inside: str, error: OSError) -> None:
        if not inside:
            raise DataError(f"cannot read the folder {self.folder}: {error.strerror}") from error
        self.left_out.append(LeftOut(inside, f"a folder that cannot be read: {error.strerror}"))
