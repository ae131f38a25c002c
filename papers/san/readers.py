"""Who reads the attribute: published classifiers, and an adversary's own, taught on outputs.

The adversary has pictures of training people, with labels and as they are released. Its networks
train until validated people stop them; it also looks at what a face network makes of a picture,
since who keeps a face recognisable keeps that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from papers.recipe import Run
from papers.san import published
from papers.san.measure import Scores, Shown, Witness, judged_rows, versions
from papers.san.worlds import World
from sfumato.attack.tools.learners import Candidate, LearnerConfig, train_all
from sfumato.attack.tools.scores import area
from sfumato.data.order import random_order
from sfumato.data.pixels import as_uint8
from sfumato.device import Device
from sfumato.fit.config import FitConfig
from sfumato.fit.outputs import outputs
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.prototypes import labelled

_NAME: Final = "private"
_VALIDATED: Final = 0.2  # share of the adversary's people on whom it stops and chooses
_NEAREST: Final = 15
_STRANGER_SEED: Final = 1_000  # no classifier of the ensemble has it
_WIDTH: Final = 12  # of its networks: 64x64 pixels at the usual width take a core hours
_SIDE: Final = 64  # at which its networks see larger pictures; who looks at embeddings sees all
_STARTS: Final = 2
_EPOCHS: Final = 30  # at most
_PATIENCE: Final = 6


def readers(
    run: Run, world: World, net: SemiAdversarial, matcher: nn.Module, images: int
) -> dict[str, Witness]:
    """Return the protector's own classifier, strangers, and some retrained on the outputs."""
    # Only the paper trains against it; ours asks an ensemble, and this one guesses what to hide.
    role = "seen" if net.network == "paper" else "unseen"
    own = lambda images: outputs(net.classifier, images)[:, 0]  # noqa: E731 - one of many scores
    return (
        {"own classifier": Witness(own, role)}
        | _published(world)
        | _taught(run, world, net, matcher, images)
    )


def _published(world: World) -> dict[str, Witness]:
    if world.models is None:
        return {}
    found = {
        "face-api Xception": published.face_api_gender(world.models / "face-api"),
        "dlib gender": published.dlib_gender(world.models / "dlib"),
    }
    if published.has_faceres(world.models):
        found["faceres"] = published.faceres_gender(world.models / "human")
    return {name: Witness(scores, "unseen") for name, scores in found.items()}


def _taught(
    run: Run, world: World, net: SemiAdversarial, matcher: nn.Module, count: int
) -> dict[str, Witness]:
    """Teach the adversary's classifiers on originals, and again on what `release` gives."""
    train, _ = labelled(world.train, (world.private,))
    rows = judged_rows(train.label(world.private), count, seed=run.seed + 1)
    shown = Shown.of(train.subset(rows), world.private, net.channels)
    drawn = versions(net, shown, seed=run.seed)
    teacher = Teacher(shown.labels, _by_people(shown.people, seed=run.seed), run.seed, run.device)

    def embed(images: Tensor) -> Tensor:
        return outputs(matcher, images, batch_size=64)

    found: dict[str, Witness] = {}
    for version, role, suffix in (
        ("original", "unseen", ""),
        ("release", "retrained", ", taught releases"),
    ):
        pictures, vectors = drawn[version], embed(drawn[version])
        made = {
            "fresh network": teacher.network(pictures),
            "trees": teacher.learner("trees", pictures),
            "probe of embeddings": _behind(embed, teacher.learner("probe", vectors)),
            "neighbours of embeddings": _behind(embed, _neighbours(vectors, shown.labels[:, 0])),
        }
        found |= {name + suffix: Witness(scores, role) for name, scores in made.items()}
    return found


@dataclass(frozen=True, slots=True)
class Teacher:
    """Teaches the adversary's pictures; `held` are rows to learn from and rows to validate on."""

    labels: Tensor
    """`(n, 1)`"""
    held: tuple[Tensor, Tensor]
    seed: int
    device: Device

    def network(self, pictures: Tensor) -> Scores:
        """Return a network taught on random views: the better of two starts."""
        seen = _reduced(pictures)
        made = [self._start(as_uint8(seen), self.seed + i) for i in range(1, _STARTS + 1)]
        best = max(made, key=self._validator(seen))
        return lambda images: outputs(best, _reduced(images))[:, 0]

    def learner(self, kind: str, rows: Tensor) -> Scores:
        """Return one of the audit's learners, the best of its restarts."""
        config = LearnerConfig(learners=(kind,), device=self.device)
        targets = {_NAME: self.labels[:, 0]}
        made = train_all(rows, targets, self.held, config, seed=self.seed)
        best = max(made, key=lambda candidate: candidate.validated[_NAME])
        return lambda images: _odds(best, images)

    def _start(self, pictures: Tensor, seed: int) -> nn.Module:
        torch.manual_seed(_STRANGER_SEED + seed)
        channels, height, width = pictures.shape[1:]
        net = ConvClassifier(channels, (height, width), 1, width=_WIDTH)
        validated = self._validator(pictures.float() / 255)
        config = FitConfig(
            epochs=_EPOCHS,
            batch_size=64,
            seed=_STRANGER_SEED + seed,
            device=self.device,
            patience=_PATIENCE,
            monitor="validated",
            higher_is_better=True,
        )
        train_classifier(
            net,
            pictures[self.held[0]],
            self.labels[self.held[0]],
            config,
            title="a network of the adversary",
            validate=lambda: {"validated": validated(net)},
        )
        return net.eval()

    def _validator(self, pictures: Tensor) -> Callable[[nn.Module], float]:
        rows, truth = pictures[self.held[1]], self.labels[self.held[1], 0]

        def validated(net: nn.Module) -> float:
            scores = outputs(net, rows)[:, 0]
            return area(scores[truth == 1], scores[truth == 0])

        return validated


def _reduced(images: Tensor) -> Tensor:
    if images.shape[-1] <= _SIDE:
        return images
    return F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)


def _odds(candidate: Candidate, rows: Tensor) -> Tensor:
    """Return the logarithm of the odds of value 1."""
    logs = candidate.scores(rows)[_NAME]
    return logs[:, 1] - logs[:, 0]


def _neighbours(vectors: Tensor, labels: Tensor) -> Scores:
    """Return the share of value 1 among the nearest pictures of the adversary."""

    def scores(new: Tensor) -> Tensor:
        nearest = torch.cdist(new, vectors).topk(min(_NEAREST, len(vectors)), largest=False)
        return labels[nearest.indices].float().mean(1)

    return scores


def _behind(embed: Scores, scores: Scores) -> Callable[[Tensor], Tensor]:
    return lambda images: scores(embed(images))


def _by_people(people: tuple[str, ...], *, seed: int) -> tuple[Tensor, Tensor]:
    """Return rows to learn from and rows to validate on, of other people."""
    names = list(dict.fromkeys(people))
    order = random_order(len(names), seed).tolist()
    chosen = {names[i] for i in order[: max(1, round(_VALIDATED * len(names)))]}
    inside = torch.tensor([person in chosen for person in people])
    return (~inside).nonzero().squeeze(1), inside.nonzero().squeeze(1)
