"""What files are called in a release that keeps names: as they were, with another format's ending.

Two files may want one name: `a.heic` becomes `a.jpg`, which may be there. A file that keeps its own
goes first, and another has the new ending behind its whole name. Names that differ in capitals
alone count as one, and so does a folder's: many disks could not hold both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import PurePosixPath


def kept_names(wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what each file is called, by what it would be called if it were alone."""
    taken = {
        str(folder).casefold() for name in wanted.values() for folder in PurePosixPath(name).parents
    }
    names = {}
    for file in sorted(wanted, key=lambda file: (wanted[file] != file, file)):
        name = next(one for one in _tried(file, wanted[file]) if one.casefold() not in taken)
        taken.add(name.casefold())
        names[file] = name
    return names


def contested(wanted: Mapping[str, str]) -> list[str]:
    """Return the files that want a name which another wants too."""
    wanting: dict[str, list[str]] = {}
    for file, name in wanted.items():
        wanting.setdefault(name.casefold(), []).append(file)
    return [file for files in wanting.values() if len(files) > 1 for file in files]


def _tried(file: str, wanted: str) -> Iterator[str]:
    ending = PurePosixPath(wanted).suffix
    yield wanted
    yield f"{file}{ending}"
    yield from (f"{file}-{number}{ending}" for number in count(2))
