"""Contact sheets of an audit: victims' pictures, their releases, and what an attacker drew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sfumato.attack.reconstruct import ReconstructionAttack, sheet_name
from sfumato.attack.tools.sheet import write_sheet
from sfumato.audit.measure.jsonvalues import read_as, written
from sfumato.data.imageset import ImageSet
from sfumato.types import Attack, Protector

FOLDER = "pictures"
_SHOWN = 12
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\.png")

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One PNG in `FOLDER` beside the report, and what its rows show, from above."""

    protector: str
    file: str
    rows: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the sheet as JSON values."""
        return written(self)


def read_sheet(document: Mapping[str, Any]) -> Sheet:
    """Return the sheet that `Sheet.document` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is something else, or a file outside the folder.
    """
    sheet = read_as(Sheet, document)
    assert isinstance(sheet, Sheet)  # noqa: S101 - as asked for
    if not _SAFE_NAME.fullmatch(sheet.file):
        raise ValueError(f"picture {sheet.file!r}")
    return sheet


def draw_pictures(
    victims: ImageSet, protectors: Sequence[Protector], attacks: Sequence[Attack], out: Path
) -> tuple[Sheet, ...]:
    """Draw the first victims and their releases; list these sheets and those attacks have drawn.

    A release without a spatial shape is not drawn: there is nothing to look at.
    """
    images = victims.subset(range(min(_SHOWN, len(victims)))).floats()
    sheets = []
    for protector in protectors:
        shown = _visible(protector.release(images), images)
        if shown is not None:
            file = sheet_name("release", protector.name)
            write_sheet(out / FOLDER / file, [images, shown])
            rows = ("original", "released")
            sheets.append(Sheet(protector=protector.name, file=file, rows=rows))
        sheets += [
            _drawn(attack, protector.name)
            for attack in attacks
            if isinstance(attack, ReconstructionAttack)
            and (out / FOLDER / sheet_name(attack.name, protector.name)).is_file()
        ]
    return tuple(sheets)


def _drawn(attack: ReconstructionAttack, protector: str) -> Sheet:
    many = len(attack.seeds) > 1
    drawn = [
        f"redrawn by attacker {i + 1}" if many else "redrawn" for i in range(len(attack.seeds))
    ]
    return Sheet(
        protector=protector,
        file=sheet_name(attack.name, protector),
        rows=("original", *drawn, "nearest the attacker had", "floor: mean picture"),
    )


def _visible(release: Tensor, images: Images) -> Images | None:
    """Return a release as pictures of the originals' size; of a map the mean of its channels."""
    if release.ndim != 4 or not release.is_floating_point():
        return None
    pictures = release.float().cpu()
    if release.shape[1] != images.shape[1]:
        pictures = pictures.mean(1, keepdim=True)
        low, high = pictures.amin((2, 3), keepdim=True), pictures.amax((2, 3), keepdim=True)
        pictures = ((pictures - low) / (high - low).clamp(min=1e-9)).expand(
            -1, images.shape[1], -1, -1
        )
    if pictures.shape[2:] != images.shape[2:]:
        pictures = F.interpolate(pictures, size=images.shape[2:], mode="nearest")
    return torch.as_tensor(pictures)
