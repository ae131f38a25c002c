"""`market1501`: person re-identification in its own layout, with the attribute file of its people.

The pictures may not be redistributed, so that there is nothing to download: who has them puts the
unpacked archive at `market1501/` of the data folder, and `market_attribute.mat` (Lin and others,
2019) beside them or in `reid-attributes/`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from sfumato.data.assemble import pick
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.sets.pictures import load_pictures
from sfumato.errors import DataError

# Query and gallery together are the test set, as the paper `shufflebits` merges them.
_FOLDERS = {
    "train": ("bounding_box_train",),
    "test": ("query", "bounding_box_test"),
    "all": ("bounding_box_train", "query", "bounding_box_test"),
}
# Person, camera, sequence, frame, box: 0002_c1s1_000451_03.jpg. Person -1 is junk and 0000 a
# distractor; both are nobody.
_NAME = re.compile(r"(\d{4})_c([1-6])s\d_\d{6}_\d{2}\.jpe?g", re.ASCII)
_NOBODY = "0000"
_SIZE = (128, 64)
_CAMERAS = tuple("123456")
_ATTRIBUTES = "market_attribute.mat"
_YES = ("no", "yes")
_VALUES: Mapping[str, tuple[str, ...]] = {
    "gender": ("male", "female"),
    "hair": ("short", "long"),
    "up": ("long", "short"),
    "down": ("long", "short"),
    "clothes": ("dress", "pants"),
    "age": ("young", "teenager", "adult", "old"),
}


def load_market1501(options: SourceOptions) -> ImageSet:
    """Return Market-1501 with labels `identity`, `camera` and, with its file, 27 attributes.

    Raises:
        DataError: the folder, its pictures or the attribute file are not what they should be.
    """
    root = _root(options.data_dir)
    every = _pictures(root, options.split)
    paths = [every[i] for i in pick(len(every), options, "market1501")]
    people = tuple(sorted({_parts(path)[0] for path in every}))
    labels = {
        "identity": _index([_parts(path)[0] for path in paths], people),
        "camera": _index([_parts(path)[1] for path in paths], _CAMERAS),
    }
    classes: dict[str, tuple[str, ...]] = {"identity": people, "camera": _CAMERAS}
    for name, values in _attributes(root).items():
        labels[name] = torch.tensor([values.get(_parts(path)[0], MISSING) for path in paths])
        classes[name] = _VALUES.get(name, _YES)
    return ImageSet(
        name="market1501",
        images=load_pictures("market1501", paths, options, size=_SIZE),
        labels=labels,
        classes=classes,
        files=tuple(f"{path.parent.name}/{path.name}" for path in paths),
        split=options.split,
    )


def market1501_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits that can be loaded."""
    if data_dir is None:
        return ()
    return tuple(
        split
        for split, folders in _FOLDERS.items()
        if all((data_dir / "market1501" / folder).is_dir() for folder in folders)
    )


def _root(data_dir: Path | None) -> Path:
    root = data_dir and data_dir / "market1501"
    if root is None or not root.is_dir():
        raise DataError(
            "market1501 is read from local files: ask its authors for it, unpack it and put "
            "bounding_box_train, bounding_box_test and query in market1501/ of the data folder"
        )
    return root


def _pictures(root: Path, split: str) -> list[Path]:
    found: list[Path] = []
    for name in _FOLDERS[split]:
        folder = root / name
        if not folder.is_dir():
            raise DataError(f"market1501: there is no folder {name} in {root}")
        names = (path for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name))
        found += [path for path in names if not path.name.startswith(_NOBODY)]
    if not found:
        raise DataError(f"market1501: expected names like 0002_c1s1_000451_03.jpg in {root}")
    return found


def _parts(path: Path) -> tuple[str, str]:
    match = _NAME.fullmatch(path.name)
    assert match is not None  # noqa: S101 - `_pictures` kept only these
    return match[1], match[2]


def _index(values: Sequence[str], classes: Sequence[str]) -> Int64[Tensor, "n"]:
    position = {value: i for i, value in enumerate(classes)}
    return torch.tensor([position[value] for value in values])


def _attributes(root: Path) -> dict[str, dict[str, int]]:
    """Return each attribute's value (from 0) by person; none where there is no file."""
    places = (root / _ATTRIBUTES, root.parent / "reid-attributes" / _ATTRIBUTES)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return {}
    # Here, because SciPy takes a second to import, and every source's module is imported.
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    found: dict[str, dict[str, int]] = {}
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
        for part in (content["market_attribute"].train, content["market_attribute"].test):
            _collect(part, found)
    except (MatReadError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path} is not the published attribute file: {error}") from error
    return found


def _collect(part: Any, found: dict[str, dict[str, int]]) -> None:  # noqa: ANN401 - a MATLAB struct
    people = [str(person) for person in np.atleast_1d(part.image_index)]
    for name in part._fieldnames:
        if name == "image_index":
            continue
        values = [int(value) - 1 for value in np.atleast_1d(getattr(part, name))]
        highest = len(_VALUES.get(name, _YES)) - 1
        if len(values) != len(people) or min(values) < 0 or max(values) > highest:
            raise ValueError(f"{name!r} has values outside 1..{highest + 1}, or not one a person")
        found.setdefault(name, {}).update(zip(people, values, strict=True))
