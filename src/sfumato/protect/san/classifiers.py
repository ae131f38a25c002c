"""The ensemble of attribute classifiers against which a semi-adversarial network trains.

They differ in family, input size, width and training pictures. Every second one is made a little
robust, since what fools robust classifiers transfers best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from sfumato.fit.config import FitConfig
from sfumato.fit.loop import Epoch, History, Validate, fit
from sfumato.nets.attributes import Family, SmallClassifier
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import FACE_AUGMENTATION, Deformation

_SIDES = (32, 48, 40, 28, 36, 56, 44)  # seven sides and four families meet in 28 different pairs
_WIDTHS = (1.0, 0.75, 1.25)  # of the width that is asked for
_GROUPS = 4  # into which one of the families divides its channels
_LEARNING_RATE = 2e-3
_ROBUST = 0.02  # largest change of a pixel that a robust classifier learns to withstand
_NAIVE_EPOCHS = 2  # a classifier that withstands before it can read never learns to read


class Ensemble:
    """Attribute classifiers: `grow` adds some, `refresh` replaces the oldest, `ask` draws some.

    `known` are classifiers that were trained elsewhere; they are never replaced.
    """

    def __init__(
        self,
        pictures: UInt8[Tensor, "n c h w"],
        labels: Int64[Tensor, "n k"],
        images_each: int,
        stage: Callable[[str, int], FitConfig],
        known: Sequence[nn.Module] = (),
        *,
        width: int = 16,
        augmentation: Deformation = FACE_AUGMENTATION,
    ) -> None:
        self.pictures, self.labels, self.known = pictures, labels, tuple(known)
        self.images_each, self.stage, self.width = images_each, stage, width
        self.augmentation = augmentation
        self.members: list[nn.Module] = []
        self.made = 0

    def grow(self, count: int, epochs: int) -> None:
        """Train `count` more classifiers, each of another kind on other pictures."""
        for _ in range(count):
            self.members.append(self._trained(self.made, epochs))
            self.made += 1

    def refresh(self, count: int, epochs: int) -> None:
        """Replace the oldest classifiers by new ones."""
        count = min(count, len(self.members))
        self.members = self.members[count:]
        self.grow(count, epochs)

    def freeze(self) -> None:
        """Stop the training of all classifiers."""
        for classifier in (*self.members, *self.known):
            classifier.requires_grad_(False).eval()

    def ask(self, count: int) -> list[nn.Module]:
        """Return random classifiers; half of them are known ones, where there are any."""
        known = _drawn(self.known, max(count // 2, count - len(self.members)))
        return [*_drawn(self.members, count - len(known)), *known]

    def _trained(self, number: int, epochs: int) -> nn.Module:
        families = get_args(Family)
        with torch.random.fork_rng():
            torch.manual_seed(number)
            classifier = SmallClassifier(
                self.pictures.shape[1],
                self.labels.shape[1],
                family=families[number % len(families)],
                side=_SIDES[number % len(_SIDES)],
                width=_GROUPS * round(_WIDTHS[number % len(_WIDTHS)] * self.width / _GROUPS),
            )
        rows = balanced_rows(self.labels, self.images_each, seed=number)
        train_classifier(
            classifier,
            self.pictures[rows],
            self.labels[rows],
            self.stage(f"ensemble-{number}", epochs),
            title=f"classifier {number + 1}",
            robust=number % 2 == 1,
            augmentation=self.augmentation,
        )
        return classifier


def _drawn(classifiers: Sequence[nn.Module], count: int) -> list[nn.Module]:
    return [classifiers[i] for i in torch.randperm(len(classifiers))[:count].tolist()]


def balanced_rows(labels: Int64[Tensor, "n k"], count: int, *, seed: int) -> Int64[Tensor, "m"]:
    """Draw up to `count` rows, as many of each value of the first attribute where there are."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for value in (0, 1):
        rows = (labels[:, 0] == value).nonzero().squeeze(1)
        order = torch.randperm(len(rows), generator=generator)[: count // 2]
        parts.append(rows[order])
    return torch.cat(parts)


def train_classifier(
    classifier: nn.Module,
    pictures: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, "n k"],
    config: FitConfig,
    *,
    title: str,
    robust: bool = False,
    augmentation: Deformation = FACE_AUGMENTATION,
    validate: Validate | None = None,
) -> History:
    """Train a classifier of attributes on random views, with both values weighing the same.

    With `validate` and patience in the settings it stops where what is validated stops growing.
    """
    optimizer = torch.optim.Adam(classifier.parameters(), lr=_LEARNING_RATE)
    ones = labels.float().mean(0).clamp(0.01, 0.99)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs)

    def cost(x: Float[Tensor, "n c h w"], y: Float[Tensor, "n k"]) -> Tensor:
        share = ones.to(x.device)
        weights = torch.where(y > 0, 0.5 / share, 0.5 / (1 - share))
        return F.binary_cross_entropy_with_logits(classifier(x), y, weight=weights)

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        x, y = random_view(batch[0].float() / 255, augmentation), batch[1].float()
        if robust and epoch.number >= _NAIVE_EPOCHS:
            half = len(x) // 2
            x = torch.cat([_worsened(x[:half], y[:half], cost), x[half:]])
        loss = cost(x, y)
        epoch.descend("classifier", loss)
        return {"loss": loss}

    return fit(
        networks={"classifier": classifier},
        optimizers={"classifier": optimizer},
        schedulers={"classifier": scheduler},
        data=(pictures, labels),
        step=step,
        config=config,
        validate=validate,
        title=title,
    )


def _worsened(
    x: Float[Tensor, "n c h w"], y: Float[Tensor, "n k"], cost: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "n c h w"]:
    """One step up the loss: what a robust classifier learns to withstand."""
    x = x.detach().requires_grad_()
    (up,) = torch.autograd.grad(cost(x, y), x)
    return (x + _ROBUST * up.sign()).detach()
