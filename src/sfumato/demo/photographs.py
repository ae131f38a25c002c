"""Whole photographs in the demo: every face found, protected in its place, and then attacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.attack.tools.assess import Parts, read_labels
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.options import SourceOptions
from sfumato.data.sets.characters import FACE, CharactersConfig, load_characters
from sfumato.data.sets.people import people
from sfumato.data.sheet import contact_sheet
from sfumato.data.splits import split_images
from sfumato.demo.scenes import EACH, SCENES, Scene, compose
from sfumato.demo.section import Advance, Figure, Picture, Section
from sfumato.errors import UnavailableError
from sfumato.photo.blend import protect_faces
from sfumato.photo.config import FaceConfig
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.protect.baselines import Pixelate, Unprotected
from sfumato.types import Protector

STEPS: Final = 3

_PROTECTOR: Final = Pixelate(14)  # 8 x 8 blocks of the 112 pixels that a face is brought to
_AS_MANY_BLOCKS: Final = Pixelate(3)  # of the 24 pixels that the attacker sees
_SIDE: Final = 24
_PEOPLE: Final = 6
_LEARNER: Final = LearnerConfig(learners=("conv",), restarts=1, epochs=10, patience=4, device="cpu")
_FACES: Final = FaceConfig()


@dataclass(frozen=True, slots=True)
class Looked:
    """A scene, and the boxes that the finder gave where it was sure; None: it is not installed."""

    scene: Scene
    boxes: tuple[Face, ...] | None

    def found(self) -> list[bool]:
        """Return which of the scene's faces lie in a box, for the most part."""
        boxes = self.boxes or ()
        return [any(2 * face.common(box) > face.area for box in boxes) for face in self.scene.faces]

    def protected(self) -> list[Face]:
        """Return the boxes, and a person's own of the faces that were missed."""
        missed = [
            face for face, there in zip(self.scene.faces, self.found(), strict=True) if not there
        ]
        return [*(self.boxes or ()), *missed]


def photographs_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Find and pixelate the faces of composed photographs; a network then reads who is shown."""
    looked = look(seed)
    advance("faces found")
    released = [
        protect_faces(_PROTECTOR, one.scene.picture, one.protected(), grow=_FACES.grow, secret=b"")
        for one in looked
    ]
    advance("faces protected")
    before, after = _named(seed)
    advance("protected faces attacked")
    return Section(
        slug="photographs",
        title="Whole photographs",
        sentence=(
            f"{_finding(looked)} Each face is pixelated in its place and the rest stays; a network "
            f"that learned from other pictures of {_PEOPLE} drawn people still names "
            f"{100 * after:.0f} % of faces in as many blocks ({100 * before:.0f} % unprotected, a "
            f"guess {100 / _PEOPLE:.0f} %). The anonymised pictures below are made against that."
        ),
        figures=(
            *_found(looked),
            Figure(label="who is shown, originals", value=before, wanted="low", chance=1 / _PEOPLE),
            Figure(label="who is shown, pixelated", value=after, wanted="low", chance=1 / _PEOPLE),
        ),
        pictures=(_sheet(looked, released),),
    )


def look(seed: int) -> list[Looked]:
    """Return the scenes, searched by the finder that a release of photographs has."""
    cast = people(SCENES * EACH, seed)
    scenes = [compose(cast[i * EACH : (i + 1) * EACH], i, seed) for i in range(SCENES)]
    try:
        find = FaceFinder()
    except UnavailableError:  # the extra `photos`, which the demo does not ask for
        return [Looked(scene, None) for scene in scenes]
    return [Looked(scene, tuple(find(scene.picture, least=_FACES.sure))) for scene in scenes]


def _finding(looked: Sequence[Looked]) -> str:
    faces = [there for one in looked for there in one.found()]
    if any(one.boxes is None for one in looked):
        return (
            f"The {len(faces)} faces of two photographs were marked by hand (the extra photos "
            "brings what finds them)."
        )
    return (
        f"A finder that learned from photographs found {sum(faces)} of the {len(faces)} drawn "
        "faces in two of them, and the others were marked by hand."
    )


def _found(looked: Sequence[Looked]) -> tuple[Figure, ...]:
    if any(one.boxes is None for one in looked):
        return ()
    faces = [there for one in looked for there in one.found()]
    return (Figure(label="faces found", value=sum(faces) / len(faces), wanted="high"),)


def _named(seed: int) -> tuple[float, float]:
    """Return how often fresh networks name who is shown: in the clear, and in blocks."""
    drawn = CharactersConfig(
        identities=_PEOPLE, count=200 * _PEOPLE, rotate=0.0, move=0.0, zoom=0.0, light=0.0
    )
    options = SourceOptions(size=_SIDE, channels=1, seed=seed, box=FACE)
    world = Parts(*split_images(load_characters(options, drawn), [0.7, 0.1, 0.2], seed=seed))

    def read(protector: Protector) -> float:
        right = read_labels(protector, world, {"identity": [_LEARNER]}, seed=seed)["identity"]
        return float(right.float().mean())

    return read(Unprotected()), read(_AS_MANY_BLOCKS)


def _sheet(looked: Sequence[Looked], released: Sequence[UInt8[Tensor, "3 h w"]]) -> Picture:
    pairs = [
        picture
        for one, other in zip(looked, released, strict=True)
        for picture in (one.scene.picture, other)
    ]
    return Picture(
        caption="Two photographs, composed of drawn people, each beside its release.",
        png=contact_sheet(torch.stack(pairs), columns=2, side=max(pairs[0].shape)),
    )
