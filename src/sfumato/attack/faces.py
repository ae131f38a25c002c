"""Attacks by a network of faces that was trained elsewhere: dlib's, of 128 numbers (extra `faces`).

They take aligned faces of 150 pixels: the victims' originals, and what was released in their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sfumato.attack.reidentify import IdentityDetails, rank
from sfumato.attack.tools.read import is_picture
from sfumato.attack.tools.scores import mean_interval, share_interval
from sfumato.data.imageset import MISSING
from sfumato.data.pixels import as_uint8
from sfumato.errors import DataError
from sfumato.features.backbone import open_backbone
from sfumato.types import Attack, Finding, Images, Knowledge, Releases

SAME = 0.6
"""Distance below which the network's authors take two faces for one person's."""
_AT_ONCE = 64
_SMALL = 64  # pixels: networks that learn from a few hundred faces take no more from larger ones
_RANKS = (1, 5, 10)
_NO_FACES = "this release is no picture of faces that a network of faces could take"


def embedded(faces: Images) -> Float[Tensor, "n 128"]:
    """Return the network's numbers for aligned faces in [0, 1].

    Raises:
        DataError: they are no grey or RGB pictures of 150 pixels.
        UnavailableError: the extra `faces` is not installed.
    """
    net = open_backbone("face")
    with torch.inference_mode():
        parts = [net.unscaled(as_uint8(part)) for part in faces.split(_AT_ONCE)]
    return torch.cat(parts).clone()  # a tensor of inference mode could not be trained on


def _unfit(victim: Releases) -> str | None:
    return None if is_picture(victim.tensor) else _NO_FACES


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedFaces(Attack):
    """Counts the faces that are taken for their own originals, at the network's own threshold.

    A face that a release left as it is is one of them. The floor is how often two different faces
    are taken for one.
    """

    group: str
    """Label of what two faces share that are not compared for the floor: a photograph, a person."""
    name: str = "matched"
    learns: bool = False

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        return _unfit(victim)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:  # noqa: ARG002
        """Compare each release with its own original.

        Raises:
            DataError: there are no faces of two groups.
        """
        originals, released = embedded(victim.images), embedded(victim.tensor)
        groups = victim.labels[self.group]
        others = groups[:, None] != groups
        if not bool(others.any(1).all()):
            raise DataError("expected faces of two photographs or people at least, got one")
        matched = torch.linalg.vector_norm(originals - released, dim=1) < SAME
        confused = (torch.cdist(originals, originals) < SAME) & others
        chance = confused.sum(1) / others.sum(1)
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="share of faces",
            value=float(matched.float().mean()),
            floor=float(chance.mean()),
            ceiling=1.0,
            interval=_interval(matched.float(), groups),
            seeds=(0,),
            floor_interval=mean_interval(chance[None]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognisedFaces(Attack):
    """Looks each release up in a gallery of original faces, both sides'; the figure is rank-1.

    With `identity`, a person is looked for in other photographs than the face's own, and who has
    none is left out. Without, a release is to be found with its own original.
    """

    group: str
    """Label that numbers the photographs."""
    identity: str | None = None
    """Label that names people."""
    name: str = "recognised"
    learns: bool = False

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        if self.identity is not None and not bool(self._elsewhere(victim).any()):
            return f"no {self.identity} has two photographs among the victims'"
        return _unfit(victim)

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return () if self.identity is None else (self.identity,)

    def _elsewhere(self, victim: Releases) -> Bool[Tensor, "n n"]:
        """Return which original shows whom of the victims in another photograph."""
        who, where = victim.labels[self.identity or self.group], victim.labels[self.group]
        return (who[:, None] == who) & (where[:, None] != where) & (who != MISSING)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Look each release up. The ceiling is 1 until an audit measures it."""
        originals = torch.cat([victim.images, knowledge.images])
        scores = -torch.cdist(embedded(victim.tensor), embedded(originals))
        asked = (
            self._by_original(scores)
            if self.identity is None
            else self._by_person(scores, victim, knowledge)
        )
        ranks = rank(asked.scores, asked.gallery, asked.truth)
        hits = (ranks == 1).float()
        guessed = asked.guessed
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric="rank1_accuracy",
            value=float(hits.mean()),
            floor=1 / scores.shape[1] if guessed is None else float(guessed.mean()),
            ceiling=1.0,
            interval=_interval(hits, asked.truth),
            seeds=(0,),
            floor_interval=None if guessed is None else _interval(guessed, asked.truth),
            details=IdentityDetails(
                values=(float(hits.mean()),),
                ranks={str(k): float((ranks <= k).float().mean()) for k in _RANKS},
                people=len(asked.gallery.unique()),
                unknown_victims=len(scores) - len(ranks),
            ),
        )

    def _by_original(self, scores: Float[Tensor, "n m"]) -> _LookUp:
        return _LookUp(scores, torch.arange(scores.shape[1]), torch.arange(len(scores)))

    def _by_person(
        self, scores: Float[Tensor, "n m"], victim: Releases, knowledge: Knowledge
    ) -> _LookUp:
        assert self.identity is not None  # noqa: S101 - the caller looked
        truth, where = victim.labels[self.identity], victim.labels[self.group]
        own = where[:, None] == where
        among = scores[:, : len(own)].where(~own, -torch.inf)
        scores = torch.cat([among, scores[:, len(own) :]], 1)
        # People of the other side are others: they count from behind the victims' numbers.
        aside = knowledge.labels[self.identity] + int(truth.max()) + 1
        probes = self._elsewhere(victim).any(1)
        guessed = (truth == truth.mode().values).float()
        return _LookUp(scores[probes], torch.cat([truth, aside]), truth[probes], guessed[probes])


@dataclass(frozen=True, slots=True)
class _LookUp:
    """What is looked up where, and what a guess without any release gets (None: one in all)."""

    scores: Float[Tensor, "n m"]
    gallery: Int64[Tensor, "m"]
    truth: Int64[Tensor, "n"]
    guessed: Float[Tensor, "n"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed(Attack):
    """Another attack, on what a network of faces makes of a face, or on a small picture of it."""

    attack: Attack
    name: str
    by: Literal["network", "pixels"]

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        return _unfit(victim) or self.attack.unfit(victim, knowledge)

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return self.attack.reads()

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Run the other attack on releases as they are viewed."""
        seen = replace(victim, tensor=self.view(victim.tensor))
        known = replace(knowledge, query=lambda images: self.view(knowledge.query(images)))
        return replace(self.attack.run(seen, known), attack=self.name)

    def view(self, faces: Images) -> Tensor:
        """Return what the other attack sees of aligned faces: embeddings, or small pictures."""
        if self.by == "network":
            return embedded(faces)
        size = (_SMALL, _SMALL)
        return F.interpolate(faces, size, mode="bilinear", antialias=True, align_corners=False)


def _interval(hits: Float[Tensor, "n"], groups: Int64[Tensor, "n"]) -> tuple[float, float]:
    """Return the interval of a share over groups: people, or photographs."""
    everyone = torch.zeros(len(hits), dtype=torch.int64)
    return share_interval(hits[None], everyone, groups=groups)
