"""What trains a protector computes on the device it is told, and so does what it releases."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.device import device_of, resolve_device
from sfumato.fit import FitConfig
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.fit import fit_anonymizer
from sfumato.protect.fitted import Fitted
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator
from sfumato.protect.pretrained import PretrainedProtector
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.prototypes.rule import Anonymity
from sfumato.protect.release.classifier import fit_map_classifier
from sfumato.protect.release.config import MapClassifierConfig
from sfumato.protect.release.maps import StoredMaps, about
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.matcher import train_matcher


def _releases_there(made: PretrainedProtector, images: ImageSet, card: str) -> None:
    here = made.cpu().release(images.floats())
    made.to(resolve_device(card))
    there = made.release(images.floats())
    assert there.device.type == "cpu"
    # Where two choices are nearly equal, the rounding of a card may choose the other.
    alike = torch.isclose(there, here, atol=2e-3, rtol=2e-3).flatten(1).all(1)
    assert alike.float().mean() > 0.9
    assert device_of(made).type == resolve_device(card).type


@pytest.mark.parametrize(
    "settings",
    [
        {"network": "paper", "pretrain_epochs": 1},
        pytest.param({"rounds": 2}, marks=pytest.mark.slow),
    ],
)
def test_a_semi_adversarial_network(card: str, settings: dict[str, object]) -> None:
    faces = load("characters:8", count=80, size=32)
    matcher = train_matcher(faces, "identity", FitConfig(epochs=1, device=card), width=4)
    known = ConvClassifier(3, (32, 32), 1, width=4)
    config = SanConfig(
        classifier_epochs=3, epochs=1, ensemble=2, ensemble_a_step=2, refreshed=1,
        ensemble_images=40, batch_size=32, channels=3, device=card, **settings,
    )  # type: ignore[arg-type]  # fmt: skip
    made = fit_san(faces, private="glasses", matcher=matcher, config=config, known=[known])
    _releases_there(made.protector, faces, card)


def test_an_anonymizer(blobs: ImageSet, card: str) -> None:
    config = AnonymizerConfig(epochs=1, pixel_epochs=1, discriminator_epochs=1, device=card)
    made = fit_anonymizer(blobs, private="person", config=config).protector
    _releases_there(made, blobs, card)
    gallery = made.to(resolve_device(card)).substituted(blobs.floats()[:9])
    assert gallery.release(blobs.floats()[:4]).shape == (4, 1, 8, 8)


def test_prototypes(blobs: ImageSet, card: str) -> None:
    config = PrototypesConfig(
        prototypes=4,
        epochs=2,
        batch_size=64,
        features=4,
        precision="no",
        anonymity=Anonymity(k=2),
        device=card,
    )
    made = fit_prototypes(blobs, private="person", config=config).protector
    _releases_there(made, blobs, card)
    planned = made.for_collection(blobs.floats(), blobs.labels, blobs.classes, kept=["mood"])
    assert planned.release(blobs.floats()).shape == blobs.images.shape


_SMALL = {
    "scale": 0.1,
    "attacker_scale": 0.1,
    "map_channels": 4,
    "batch_size": 32,
    "epochs": 1,
    "precision": "no",
}


def _fitted(card: str, **settings: object) -> tuple[Fitted, ImageSet]:
    images = load("digits", count=64, size=32)
    config = ObfuscatorConfig(**(_SMALL | settings), device=card)  # type: ignore[arg-type]
    return fit_obfuscator(
        images, utility="digit", config=config, check=images.subset(range(20))
    ), images


@pytest.mark.parametrize(
    "objective",
    ["rate", "none", *(pytest.param(name, marks=pytest.mark.slow) for name in ("psnr", "bounded"))],
)
def test_an_obfuscator(card: str, objective: str) -> None:
    fitted, images = _fitted(card, objective=objective, cycles=2, renew=1)
    made = fitted.protector
    silence = torch.zeros(len(images), *made.map_shape)
    maps = made.release_with(images.floats(), silence)
    logits = made.logits(maps)
    made.to(resolve_device(card))
    there = made.release_with(images.floats(), silence)
    assert there.device.type == "cpu"
    assert int((there.int() - maps.int()).abs().max()) <= 1
    torch.testing.assert_close(made.logits(maps), logits, atol=1e-3, rtol=1e-3)
    assert made.classify(maps).device.type == "cpu"
    assert (fitted.protector.certificate is not None) == (objective == "rate")


def test_a_warm_up_that_is_there_already(card: str) -> None:
    warm, images = _fitted(card, objective="none")
    warm.protector.to(resolve_device(card))
    config = ObfuscatorConfig(**_SMALL, objective="psnr", cycles=1, device=card)  # type: ignore[arg-type]
    fitted = fit_obfuscator(images, utility="digit", config=config, check=images, warm=warm)
    assert len(fitted.accuracies) == 2
    assert device_of(warm.protector).type == resolve_device(card).type


def test_a_classifier_of_maps(card: str) -> None:
    fitted, images = _fitted(card)
    made = fitted.protector.to(resolve_device(card))
    stored = StoredMaps(
        about=about(made, {"digit": images.classes["digit"]}),
        maps=made.release(images.floats()),
        labels={"digit": images.label("digit")},
    )
    classifier, _ = fit_map_classifier(
        stored, label="digit", config=MapClassifierConfig(epochs=1, device=card)
    )
    here = classifier.classify(stored)
    assert isinstance(classifier, nn.Module)
    assert torch.equal(classifier.to(resolve_device(card)).classify(stored), here)
