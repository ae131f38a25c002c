"""`yale`: the Yale faces, 15 people in 11 conditions, GIF files in one ZIP."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import torch

from sfumato.data.assemble import no_split, pick
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.archive import read_member
from sfumato.data.sets.pictures import load_pictures
from sfumato.errors import DataError

CONDITIONS = (
    "centerlight",
    "glasses",
    "happy",
    "leftlight",
    "noglasses",
    "normal",
    "rightlight",
    "sad",
    "sleepy",
    "surprised",
    "wink",
)
_PEOPLE = tuple(f"subject{i:02}" for i in range(1, 16))
_SIZE = (243, 320)


def load_yale(options: SourceOptions) -> ImageSet:
    """Return the faces, grey, with labels `identity` and `condition` (light, mood or glasses).

    Raises:
        DataError: the archive is missing, unreadable or holds no such names.
    """
    no_split("yale", options)
    if options.data_dir is None:
        raise DataError(
            "yale is read from local files: give the data folder, with yale/yalefaces.zip in it"
        )
    path = options.data_dir / "yale" / "yalefaces.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            every = sorted(name for name in archive.namelist() if _parts(name))
            names = [every[i] for i in pick(len(every), options, "yale")]
            contents = [read_member(archive, name) for name in names]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}; expected the Yale faces as a ZIP") from error
    if not names:
        raise DataError(f"{path}: expected files named subject01.happy, found none")
    pairs = [_parts(name) for name in names]
    return ImageSet(
        name="yale",
        images=load_pictures(
            "yale",
            [path / name for name in names],
            options,
            size=_SIZE,
            channels=1,
            archive=(path, contents),
        ),
        labels={
            "identity": torch.tensor([_PEOPLE.index(person) for person, _ in pairs]),
            "condition": torch.tensor([CONDITIONS.index(condition) for _, condition in pairs]),
        },
        classes={"identity": _PEOPLE, "condition": CONDITIONS},
        files=tuple(PurePosixPath(name).name for name in names),
    )


def yale_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    return ("all",) if data_dir and (data_dir / "yale" / "yalefaces.zip").is_file() else ()


def _parts(name: str) -> tuple[str, ...]:
    person, _, condition = PurePosixPath(name).name.partition(".")
    return (person, condition) if person in _PEOPLE and condition in CONDITIONS else ()
