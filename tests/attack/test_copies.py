"""Copies: what is somebody's original, and what is not, whatever else the collection holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms.functional import rgb_to_grayscale

from sfumato.attack.copies import CopiesAttack
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.errors import DataError
from sfumato.protect.baselines import Blur, KSame, Noise, Pixelate
from sfumato.types import Finding, Knowledge, Releases


def found(release: Tensor, originals: Tensor, own: Tensor) -> Finding:
    victim = Releases(protector="p", tensor=release, images=originals, labels={})
    return CopiesAttack().run(victim, Knowledge(images=own, labels={}, query=lambda images: images))


def count(release: Tensor, originals: Tensor, own: Tensor) -> int:
    return int(found(release, originals, own).details.originals)


@dataclass(frozen=True)
class World:
    victims: Tensor
    own: Tensor


@pytest.fixture(scope="module", params=["digits", "characters:6"])
def world(request: pytest.FixtureRequest) -> World:
    size = None if request.param == "digits" else 24
    images = load(request.param, count=200, size=size, seed=0).floats()
    return World(images[:100], images[100:])


def mean_of_nearest(images: Tensor, gallery: Tensor, k: int) -> Tensor:
    near = torch.cdist(images.flatten(1), gallery.flatten(1)).topk(k, largest=False).indices
    return gallery[near].mean(1)


def test_originals_are_found_as_they_are_and_as_good_as(world: World) -> None:
    victims = world.victims
    dealt = victims[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    for release in (victims, dealt, world.own[:50].repeat(2, 1, 1, 1), victims + 0.4 / 255):
        assert count(release, victims, world.own) == 100
    for release in (Blur(0.3).release(victims), Noise(0.01).release(victims), victims * 0.7 + 0.1):
        assert count(release, victims, world.own) >= 95
    assert count((victims * 255).round().to(torch.uint8), victims, world.own) == 100
    every = found(victims, victims, world.own)
    assert every.details.equal == 100
    assert (every.value, every.ceiling) == (1.0, 1.0)
    assert every.floor < 0.05
    assert every.interval[1] == 1 >= every.interval[0] > 0.95


def test_means_of_ten_and_what_is_unlike_its_original_are_not(world: World) -> None:
    releases: list[Tensor] = [
        mean_of_nearest(world.victims, world.victims, 10),
        KSame(10, world.own).release(world.victims),
        Noise(0.3).release(world.victims),
        Pixelate(8).release(world.victims),
        torch.full_like(world.victims, 0.5),
    ]
    for release in releases:
        finding = found(release, world.victims, world.own)
        assert finding.value == 0
        # None among a hundred says that fewer than four in a hundred are, not that none is.
        assert 0.02 < finding.interval[1] < 0.05
        assert finding.floor <= 0.01


def test_one_original_among_means_is_found(world: World) -> None:
    release = mean_of_nearest(world.victims, world.victims, 10)
    release[17] = world.own[3]
    assert count(release, world.victims, world.own) == 1


def test_a_collection_that_holds_pictures_twice_hides_no_copies(world: World) -> None:
    twice = torch.cat([world.own, world.own[:60], world.victims[:60] + 1 / 255])
    assert count(Noise(0.01).release(world.victims), world.victims, twice) >= 95
    assert count(KSame(10, world.own).release(world.victims), world.victims, twice) == 0


def test_a_blank_release_is_nobodys_even_where_originals_are_blank(world: World) -> None:
    blank = torch.cat([world.own, torch.zeros_like(world.own[:30])])
    assert count(torch.zeros_like(world.victims), world.victims, blank) == 0


def test_releases_in_another_size_and_in_grey_are_compared_too() -> None:
    images = load("characters:6", count=80, size=24, seed=0).floats()
    assert count(rgb_to_grayscale(images[:40]), images[:40], images[40:]) == 40
    large = F.interpolate(images, size=(96, 96), mode="bilinear")
    assert count(large[:40], large[:40], large[40:]) == 40
    small = F.interpolate(images[:40], size=(12, 12), mode="bilinear", antialias=True)
    assert count(small, images[:40], images[40:]) == 40


def test_what_is_no_picture_has_no_copies(blobs: ImageSet) -> None:
    images = blobs.floats()
    knowledge = Knowledge(images=images, labels={}, query=lambda x: x)
    victim = Releases(protector="p", tensor=images.flatten(1), images=images, labels={})
    assert "no picture" in str(CopiesAttack().unfit(victim, knowledge))


def test_without_three_originals_nothing_is_known() -> None:
    with pytest.raises(DataError, match="fewer than three"):
        found(torch.rand(2, 1, 8, 8), torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8))


_CHANGES: list[Callable[[Tensor], Tensor]] = [
    lambda x: x,
    lambda x: (x * 255).round() / 255,
    lambda x: x * 0.8,
    lambda x: x * 0.8 + 0.2,
]


@settings(max_examples=15)
@given(
    st.integers(3, 40), st.integers(0, 30), st.sampled_from([1, 3]), st.integers(6, 20),
    st.integers(0, 1 << 30), st.sampled_from(_CHANGES),
)  # fmt: skip
def test_originals_in_any_order_are_found_in_sets_of_any_shape(
    victims: int, own: int, channels: int, side: int, seed: int, change: Callable[[Tensor], Tensor]
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(victims + own, channels, side, side, generator=generator)
    released = images[torch.randint(len(images), (victims,), generator=generator)]
    assert count(change(released), images[:victims], images[victims:]) == victims
