from __future__ import annotations

import pytest
import torch

from sfumato.errors import ConfigError
from sfumato.protect.baselines import Blur, KSame, Noise, Pixelate, Unprotected
from sfumato.types import Protector

_IMAGES = torch.rand(4, 3, 21, 13, generator=torch.Generator().manual_seed(0))
_ALL = [Unprotected(), Noise(0.1), Blur(2.0), Blur(30.0), Pixelate(4), Pixelate(50)]


@pytest.mark.parametrize("protector", _ALL, ids=lambda p: p.name)
def test_a_release_is_an_image_of_the_same_size(protector: Protector) -> None:
    release = protector.release(_IMAGES)
    assert isinstance(protector, Protector)
    assert release.shape == _IMAGES.shape
    assert 0 <= float(release.min()) <= float(release.max()) <= 1


def test_noise_has_its_deviation_and_is_new_each_time() -> None:
    grey = torch.full((1, 1, 200, 200), 0.5)
    first, second = (Noise(0.05).release(grey) for _ in range(2))
    assert float(first.std()) == pytest.approx(0.05, rel=0.05)
    assert not torch.equal(first, second)


def test_pixelate_keeps_block_means_and_nothing_else() -> None:
    release = Pixelate(4).release(_IMAGES)
    assert torch.allclose(release[:, :, :4, :4].mean((2, 3)), _IMAGES[:, :, :4, :4].mean((2, 3)))
    assert float(release[:, :, :4, :4].std((2, 3)).max()) < 1e-6
    assert torch.allclose(release[:, :, 20:, 12:], _IMAGES[:, :, 20:, 12:])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
@pytest.mark.parametrize("protector", _ALL, ids=lambda p: p.name)
def test_the_least_picture_is_released_too(protector: Protector, shape: tuple[int, int]) -> None:
    images = torch.rand(1, 3, *shape)
    assert protector.release(images).shape == images.shape


def test_blur_keeps_the_mean_and_takes_the_detail() -> None:
    blurred = Blur(2.0).release(_IMAGES)
    assert float((blurred.mean() - _IMAGES.mean()).abs()) < 0.02
    assert float(blurred.std()) < 0.3 * float(_IMAGES.std())


@pytest.mark.parametrize("make", [lambda: Noise(0.0), lambda: Blur(-1.0), lambda: Pixelate(0)])
def test_settings_out_of_range_are_named(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=r"^(noise|blur|pixelate):X needs X above 0"):
        make()


def test_ksame_is_the_mean_of_the_nearest_of_different_people() -> None:
    generator = torch.Generator().manual_seed(1)
    gallery = torch.rand(40, 1, 6, 5, generator=generator)
    people = torch.arange(40) % 8
    images = torch.rand(3, 1, 6, 5, generator=generator)
    distances = ((images[:, None] - gallery) ** 2).sum((2, 3, 4))
    plain = KSame(5, gallery).release(images)
    apart = KSame(5, gallery, people).release(images)
    for i in range(3):
        order = distances[i].argsort().tolist()
        torch.testing.assert_close(plain[i], gallery[order[:5]].mean(0))
        first = [next(j for j in order if people[j] == p) for p in range(8)]
        nearest = sorted(first, key=order.index)[:5]
        torch.testing.assert_close(apart[i], gallery[nearest].mean(0))


def test_ksame_of_everyone_says_nothing() -> None:
    gallery = torch.rand(9, 1, 4, 4)
    released = KSame(9, gallery).release(torch.rand(5, 1, 4, 4))
    torch.testing.assert_close(released, gallery.mean(0).expand_as(released))


@pytest.mark.parametrize("k", [1, 4])
def test_ksame_needs_more_than_one_person_and_no_more_than_there_are(k: int) -> None:
    gallery = torch.rand(9, 1, 4, 4)
    with pytest.raises(ConfigError, match="ksame:K needs K from 2 to 3"):
        KSame(k, gallery, torch.arange(9) % 3)
