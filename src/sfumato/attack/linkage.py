"""Linkage by example: an adversary was given originals with their releases.

From such pairs two networks learn to put an original and its release at the same place. They are
then turned on other people's releases, or other pictures of the same people: which original does
this release belong to, and whose are the originals near it?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.reidentify import rank
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.naming import naming
from sfumato.attack.tools.read import Standard, holdout, read
from sfumato.data.imageset import MISSING
from sfumato.fit import Epoch, FitConfig, fit
from sfumato.fit.outputs import outputs
from sfumato.nets.autoencoders import ConvEncoder, VectorEncoder
from sfumato.types import Attack, Details, Finding, Knowledge, Releases, ask

Images = Float[Tensor, "n c h w"]
Vectors = Float[Tensor, "n d"]
_WIDTH = 16  # channels of the networks at full size
_SMALLEST = 8  # places on a side that a network of convolutions needs
_SHARPNESS = 0.1  # of the softmax over candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkageDetails(Details):
    """What linkage reports beside its figure."""

    kind: ClassVar[str] = "linkage"
    victims: int
    linked: float
    """How often a victim's release is nearest to its own original among all victims' originals."""
    linked_by_chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkageAttack(Attack):
    """Names the victims' private value by the labelled originals that lie near their releases.

    The adversary's own images are the labelled originals, and their releases the pairs. The
    figure is accuracy; `details` has how often a victim's release is nearest to its own original
    among all victims' originals, were they to leak as well, and the chance of that.
    """

    label: str
    """The private label."""
    seeds: tuple[int, ...] = (0,)
    config: LearnerConfig = field(default_factory=LearnerConfig)
    group: str | None = None
    """The label that names people, whose pictures are no independent witnesses."""
    name: str = "linkage"

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        """Say why the attack has no meaning here, or None."""
        sides = [_named(side.labels[self.label]) for side in (victim, knowledge)]
        if not bool(torch.isin(*sides).any()):
            return f"no {self.label} is on both sides, so no original near a release can name it"
        return None

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return (self.label,)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Learn from pairs, then name and link the victims who have the label."""
        runs = [self._run(victim, knowledge, seed) for seed in self.seeds]
        there = victim.labels[self.label] != MISSING
        truth, count = victim.labels[self.label][there], len(victim.images)
        groups = victim.labels.get(self.group) if self.group else None
        hits = torch.stack([named for named, _ in runs]).float()
        guess = _named(knowledge.labels[self.label]).mode().values
        return naming(
            self.name,
            victim.protector,
            "accuracy",
            hits=hits,
            guessed=truth == guess,
            seeds=self.seeds,
            groups=None if groups is None else groups[there],
            details=LinkageDetails(
                victims=len(truth),
                linked=sum(float((r == 1).float().mean()) for _, r in runs) / len(runs),
                linked_by_chance=1 / count,
            ),
        )

    def _run(self, victim: Releases, knowledge: Knowledge, seed: int) -> tuple[Tensor, Tensor]:
        own = read(ask(knowledge.query, knowledge.images), "numbers")
        links = learn_links(knowledge.images, own, self.config, seed=seed)
        hidden = links.releases(read(victim.tensor, "numbers"))
        known = knowledge.labels[self.label]
        originals = links.originals(knowledge.images[known != MISSING])
        truth = victim.labels[self.label]
        votes = vote(hidden, originals, _named(known))[truth != MISSING]
        each = torch.arange(len(hidden))
        places = rank(hidden @ links.originals(victim.images).T, each, each)
        return votes == _named(truth), places


def _named(labels: Int64[Tensor, "n"]) -> Int64[Tensor, "m"]:
    return labels[labels != MISSING]


@dataclass(frozen=True, slots=True)
class Links:
    """Maps from originals, and from releases, to one space of unit vectors."""

    originals: Callable[[Images], Vectors]
    releases: Callable[[Float[Tensor, "n *shape"]], Vectors]


def learn_links(
    images: Images, releases: Float[Tensor, "n *shape"], config: LearnerConfig, *, seed: int
) -> Links:
    """Train both networks so that each release is nearer to its own original than to others."""
    torch.manual_seed(seed)
    standards = {"originals": Standard.of(images), "releases": Standard.of(releases)}
    nets = {
        "originals": ConvEncoder(images.shape[1], width=_WIDTH),
        "releases": _encoder(releases[0]),
    }
    rows = (standards["originals"](images), standards["releases"](releases))
    train, check = holdout(len(images), config.validation, groups=None, seed=seed)

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        loss = contrast(epoch.networks["originals"](batch[0]), epoch.networks["releases"](batch[1]))
        epoch.optimizers["releases"].zero_grad(set_to_none=True)
        epoch.descend("originals", loss)
        epoch.optimizers["releases"].step()
        return {"loss": loss}

    def validate() -> dict[str, float]:
        own, other = (outputs(nets[side], row[check]) for side, row in zip(nets, rows, strict=True))
        return {"validated": float(contrast(own, other))}

    fit(
        networks=nets,
        optimizers={
            side: torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=1e-2)
            for side, net in nets.items()
        },
        data=[row[train] for row in rows],
        step=step,
        validate=validate,
        config=FitConfig(
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=seed,
            device=config.device,
            patience=config.patience,
            monitor="validated",
        ),
        title="attack: linkage",
    )
    return Links(*(_embedding(nets[side], standards[side]) for side in nets))


def _encoder(release: Float[Tensor, "*shape"]) -> torch.nn.Module:
    """Return a network for releases of this shape: of convolutions where there is room for them."""
    if release.ndim == 3 and min(release.shape[1:]) >= _SMALLEST:
        return ConvEncoder(release.shape[0], width=_WIDTH)
    return VectorEncoder(release.numel())


def contrast(originals: Vectors, releases: Vectors) -> Float[Tensor, ""]:
    """Return the cross-entropy of finding each original's release, and each release's original."""
    similar = originals @ releases.T / _SHARPNESS
    own = torch.arange(len(similar), device=similar.device)
    return (F.cross_entropy(similar, own) + F.cross_entropy(similar.T, own)) / 2


def vote(
    hidden: Vectors, known: Float[Tensor, "m d"], labels: Int64[Tensor, "m"]
) -> Int64[Tensor, "n"]:
    """Return the label that has most weight among known originals, the nearer the heavier."""
    weights = (hidden @ known.T / _SHARPNESS).softmax(1)
    return (weights @ F.one_hot(labels).float()).argmax(1)


def _embedding(net: torch.nn.Module, standard: Standard) -> Callable[[Tensor], Vectors]:
    return lambda images: outputs(net, standard(images))
