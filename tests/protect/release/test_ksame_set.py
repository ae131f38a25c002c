"""k-same of a set: whoever looks at a release cannot tell its k pictures apart."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.protect.release.ksame_set import KSameSet


def _set(images: torch.Tensor, people: torch.Tensor | None = None) -> ImageSet:
    if people is None:
        return ImageSet(name="made", images=images)
    classes = tuple(str(i) for i in range(int(people.max()) + 1))
    return ImageSet(name="made", images=images, labels={"who": people}, classes={"who": classes})


def _released(k: int, images: ImageSet, label: str | None = None) -> torch.Tensor:
    made = KSameSet(k, images, label)
    return torch.cat([made.release(image[None]) for image in images.floats()])


@given(st.integers(0, 99), st.integers(2, 7), st.integers(2, 40), st.integers(1, 3))
def test_each_release_stands_for_k_different_pictures(
    seed: int, k: int, count: int, levels: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 2**levels, (count, 1, 2, 2), generator=generator).to(torch.uint8)
    different = {image.numpy().tobytes() for image in images}
    if k > len(different):
        with pytest.raises(ConfigError, match=f"K from 2 to {len(different)}, as many different"):
            KSameSet(k, _set(images))
        return
    released = _released(k, _set(images))
    members: dict[bytes, set[bytes]] = {}
    for image, release in zip(images, released, strict=True):
        members.setdefault(release.numpy().tobytes(), set()).add(image.numpy().tobytes())
    for release, group in members.items():
        assert len(group) >= k
        own = [torch.frombuffer(bytearray(one), dtype=torch.uint8) for one in group]
        # Two groups may have one mean; then it is the mean of both of them as well.
        expected = torch.stack(own).float().div(255).mean(0)
        mean = torch.frombuffer(bytearray(release), dtype=torch.float32)
        torch.testing.assert_close(mean, expected)


@given(st.integers(0, 99), st.integers(2, 5), st.integers(10, 40))
def test_with_a_label_it_stands_for_k_people(seed: int, k: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 3, 3), generator=generator).to(torch.uint8)
    people = torch.randint(0, 6, (count,), generator=generator) ** 2 // 5  # some have many
    if k > len(people.unique()):
        with pytest.raises(ConfigError, match="as many values of 'who'"):
            KSameSet(k, _set(images, people), "who")
        return
    released = _released(k, _set(images, people), "who")
    who: dict[bytes, set[int]] = {}
    for person, release in zip(people.tolist(), released, strict=True):
        who.setdefault(release.numpy().tobytes(), set()).add(person)
    assert min(len(group) for group in who.values()) >= k


def test_equal_pictures_are_no_crowd() -> None:
    images = torch.cat([torch.zeros(30, 1, 2, 2), torch.full((2, 1, 2, 2), 200.0)])
    images[-1] += 5
    released = _released(3, _set(images.to(torch.uint8)))
    assert len(Counter(row.numpy().tobytes() for row in released)) == 1
    torch.testing.assert_close(released[0], torch.full((1, 2, 2), 405 / 3 / 255))


def test_refusals() -> None:
    images = torch.arange(8, dtype=torch.uint8).reshape(8, 1, 1, 1)
    with pytest.raises(ConfigError, match=r"ksame:K needs K from 2 to 8, .* made has; got 1"):
        KSameSet(1, _set(images))
    people = torch.arange(8)
    people[3] = MISSING
    with pytest.raises(DataError, match="some pictures have no 'who'"):
        KSameSet(2, _set(images, people), "who")
    with pytest.raises(DataError, match="has no label 'x'"):
        KSameSet(2, _set(images), "x")
    with pytest.raises(DataError, match="of its own set only"):
        KSameSet(2, _set(images)).release(torch.ones(1, 1, 1, 1))
