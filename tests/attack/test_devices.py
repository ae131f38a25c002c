"""What attacks train, validate and apply stays on the device of its networks."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack import linkage
from sfumato.attack.tools import decoder, learners
from sfumato.attack.tools.decoder import ReconstructionConfig, train_decoder
from sfumato.attack.tools.learners import LearnerConfig, embedding, train_namer
from sfumato.data.imageset import ImageSet
from tests.elsewhere import Elsewhere

_CONFIG = LearnerConfig(learners=("conv",), restarts=1, epochs=1, device="cpu")


def test_linkage(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Elsewhere(monkeypatch, linkage)
    images = blobs.floats()[:40]
    links = linkage.learn_links(images, 1 - images, _CONFIG, seed=0)
    assert (away.steps, away.brought) == (1, 2)  # both networks, on the pictures kept aside
    assert (links.originals(images) @ links.releases(1 - images).T).shape == (40, 40)


def test_a_reader_of_labels(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Elsewhere(monkeypatch, learners)
    images, people = blobs.floats()[:40], blobs.labels["person"][:40]
    held = torch.arange(30), torch.arange(30, 40)
    made = learners.train_network("conv", images, {"person": people}, held, _CONFIG, 0)
    assert (away.steps, made.predict(images)["person"].device.type) == (1, "cpu")


def test_a_matcher(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    away = Elsewhere(monkeypatch, learners)
    net = train_namer(blobs.floats()[:40], blobs.labels["person"][:40], _CONFIG, seed=0)
    assert embedding(net)(blobs.floats()[:4]).device.type == "cpu"
    assert away.steps == 1


@pytest.mark.parametrize("adversarial", [0.0, 0.1])
def test_a_decoder(blobs: ImageSet, monkeypatch: pytest.MonkeyPatch, adversarial: float) -> None:
    away = Elsewhere(monkeypatch, decoder)
    images = blobs.floats()[:40]
    config = ReconstructionConfig(epochs=1, width=8, adversarial=adversarial, device="cpu")
    made = train_decoder(
        (images, images),
        images[:10],
        lambda drawn: float((drawn - images[:10]).abs().mean()),
        None,
        config,
        seed=0,
    )
    assert away.steps == 1
    assert made(images).device.type == "cpu"
