"""Released photographs under audit: their faces as an image set, and the release as a protector.

An audit has two halves of one set, of which the adversary knows one with its releases. Here the set
are the original faces, and the protector gives for each what was released in its place. So the
same attacks, intervals, ceilings and reports serve photographs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.faces import SAME, MatchedFaces, RecognisedFaces, Viewed, embedded
from sfumato.audit.attacks import Setting
from sfumato.data.folder import labels_of, offered, values_of
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.leftout import LeftOut
from sfumato.data.pixels import as_uint8, digests
from sfumato.data.splits import split_groups
from sfumato.errors import DataError
from sfumato.photo.boxes import Box, Boxes, write_boxes
from sfumato.photo.compare import ComparedFace, Pairs, alone, compare
from sfumato.types import Attack, Images, Protector

PHOTOGRAPH = "photograph"
"""The label that numbers the photographs that faces come from."""
UNCOVERED = "uncovered.csv"
"""Lists the faces that are still recognised, as `boxes.csv` does."""

_VIEWS: Final[Mapping[str, Literal["pixels", "network"]]] = {
    "attributes": "pixels",
    "faces": "network",
}
"""Attacks that read a label, and what of a face they read it from."""


class ReleasedFaces(Protector):
    """Gives for each original face what was released in its place.

    Raises:
        DataError: when asked for a face that is none of these.
    """

    name: str

    def __init__(
        self,
        name: str,
        originals: UInt8[Tensor, "n 3 h w"],
        released: UInt8[Tensor, "n 3 h w"],
    ) -> None:
        self.name, self._released = name, released
        self._place = {key: i for i, key in enumerate(digests(originals))}

    def release(self, images: Images) -> Images:
        """Return what was released in the place of these faces."""
        found = [self._place.get(key) for key in digests(as_uint8(images))]
        if None in found:
            raise DataError(f"{self.name} has the faces of its own photographs only")
        return self._released[torch.tensor(found)].float().div_(255)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesOfRelease:
    """All faces of a release, and those of them that are attacked."""

    faces: Sequence[ComparedFace]
    images: ImageSet
    """The attacked ones: aligned, and of a known person where people are named."""
    protector: ReleasedFaces
    matched: Bool[Tensor, "m"]
    """Of the aligned ones, which are still taken for their own originals."""
    left_out: tuple[LeftOut, ...]

    @property
    def aligned(self) -> list[ComparedFace]:
        """The faces that the network takes."""
        return [one for one in self.faces if one.aligned is not None]

    def counts(self) -> dict[str, int]:
        """Return what was counted over all faces."""
        return {
            "photographs": len({one.file for one in self.faces}),
            "faces": len(self.faces),
            "aligned": len(self.aligned),
            "still_matched": int(self.matched.sum()),
            "found_again": sum(one.found_again for one in self.faces),
            "attacked": len(self.images),
        }

    def write_uncovered(self, out: Path) -> None:
        """Write the faces that are still matched as a table of boxes, for its owner alone."""
        boxes: dict[str, list[Box]] = {}
        for one, matched in zip(self.aligned, self.matched.tolist(), strict=True):
            if matched:
                boxes.setdefault(one.file, []).append(Box(face=one.face, protect=True))
        write_boxes(out / UNCOVERED, Boxes(photos=boxes))


def faces_of(
    pairs: Pairs, identity: str | None = None, notes: Path | None = None
) -> FacesOfRelease:
    """Find all faces of originals and compare each with its place in the release.

    A label of a photograph's row in metadata.csv is its face's where the photograph has one face.
    With `identity`, faces without that label are counted and not attacked. With a folder for notes
    an interrupted search goes on.

    Raises:
        DataError: there is no face, none that can be aligned, or no such label.
        UnavailableError: the extras `photos` and `faces` are not installed.
    """
    faces, left_out = compare(pairs, notes)
    aligned = [one for one in faces if one.aligned is not None]
    if not aligned:
        raise DataError(
            f"{pairs.source}: none of its {len(faces):,} faces can be aligned, so none is compared"
        )
    both = torch.stack([one.aligned for one in aligned if one.aligned is not None])
    distances = _distances(both)
    images = _set(pairs.source, aligned, both[:, 0], alone(faces))
    protector = ReleasedFaces(f"released:{pairs.released.name}", both[:, 0], both[:, 1])
    if identity is not None:
        images = images.subset(images.label(identity) != MISSING)
    return FacesOfRelease(
        faces=faces,
        images=images,
        protector=protector,
        matched=distances < SAME,
        left_out=left_out,
    )


def label_names(source: Path, wanted: Sequence[str] = ()) -> dict[str, None]:
    """Return the labels that photographs have, in order, before any face is looked for.

    Raises:
        DataError: a wanted one is not among them, or one has a name that faces give a label.
    """
    names = dict.fromkeys(name for row in offered(source).rows.values() for name in row)
    if PHOTOGRAPH in names:
        raise DataError(f"{source}: rename its label {PHOTOGRAPH!r}: faces get one of that name")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        known = ", ".join(sorted(names)) or "none"
        raise DataError(f"{source} has no label {unknown[0]!r}; it has: {known}")
    return names


def _distances(both: UInt8[Tensor, "n 2 3 h w"]) -> Float[Tensor, "n"]:
    original, released = (embedded(both[:, side].float().div(255)) for side in (0, 1))
    apart: Float[Tensor, "n"] = torch.linalg.vector_norm(original - released, dim=1)
    return apart


def _set(
    source: Path,
    faces: Sequence[ComparedFace],
    pixels: UInt8[Tensor, "n 3 h w"],
    single: set[str],
) -> ImageSet:
    rows, names = offered(source).rows, label_names(source)
    empty: Mapping[str, str] = dict.fromkeys(names, "")
    chosen = [rows.get(one.file, empty) if one.file in single else empty for one in faces]
    classes = values_of(chosen)
    files = list(dict.fromkeys(one.file for one in faces))
    place = {file: i for i, file in enumerate(files)}
    return ImageSet(
        name=f"faces of {source.name}",
        images=pixels,
        labels=labels_of(chosen, classes)
        | {PHOTOGRAPH: torch.tensor([place[one.file] for one in faces])},
        classes={**classes, PHOTOGRAPH: tuple(map(str, range(len(files))))},
    )


def face_sides(images: ImageSet, identity: str | None, *, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split by people where they are named, else by photographs: half are the victims'.

    Raises:
        DataError: there are not two of them.
    """
    by = identity or PHOTOGRAPH
    if len(images.label(by).unique()) < 2:
        raise DataError(
            f"{images.name}: an audit needs faces of two values of {by!r} at least; it has "
            f"{len(images.label(by).unique())}"
        )
    victims, adversary = split_groups(images, by, [0.5, 0.5], seed=seed)
    return victims, adversary


def face_attacks(private: Sequence[str], setting: Setting) -> list[Attack]:
    """Return what is tried on faces, beside looking for copies."""
    by = setting.identity or PHOTOGRAPH
    reading = [
        Viewed(
            attack=AttributeAttack(
                attributes=(label,), seeds=setting.seeds, config=setting.config, group=by
            ),
            name=f"{name}:{label}",
            by=view,
        )
        for label in private
        if label != setting.identity  # whom a face shows is what `recognised` asks
        for name, view in _VIEWS.items()
    ]
    recognised = RecognisedFaces(group=PHOTOGRAPH, identity=setting.identity)
    return [MatchedFaces(group=by), recognised, *reading]
