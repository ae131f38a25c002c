"""What trains a protector stays on the device of its networks."""

from __future__ import annotations

import pytest
import torch

from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.fit import FitConfig
from sfumato.nets.readers import Reader
from sfumato.protect.anonymizer import fit as anonymizer_fit
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.obfuscator import fit as obfuscator_fit
from sfumato.protect.obfuscator import training as obfuscator_job
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.san import classifiers as san_crowd
from sfumato.protect.san import matcher as san_matcher
from tests.elsewhere import Elsewhere

_FIT = FitConfig(epochs=6, device="cpu")


def test_a_matcher(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Elsewhere(monkeypatch, san_matcher)
    san_matcher.train_matcher(blobs.subset(range(40)), "person", _FIT)
    assert away.steps == 1


@pytest.mark.parametrize("robust", [False, True])
def test_a_reader(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch, robust: bool) -> None:
    away = Elsewhere(monkeypatch, san_crowd)
    reader = Reader(blobs.images.shape[1], 2, family="plain", side=32, width=4)
    labels = torch.randint(0, 2, (40, 2), generator=torch.Generator().manual_seed(0))
    san_crowd.train_reader(reader, blobs.images[:40], labels, _FIT, title="a reader", robust=robust)
    assert away.steps == 1


def test_an_anonymizer(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Elsewhere(monkeypatch, anonymizer_fit)
    config = AnonymizerConfig(epochs=1, pixel_epochs=1, discriminator_epochs=1, device="cpu")
    anonymizer_fit.fit_anonymizer(blobs.subset(range(40)), private="person", config=config)
    assert away.steps == 3


@pytest.mark.parametrize("objective", ["rate", "psnr"])
def test_an_obfuscator(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    away = Elsewhere(monkeypatch, obfuscator_job)
    images = load("digits", count=60, size=32)
    config = ObfuscatorConfig(
        objective=objective, epochs=1, cycles=1, scale=0.1, attacker_scale=0.1, device="cpu"
    )  # type: ignore[call-overload]
    obfuscator_fit.fit_obfuscator(
        images, utility="digit", config=config, check=images.subset(range(20))
    )
    assert away.steps == (1 if objective == "rate" else 4)
