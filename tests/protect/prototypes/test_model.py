from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.protect.anonymizer.losses import mutual_information
from sfumato.protect.augment import random_view
from sfumato.protect.deformation import Deformation
from sfumato.protect.pretrained import open_pretrained
from sfumato.protect.prototypes.balance import settle
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.prototypes.rule import Anonymity


def _config(**changes: object) -> PrototypesConfig:
    settings = {"prototypes": 4, "epochs": 1, "batch_size": 100, "features": 4, "device": "cpu"}
    return PrototypesConfig(**{**settings, **changes})  # type: ignore[arg-type]


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
    still = Deformation(rotate=0.0, zoom=0.0, shear=0.0, move=0.0)
    torch.testing.assert_close(random_view(images, still), images, atol=1e-5, rtol=0)
    view = random_view(images, Deformation(light=0.5))
    assert view.shape == images.shape
    assert 0 <= float(view.min()) <= float(view.max()) <= 1
    assert not torch.equal(view, random_view(images, Deformation(light=0.5)))
    with pytest.raises(ConfigError, match="`zoom` must be at least 0 and below 1"):
        Deformation(zoom=1.5)


def test_a_release_is_one_of_the_prototypes_pictures_and_survives_the_disk(
    blobs: ImageSet, tmp_path: Path
) -> None:
    made = fit_prototypes(blobs, private="person", config=_config()).protector
    made.save_pretrained(tmp_path / "artifact")
    read = open_pretrained(tmp_path / "artifact")
    assert isinstance(read, PrototypeAnonymizer)
    assert read.standing == made.standing
    assert read.rule == Anonymity()
    released = read.release(blobs.floats())
    torch.testing.assert_close(released, made.pictures[made.assign(blobs.floats())])
    assert read.private == ("person",)
    assert read.name == made.name == f"prototypes:{len(made.pictures)}"
    whole = read.for_collection(blobs.floats(), blobs.labels, blobs.classes, kept=("mood",))
    again = made.for_collection(blobs.floats(), blobs.labels, blobs.classes, kept=("mood",))
    pictures = whole.release(blobs.floats())
    torch.testing.assert_close(pictures, again.release(blobs.floats()))
    torch.testing.assert_close(whole.release(blobs.floats()[40:60]), pictures[40:60])
    other = torch.rand(3, 1, 8, 8)
    torch.testing.assert_close(whole.release(other), read.release(other))


def test_a_planned_release_keeps_the_rule_for_every_record(blobs: ImageSet) -> None:
    made = fit_prototypes(blobs, private="person", config=_config()).protector
    whole = made.for_collection(blobs.floats(), blobs.labels, blobs.classes, kept=("mood",))
    pictures = (whole.release(blobs.floats()) * 255).round().to(torch.uint8)
    records = torch.cat([pictures.flatten(1), blobs.label("mood")[:, None]], 1)
    index = records.unique(dim=0, return_inverse=True)[1]
    used = torch.zeros(int(index.max()) + 1, 5)
    used.index_put_((index, blobs.label("person")), torch.ones(200), accumulate=True)
    assert bool((used.sum(1) >= 10).all())
    assert bool(((used > 0).sum(1) == 5).all())
    assert bool((used.amax(1) / used.sum(1) <= 0.5).all())
    # Counting alone makes some 0.03 nats of nothing; one owner a picture would be 1.6.
    assert float(mutual_information(used.T)) < 0.1


def test_equal_pictures_are_released_as_the_plan_has_it(blobs: ImageSet) -> None:
    """Forty originals, each five times: their releases differ, as those of different ones do."""
    made = fit_prototypes(blobs, private="person", config=_config()).protector
    many = blobs.subset(torch.arange(200) % 40)
    loose = replace(made.rule, k=2, values=2, share=1.0)
    made.rule = loose
    whole = made.for_collection(many.floats(), many.labels, many.classes)
    shown = whole.release(many.floats()).flatten(1).unique(dim=0, return_inverse=True)[1]
    of_each = shown.reshape(5, 40)
    assert bool((of_each != of_each[:1]).any())
    planned = sorted(place for places in whole.places.values() for place in places)
    index = {tuple(p.flatten().tolist()): i for i, p in enumerate(made.pictures)}
    released = sorted(index[tuple(p.flatten().tolist())] for p in whole.release(many.floats()))
    assert released == planned


def test_a_collection_without_the_private_label_is_refused_by_name(blobs: ImageSet) -> None:
    made = fit_prototypes(blobs, private="person", config=_config()).protector
    moods = {"mood": blobs.label("mood")}
    with pytest.raises(DataError, match=r"label 'person' of every picture.*no such label"):
        made.for_collection(blobs.floats(), moods, blobs.classes)
    some = blobs.label("person").clone()
    some[:3] = -1
    with pytest.raises(DataError, match="3 pictures have none"):
        made.for_collection(blobs.floats(), {"person": some}, blobs.classes)
    few = blobs.subset(range(8))
    with pytest.raises(DataError, match=r"the pictures that keep mood 'low'.*got 5 pictures"):
        made.for_collection(few.floats(), few.labels, few.classes, kept=("mood",))


def test_people_use_prototypes_equally_and_moods_do_not(blobs: ImageSet) -> None:
    """The person is told by the place of a spot, the mood by its sign; moves hide the place."""
    deformation = Deformation(rotate=0.0, zoom=0.0, shear=0.0, move=0.5)
    config = _config(prototypes=2, epochs=60, features=8, deformation=deformation)
    made = fit_prototypes(blobs, private="person", config=config).protector
    index = made.assign(blobs.floats())

    def said(label: str) -> float:
        values = blobs.label(label)
        joint = torch.zeros(int(values.max()) + 1, 2)
        joint.index_put_((values, index), torch.ones(len(blobs)), accumulate=True)
        return float(mutual_information(joint))

    assert said("mood") > 0.5, "of at most log 2"
    assert said("person") < 0.05


def test_what_cannot_be_trained_is_an_error(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match="at least 20 different pictures"):
        fit_prototypes(blobs.subset(range(19)), private="person", config=_config())
    tiny = ImageSet(
        name="tiny", images=blobs.images[:, :, :4], labels=blobs.labels, classes=blobs.classes
    )
    with pytest.raises(DataError, match="at least 8x8 pixels"):
        fit_prototypes(tiny, private="person", config=_config())
    with pytest.raises(DataError, match="no value 'z'"):
        fit_prototypes(blobs, private="person", config=_config(target="z"))
    with pytest.raises(DataError, match="one value only"):
        fit_prototypes(blobs.where("person", "a"), private="person", config=_config())
    with pytest.raises(ConfigError, match="`prototypes`"):
        _config(prototypes=1)
    with pytest.raises(ConfigError, match="`sharpness` must be above 0"):
        _config(sharpness=0.0)


def test_the_pictures_are_of_the_private_value_that_is_asked_for(blobs: ImageSet) -> None:
    def alone(picture: torch.Tensor, images: torch.Tensor) -> bool:
        return bool((images - picture).flatten(1).abs().amax(1).lt(1e-6).any())

    person = blobs.classes["person"][1] if "person" in blobs.classes else 1
    target = str(person)
    made = fit_prototypes(blobs, private="person", config=_config(target=target)).protector
    everyone = fit_prototypes(blobs, private="person", config=_config()).protector
    own = blobs.where("person", target).floats()
    assert all(alone(picture, own) for picture in made.pictures)
    assert not all(alone(picture, own) for picture in everyone.pictures)
