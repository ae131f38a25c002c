"""Membership inference: was this picture among those that the protector was trained on?

The adversary knows some pictures that were, and some that were not, and learns to tell their
releases apart; where the classifier behind the releases is public, also by how sure it is of
them, the mark that training leaves (R. Shokri et al., "Membership Inference Attacks", 2017), and
by how sure it is of the true class, which whoever has the picture knows (S. Yeom et al., "Privacy
Risk in Machine Learning", 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sfumato.attack.attributes import AttributeAttack, AttributeDetails
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError
from sfumato.types import Attack, Finding, Knowledge, Labels, Releases, ask

MEMBER = "member"
"""The label that membership is scored by: 0 a stranger, 1 a member."""

_SHOWN = 8  # highest probabilities that an adversary looks at

Logits = Callable[[Shaped[Tensor, "n *shape"]], Float[Tensor, "n classes"]]
_Evidence = Callable[[Shaped[Tensor, "n *shape"], Labels], Float[Tensor, "n d"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipDetails(AttributeDetails):
    """What membership inference reports beside its figure."""

    kind: ClassVar[str] = "membership"
    way: str
    """`release`, `certainty` of the public classifier, or its `truth`: the one that counts."""
    ways: Mapping[str, float]
    """The figure of each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipAttack(Attack):
    """Tells members from strangers by their releases, and by a public classifier of them.

    Both sides need the label `member` (see `with_membership`); the victims' is read by scoring
    only. Of the ways the one counts that is best on the adversary's own held-out pictures. The
    figure is balanced accuracy, its floor 0.5.
    """

    classify: Logits | None = field(default=None, compare=False)
    """The public classifier: releases to logits."""
    label: str | None = None
    """What it classifies; the adversary knows it of every picture in question."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    name: str = "membership"

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        if MEMBER not in victim.labels or MEMBER not in knowledge.labels:
            return f"no label {MEMBER!r} says which pictures a protection was trained with"
        if victim.tensor.shape == victim.images.shape and torch.equal(victim.tensor, victim.images):
            return "nothing was trained to make this release"
        return None

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Learn from known members and strangers, then name the victims'.

        Raises:
            DataError: a side has members only, or strangers only.
        """
        way = AttributeAttack(
            attributes=(MEMBER,), seeds=self.seeds, config=self.config, name=self.name
        )
        found = {"release": way.run(victim, knowledge)}
        if self.classify is not None:
            own = ask(knowledge.query, knowledge.images)
            for name, look in self._evidence(self.classify):
                rows = look(own, knowledge.labels)[:, :, None, None]  # stand for the pictures
                found[name] = way.run(
                    replace(victim, tensor=look(victim.tensor, victim.labels)),
                    replace(knowledge, images=rows, query=lambda images: images.flatten(1)),
                )
        chosen = max(found, key=lambda name: _validated(found[name]))
        read = found[chosen].details
        assert isinstance(read, AttributeDetails)  # noqa: S101 - of `way`
        details = MembershipDetails(
            attribute=read.attribute,
            victims=read.victims,
            majority_accuracy=read.majority_accuracy,
            values=read.values,
            trained=read.trained,
            way=chosen,
            ways={name: finding.value for name, finding in found.items()},
        )
        return replace(found[chosen], details=details)

    def _evidence(self, classify: Logits) -> Iterator[tuple[str, _Evidence]]:
        yield "certainty", lambda release, _: _certainty(classify(release).log_softmax(1))
        if self.label is not None:
            name = self.label

            def truth(release: Tensor, labels: Labels) -> Tensor:
                chances = classify(release).log_softmax(1)
                known = chances.gather(1, labels[name][:, None].to(chances.device)).cpu()
                return torch.cat([known, _certainty(chances)], 1)

            yield "truth", truth


def with_membership(
    members: ImageSet, strangers: ImageSet, *, keep: Sequence[str] = ()
) -> ImageSet:
    """Return both sets as one, with the label `member` and those to keep.

    Raises:
        DataError: the pictures differ in size, or a set is empty.
    """
    if members.images.shape[1:] != strangers.images.shape[1:] or not len(members):
        raise DataError(
            "members and strangers must be pictures of one size, and some of each; got "
            f"{tuple(members.images.shape)} and {tuple(strangers.images.shape)}"
        )
    if not len(strangers):
        raise DataError("membership needs pictures that were not trained on, got none")
    counts = len(members), len(strangers)
    return ImageSet(
        name=f"{members.name} and {strangers.name}",
        images=torch.cat([members.images, strangers.images]),
        labels={MEMBER: torch.cat([torch.ones(counts[0]), torch.zeros(counts[1])]).long()}
        | {name: torch.cat([members.label(name), strangers.label(name)]) for name in keep},
        classes={MEMBER: ("stranger", "member")} | {name: members.classes[name] for name in keep},
    )


def _certainty(chances: Float[Tensor, "n classes"]) -> Float[Tensor, "n d"]:
    """Return a classifier's highest log-probabilities in order, and their entropy."""
    entropy = -(chances.exp() * chances).sum(1, keepdim=True)
    highest = chances.sort(1, descending=True).values[:, :_SHOWN]
    return torch.cat([highest, entropy], 1).cpu()


def _validated(finding: Finding) -> float:
    chosen = [one for one in finding.details.trained if one.chosen]
    return sum(one.validated or 0.0 for one in chosen) / len(chosen)
