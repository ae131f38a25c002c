from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfumato.data.imageset import ImageSet
from sfumato.fit.config import FitConfig
from sfumato.protect.san.classifiers import Ensemble, balanced_rows
from sfumato.protect.san.config import Output, SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.model import SemiAdversarial


class _Known(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.mean((1, 2, 3))[:, None]


def _crowd() -> Ensemble:
    pictures = torch.randint(0, 256, (24, 1, 16, 16), dtype=torch.uint8)
    labels = torch.arange(24)[:, None] % 2

    def stage(_: str, epochs: int) -> FitConfig:
        return FitConfig(epochs=epochs, batch_size=8, device="cpu")

    return Ensemble(pictures, labels, 16, stage, [_Known()])


def test_known_classifiers_stay_and_are_asked_and_nobody_learns_any_more() -> None:
    ensemble = _crowd()
    ensemble.grow(2, 1)
    old = list(ensemble.members)
    ensemble.refresh(1, 1)
    ensemble.freeze()
    assert ensemble.members[0] is old[1]
    assert old[0] not in ensemble.members
    asked = ensemble.ask(10)
    assert {id(one) for one in asked} == {id(one) for one in (*ensemble.members, *ensemble.known)}
    assert not any(p.requires_grad for one in asked for p in one.parameters())


def test_rows_are_balanced_and_drawn_anew() -> None:
    labels = (torch.arange(100) < 80).long()[:, None]
    rows = balanced_rows(labels, 30, seed=0)
    assert labels[rows].sum() == 15
    assert not torch.equal(rows, balanced_rows(labels, 30, seed=1))
    assert len(balanced_rows(labels, 90, seed=0)) == 45 + 20


class _Corner(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images[:, :, :4, :4].mean((1, 2, 3))[:, None] * 12 - 6


def _lamps() -> ImageSet:
    torch.manual_seed(0)
    lit = torch.arange(96) % 2
    pictures = torch.randint(100, 156, (96, 1, 16, 16), dtype=torch.uint8)
    pictures[:, :, :4, :4] += (lit * 40).to(torch.uint8)[:, None, None, None]
    return ImageSet(
        name="lamps", images=pictures, labels={"lamp": lit}, classes={"lamp": ("off", "on")}
    )


def _fitted(images: ImageSet, output: Output, seed: int = 0) -> SemiAdversarial:
    config = SanConfig.preset(
        "drawn",
        output=output,
        seed=seed,
        channels=1,
        joint_images=None,
        classifier_epochs=1,
        epochs=48,
        rounds=1,
        ensemble=1,
        ensemble_a_step=2,
        match_weight=0.0,
        pixel_weight=0.0,
        learning_rate=2e-3,
        device="cpu",
    )
    matcher = nn.Flatten()
    return fit_san(
        images, private="lamp", matcher=matcher, config=config, known=[_Corner()]
    ).protector


@pytest.mark.slow
def test_what_a_known_classifier_reads_is_turned_round() -> None:
    images = _lamps()
    net, lit = _fitted(images, "OP"), images.label("lamp")
    with torch.no_grad():
        before = _Corner()(images.floats())[:, 0]
        after = _Corner()(net.draw(images.floats(), lit[:, None], "OP"))[:, 0]
    assert float(before[lit == 1].mean() - before[lit == 0].mean()) > 1
    assert float(after[lit == 1].mean() - after[lit == 0].mean()) < 0


@pytest.mark.slow
def test_what_a_known_classifier_reads_is_the_coin() -> None:
    images = _lamps()
    net, lit = _fitted(images, "coin"), images.label("lamp")
    torch.manual_seed(7)
    coins = net.coins(len(images))[:, 0]
    with torch.no_grad():
        told = (_Corner()(net.toward(images.floats(), coins[:, None]))[:, 0]).float()
    apart = float(told[coins == 1].mean() - told[coins == 0].mean())
    true = float(told[lit == 1].mean() - told[lit == 0].mean())
    assert apart > 3
    assert apart > 1.5 * true  # the classifier is linear: what the true value adds is still there
