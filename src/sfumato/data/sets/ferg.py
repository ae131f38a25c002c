"""`ferg`: stylised characters with facial expressions (FERG-DB), in its own folder layout.

Its authors hand it out on request: who has it puts the unpacked `FERG_DB_256` into the data
folder, or into `ferg/` there. A picture is `<character>/<character>_<expression>/<...>.png`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from sfumato.data.assemble import pick
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.pictures import load_pictures
from sfumato.errors import DataError

IDENTITIES = ("aia", "bonnie", "jules", "malcolm", "mery", "ray")
EXPRESSIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
_FOLDER = "FERG_DB_256"
_SIZE = (256, 256)


def load_ferg(options: SourceOptions) -> ImageSet:
    """Return the pictures, 256x256 RGB unless asked otherwise, with identity and expression.

    The paper `anonymizer` takes them at 50x50 in grey. All six characters and all seven
    expressions must be there: a part of the set would be taken for the whole.

    Raises:
        DataError: the folder, or a character's expression, is missing, or a picture is damaged.
    """
    if options.split != "all":
        raise DataError(
            f"ferg has no published split {options.split!r}; load all of it and split it with "
            "sfumato.data.splits"
        )
    root = _root(options.data_dir)
    every = _pictures(root)
    chosen = [every[i] for i in pick(len(every), options, "ferg")]
    return ImageSet(
        name="ferg",
        images=load_pictures("ferg", [path for path, _, _ in chosen], options, size=_SIZE),
        labels={
            "identity": torch.tensor([identity for _, identity, _ in chosen]),
            "expression": torch.tensor([expression for _, _, expression in chosen]),
        },
        classes={"identity": IDENTITIES, "expression": EXPRESSIONS},
        files=tuple(path.relative_to(root).as_posix() for path, _, _ in chosen),
    )


def ferg_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    return () if data_dir is None or _find(data_dir) is None else ("all",)


def _find(data_dir: Path) -> Path | None:
    places = (data_dir / _FOLDER, data_dir / "ferg" / _FOLDER)
    return next((place for place in places if place.is_dir()), None)


def _root(data_dir: Path | None) -> Path:
    root = None if data_dir is None else _find(data_dir)
    if root is None:
        raise DataError(
            "ferg is read from local files: ask its authors for it, unpack it and put "
            f"{_FOLDER} into the data folder"
        )
    return root


def _pictures(root: Path) -> list[tuple[Path, int, int]]:
    found = []
    for i, identity in enumerate(IDENTITIES):
        for e, expression in enumerate(EXPRESSIONS):
            folder = root / identity / f"{identity}_{expression}"
            paths = sorted(folder.glob("*.png"))
            if not paths:
                raise DataError(f"ferg: expected pictures in {folder}, found none; unpack it again")
            found += [(path, i, e) for path in paths]
    return found
