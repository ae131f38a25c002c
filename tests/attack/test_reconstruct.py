from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.read import inside
from sfumato.errors import ConfigError
from sfumato.types import Knowledge, Releases

_QUICK = ReconstructionConfig(epochs=12, width=8, device="cpu", batch_size=32)
_PROJECTION = torch.randn(64, 48, generator=torch.Generator().manual_seed(0)) / 8


def _features(images: Tensor) -> Tensor:
    return (images.flatten(1) @ _PROJECTION).sigmoid()


def _noise(images: Tensor) -> Tensor:
    return torch.rand(len(images), 48)


def _setting(release: object, plain: object = None) -> tuple[Releases, Knowledge]:
    assert callable(release)
    pixels, digits = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels / 16).float().view(-1, 1, 8, 8)
    labels = {"digit": torch.from_numpy(digits)}
    victims = images[1500:]
    return (
        Releases(
            protector="test",
            tensor=release(victims),
            images=victims,
            labels={"digit": labels["digit"][1500:]},
        ),
        Knowledge(
            images=images[:1500],
            labels={"digit": labels["digit"][:1500]},
            query=release,
            query_plain=plain if callable(plain) else None,
        ),
    )


def test_pictures_are_drawn_from_features_in_the_clear(tmp_path: Path) -> None:
    attack = ReconstructionAttack(config=_QUICK, identity="digit", sheets=tmp_path)
    finding = attack.run(*_setting(_features))
    scores, floors = finding.details.scores, finding.details.floors
    assert finding.metric == "cosine_distance"
    assert finding.value < 0.5 * finding.floor
    assert finding.leakage > 0.5
    assert scores["psnr"].value > floors["mean"]["psnr"] + 2
    assert scores["psnr"].value > floors["nearest"]["psnr"]
    assert scores["ssim"].value > floors["mean"]["ssim"] + 0.2
    assert scores["rank1_identity"].value > 0.6
    with Image.open(tmp_path / "reconstruct-test.png") as sheet:
        assert sheet.size == (12 * 70 + 6, 4 * 70 + 6), "8x8 pictures are enlarged to 64x64"


@pytest.mark.parametrize(
    "release",
    [lambda images: 1 - images, lambda images: (images * 255).round().to(torch.uint8)],
    ids=["negative", "bytes"],
)
def test_a_picture_in_another_brightness_is_the_picture(
    release: Callable[[Tensor], Tensor],
) -> None:
    """No network has to learn that, and a few epochs do not."""
    attack = ReconstructionAttack(config=replace(_QUICK, epochs=1), metric="ssim")
    finding = attack.run(*_setting(release))
    assert finding.value > 0.99
    assert [one.learner for one in finding.details.trained] == ["rescaled copy"]


def test_nothing_is_drawn_from_noise() -> None:
    torch.manual_seed(0)
    finding = ReconstructionAttack(config=replace(_QUICK, epochs=4)).run(*_setting(_noise))
    assert finding.details.scores["rank1_picture"].value < 0.05
    psnr = finding.details.scores["psnr"].value
    assert psnr < finding.details.floors["mean"]["psnr"] + 0.3


@pytest.mark.slow
def test_all_three_losses_train_together() -> None:
    kernel = torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    attack = ReconstructionAttack(
        config=replace(_QUICK, pixel=0.0, feature=1.0, adversarial=0.06, epochs=5),
        perceptual=lambda images: torch.nn.functional.conv2d(images, kernel).relu(),
    )
    finding = attack.run(*_setting(_features))
    assert finding.value < 0.7 * finding.floor
    assert finding.details.weights == {"pixel": 0.0, "feature": 1.0, "adversarial": 0.06}


def test_maps_are_read_in_their_place() -> None:
    def flipped(images: Tensor) -> Tensor:
        return 1 - images.flip(3)

    finding = ReconstructionAttack(config=replace(_QUICK, epochs=4)).run(*_setting(flipped))
    assert finding.metric == "psnr"
    assert finding.value > finding.floor + 4


def test_plaintext_decoder_draws_nothing_from_ciphertext() -> None:
    generator = torch.Generator().manual_seed(0)

    def sealed(images: Tensor) -> Tensor:
        words = torch.randint(-(2**31), 2**31 - 1, (len(images), 48), generator=generator)
        return words.to(torch.int32)

    attack = ReconstructionAttack(config=replace(_QUICK, epochs=6))
    finding = attack.run(*inside(*_setting(sealed, _features)))
    assert finding.details.scores["rank1_picture"].value < 0.05
    assert finding.value >= 0.9 * finding.floor


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="perceptual"):
        ReconstructionAttack(config=replace(_QUICK, feature=1.0))
    with pytest.raises(ConfigError, match="weights"):
        ReconstructionConfig(pixel=0.0, adversarial=1.0)
    with pytest.raises(ConfigError, match="feature vectors"):
        ReconstructionAttack(config=_QUICK, metric="cosine_distance").run(
            *_setting(lambda images: images)
        )
