from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.protect.anonymizer_losses import mutual_information
from sfumato.protect.deform import Deformation, random_view
from sfumato.protect.pretrained import open_pretrained
from sfumato.protect.prototypes import PrototypeAnonymizer
from sfumato.protect.prototypes_division import balanced_division
from sfumato.protect.prototypes_fit import (
    PrototypesConfig,
    fit_prototypes,
    mean_pictures,
    swapped_prediction,
)
from sfumato.protect.prototypes_settle import settle


def _config(**changes: object) -> PrototypesConfig:
    settings = {"prototypes": 4, "epochs": 1, "batch_size": 100, "width": 4, "device": "cpu"}
    return PrototypesConfig(**{**settings, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 9))
def test_a_division_gives_every_private_value_every_prototype_equally(
    seed: int, values: int, prototypes: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(values, (60,), generator=generator)
    labels[:values] = torch.arange(values)
    similar = 2 * torch.rand(60, prototypes, generator=generator) - 1
    shares = balanced_division(similar, labels, sharpness=0.5, rounds=200)
    torch.testing.assert_close(shares.sum(1), torch.ones(60))
    used = torch.zeros(values, prototypes).index_add_(0, labels, shares)
    wanted = torch.bincount(labels)[:, None] / prototypes
    torch.testing.assert_close(used, wanted.expand_as(used), rtol=0.02, atol=0.02)
    assert float(mutual_information(used)) < 1e-3


def test_a_division_prefers_what_is_similar() -> None:
    similar = torch.tensor([[0.9, 0.1], [0.1, 0.9]]).repeat(4, 1)
    shares = balanced_division(similar, torch.tensor([0] * 4 + [1] * 4), sharpness=0.05, rounds=20)
    assert bool((shares.argmax(1) == similar.argmax(1)).all())
    agree = swapped_prediction(similar, similar, (shares, shares), 0.1)
    cross = swapped_prediction(similar, similar.flip(1), (shares, shares), 0.1)
    assert float(agree) < float(cross)


def test_settled_prototypes_split_by_what_private_values_share() -> None:
    """Each person has their own place along one axis; all have the same three kinds of picture."""
    generator = torch.Generator().manual_seed(0)
    kind, person = torch.arange(360) % 3, torch.arange(360) // 3 % 4
    means = torch.eye(8)[kind] + 0.8 * torch.eye(8)[3 + person]
    noisy = means + 0.1 * torch.randn(360, 8, generator=generator)
    vectors = torch.nn.functional.normalize(noisy, dim=1)
    found = settle(vectors, person, 3, sharpness=0.05, rounds=20, seed=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    index = (vectors @ found.T).argmax(1)
    for values, bits in ((kind, 1.0), (person, 0.02)):
        joint = torch.zeros(4, 3).index_put_((values, index), torch.ones(360), accumulate=True)
        told = float(mutual_information(joint))
        assert told > bits if values is kind else told < bits


def test_views_stay_pictures_and_no_deformation_is_the_picture() -> None:
    images = torch.rand(6, 3, 20, 16)
    still = Deformation(turn=0.0, zoom=0.0, shear=0.0, move=0.0)
    torch.testing.assert_close(random_view(images, still), images, atol=1e-5, rtol=0)
    view = random_view(images, Deformation(light=0.5))
    assert view.shape == images.shape
    assert 0 <= float(view.min()) <= float(view.max()) <= 1
    assert not torch.equal(view, random_view(images, Deformation(light=0.5)))
    with pytest.raises(ConfigError, match="deformations"):
        Deformation(zoom=1.5)


def test_a_release_is_one_of_the_prototypes_pictures_and_survives_the_disk(
    blobs: ImageSet, tmp_path: Path
) -> None:
    made = fit_prototypes(blobs, "person", _config())
    made.save_pretrained(tmp_path / "artifact")
    read = open_pretrained(tmp_path / "artifact")
    assert isinstance(read, PrototypeAnonymizer)
    released = read.release(blobs.floats())
    torch.testing.assert_close(released, made.pictures[made.assign(blobs.floats())])
    assert len(released.unique(dim=0)) <= 4
    assert read.private == ("person",)
    assert read.name == made.name == "prototypes:4"


def test_pictures_are_means_over_everyone_or_real_ones_of_the_target(blobs: ImageSet) -> None:
    made = fit_prototypes(blobs, "person", _config())
    rows, index = blobs.floats(), made.assign(blobs.floats())
    for i in index.unique().tolist():
        torch.testing.assert_close(made.pictures[i], rows[index == i].mean(0))
    made.matcher.prototypes.data[1:] = -made.matcher.prototypes.data[:1]
    made.matcher.prototypes.data[2:] = made.matcher.prototypes.data[1]
    unused = mean_pictures(made, rows)[3]
    torch.testing.assert_close(unused, rows.mean(0))
    of_b = fit_prototypes(blobs, "person", _config(target="b"))
    own = blobs.where("person", "b").floats()
    assert all(bool((own == picture).flatten(1).all(1).any()) for picture in of_b.pictures)


def test_people_use_prototypes_equally_and_moods_do_not(blobs: ImageSet) -> None:
    """The person is told by the place of a spot, the mood by its sign; moves hide the place."""
    deformation = Deformation(turn=0.0, zoom=0.0, shear=0.0, move=0.5)
    config = _config(prototypes=2, epochs=60, width=8, deformation=deformation)
    made = fit_prototypes(blobs, "person", config)
    index = made.assign(blobs.floats())

    def said(label: str) -> float:
        values = blobs.label(label)
        joint = torch.zeros(int(values.max()) + 1, 2)
        joint.index_put_((values, index), torch.ones(len(blobs)), accumulate=True)
        return float(mutual_information(joint))

    assert said("mood") > 0.5, "of at most log 2"
    assert said("person") < 0.05


def test_what_cannot_be_trained_is_an_error(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match="at least 300 images"):
        fit_prototypes(blobs, "person", _config(prototypes=300))
    with pytest.raises(DataError, match="no value 'z'"):
        fit_prototypes(blobs, "person", _config(target="z"))
    with pytest.raises(DataError, match="one value only"):
        fit_prototypes(blobs.where("person", "a"), "person", _config())
    with pytest.raises(ConfigError, match="--prototypes"):
        _config(prototypes=1)
    with pytest.raises(ConfigError, match="positive"):
        _config(sharpness=0.0)
