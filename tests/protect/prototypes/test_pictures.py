"""No released picture may be somebody's: counted on real fits of small collections."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.distance import CLOSEST, nearest_original, typical_distance
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.prototypes.rule import Anonymity


def _config(**changes: object) -> PrototypesConfig:
    settings = {"prototypes": 8, "epochs": 1, "batch_size": 64, "features": 2, "device": "cpu"}
    return PrototypesConfig(**{**settings, **changes})  # type: ignore[arg-type]


def photos_of(count: int, people: int, *, seed: int, side: int = 8, channels: int = 1) -> ImageSet:
    """Noise over a person's own pattern: what photographs are to a mean of them."""
    generator = torch.Generator().manual_seed(seed)
    person = torch.randint(people, (count,), generator=generator)
    person[:people] = torch.arange(people)
    own = torch.rand(people, channels, side, side, generator=generator)
    noise = torch.rand(count, channels, side, side, generator=generator)
    images = (0.5 * own[person] + 0.5 * noise) * 255
    return ImageSet(
        name="photos",
        images=images.to(torch.uint8),
        labels={"person": person},
        classes={"person": tuple(f"p{i}" for i in range(people))},
    )


@settings(max_examples=25)
@given(
    st.integers(0, 1000), st.integers(2, 90), st.integers(2, 7), st.integers(2, 20),
    st.sampled_from([8, 9, 12]), st.sampled_from([1, 3]),
)  # fmt: skip
def test_a_fit_is_refused_or_no_picture_is_an_original(
    seed: int, count: int, people: int, prototypes: int, side: int, channels: int
) -> None:
    photos = photos_of(max(count, people), people, seed=seed, side=side, channels=channels)
    try:
        made = fit_prototypes(
            photos, private="person", config=_config(prototypes=prototypes, seed=seed)
        ).protector
    except DataError:
        return  # the refusals are tested one by one below
    _keeps_the_rule(made, photos)


def _keeps_the_rule(made: PrototypeAnonymizer, photos: ImageSet) -> None:
    originals = photos.images.flatten(1).unique(dim=0)
    shown = (made.pictures * 255).round().to(torch.uint8).flatten(1)
    assert not any(bool((originals == picture).all(1).any()) for picture in shown)
    nearest = nearest_original(made.pictures, photos.floats())
    standing = made.standing
    assert standing is not None
    assert float(nearest.min()) >= standing["closest_allowed"]
    assert standing["nearest_original"] == pytest.approx(float(nearest.min()))
    assert standing["fewest_pictures"] >= standing["k"] == 10
    assert standing["fewest_values"] >= standing["values"]
    assert standing["largest_share"] <= standing["share"] + 1e-6
    assert not standing["real_pictures"]


def test_forty_photographs_of_two_people_are_means_of_ten_and_more() -> None:
    """The collection of which a release once held 17 originals."""
    photos = photos_of(40, 2, seed=5, side=16, channels=3)
    made = fit_prototypes(
        photos, private="person", config=_config(prototypes=32, epochs=8, features=8)
    ).protector
    assert 2 <= len(made.pictures) <= 4
    _keeps_the_rule(made, photos)


def test_a_series_of_nearly_equal_pictures_is_no_crowd() -> None:
    """Their mean is the picture that all of them are: no count of pictures makes it safe."""
    generator = torch.Generator().manual_seed(0)
    scene = torch.rand(1, 12, 12, generator=generator)
    images = scene + 0.02 * torch.randn(60, 1, 12, 12, generator=generator)
    others = torch.rand(30, 1, 12, 12, generator=generator)
    pixels = (torch.cat([images, others]).clamp(0, 1) * 255).to(torch.uint8)
    people = torch.arange(90) % 6
    photos = ImageSet(
        name="series", images=pixels, labels={"person": people}, classes={"person": tuple("abcdef")}
    )
    with pytest.raises(DataError, match="leave out series of nearly equal ones"):
        fit_prototypes(
            photos.subset(range(60)), private="person", config=_config(prototypes=4, epochs=4)
        )
    mixed = fit_prototypes(
        photos, private="person", config=_config(prototypes=4, epochs=4)
    ).protector
    shown = nearest_original(mixed.pictures, scene[None])
    assert float(shown.min()) > 3 * 0.02, "nothing released is the scene itself"


def test_equal_pictures_of_many_people_are_one_picture() -> None:
    photos = photos_of(20, 4, seed=1)
    again = torch.arange(100) % 20
    many = photos.subset(again)
    with pytest.raises(DataError, match=r"at least 30 different pictures.*got 20"):
        fit_prototypes(many, private="person", config=_config(anonymity=Anonymity(k=15)))


def test_a_person_who_owns_nearly_everything_is_refused() -> None:
    photos = photos_of(60, 2, seed=2)
    person = torch.zeros(60, dtype=torch.int64)
    person[:4] = 1
    mine = ImageSet(
        name="mine", images=photos.images, labels={"person": person}, classes=photos.classes
    )
    with pytest.raises(DataError, match="one with 93%"):
        fit_prototypes(mine, private="person", config=_config())


def test_a_target_shows_real_pictures_and_the_guarantee_says_so() -> None:
    photos = photos_of(80, 4, seed=3)
    made = fit_prototypes(photos, private="person", config=_config(target="p1")).protector
    own = photos.where("person", "p1").floats()
    assert all(bool((own == picture).flatten(1).all(1).any()) for picture in made.pictures)
    assert made.standing is not None
    assert made.standing["real_pictures"] is True
    assert made.standing["nearest_original"] == 0.0


@given(st.integers(0, 1000))
def test_the_nearest_original_is_that_of_a_slow_search(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.rand(3, 1, 3, 2, generator=generator)
    originals = torch.rand(5, 1, 3, 2, generator=generator)
    slow = [
        min(float(((picture - original) ** 2).mean() ** 0.5) for original in originals)
        for picture in pictures
    ]
    torch.testing.assert_close(nearest_original(pictures, originals), torch.tensor(slow))
    assert float(nearest_original(originals, originals).max()) == 0.0
    assert float(nearest_original(pictures, originals[:0]).min()) == float("inf")


def test_the_yardstick_is_the_distance_of_a_mean_of_k() -> None:
    originals = torch.rand(400, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    # Of uniform noise: a mean of k is (1 + 1/k) of the variance 1/12 away from any other picture,
    # and (1 - 1/k) from one of its own; the nearest is one of its own.
    found = typical_distance(originals, 10, seed=0)
    assert found == pytest.approx(((1 - 1 / 10) / 12) ** 0.5, rel=0.1)
    assert CLOSEST * found > 0.1
