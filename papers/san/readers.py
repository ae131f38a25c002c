"""Who reads the attribute: published classifiers, and an adversary's own, taught on outputs.

The adversary has pictures of training people, with labels and as they are released. Its networks
train until validated people stop them; it also looks at what a face network makes of a picture,
since who keeps a face recognisable keeps that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from papers.recipe import Run
from papers.san import published
from papers.san.measure import Scores, Shown, Witness, judged_rows, versions
from papers.san.worlds import World
from sfumato.attack.tools.learners import Candidate, LearnerConfig, train_all
from sfumato.data.order import random_order
from sfumato.fit.outputs import outputs
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.prototypes import labelled

_NAME: Final = "private"
_VALIDATED: Final = 0.2  # share of the adversary's people on whom it stops and chooses
_NEAREST: Final = 15
_WIDTH: Final = 16  # of its networks: 64x64 pixels at the usual width take a core hours


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
    held = _by_people(shown.people, seed=run.seed)

    def embed(images: Tensor) -> Tensor:
        return outputs(matcher, images, batch_size=64)

    found: dict[str, Witness] = {}
    for version, role, suffix in (
        ("original", "unseen", ""),
        ("release", "retrained", ", taught releases"),
    ):
        teach = _Teacher(shown.labels[:, 0], held, run)
        pictures, vectors = drawn[version], embed(drawn[version])
        found["fresh network" + suffix] = Witness(teach(pictures, "conv"), role)
        found["trees" + suffix] = Witness(teach(pictures, "trees"), role)
        found["probe of embeddings" + suffix] = Witness(
            _behind(embed, teach(vectors, "probe")), role
        )
        found["neighbours of embeddings" + suffix] = Witness(
            _behind(embed, _neighbours(vectors, shown.labels[:, 0])), role
        )
    return found


class _Teacher:
    """Trains one kind of learner and returns the scores of its best restart."""

    def __init__(self, labels: Tensor, held: tuple[Tensor, Tensor], run: Run) -> None:
        self.targets: Mapping[str, Tensor] = {_NAME: labels}
        self.held, self.seed = held, run.seed
        self.config = LearnerConfig(device=run.device, width=_WIDTH)

    def __call__(self, rows: Tensor, learner: str) -> Scores:
        config = replace(self.config, learners=(learner,))
        made = train_all(rows, self.targets, self.held, config, seed=self.seed)
        best = max(made, key=lambda candidate: candidate.validated[_NAME])
        return lambda images: _odds(best, images)


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
