from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.fit import fit_anonymizer
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.anonymizer.substitute import nearest, substitute
from sfumato.protect.labels import private_labels, refuse_same
from sfumato.protect.pretrained import open_pretrained

_QUICK = {"features": 4, "pixel_epochs": 1, "discriminator_epochs": 1, "batch_size": 50}


def _config(**changes: object) -> AnonymizerConfig:
    return AnonymizerConfig(**{"epochs": 1, "device": "cpu", **_QUICK, **changes})  # type: ignore[arg-type]


def test_the_nearest_picture_is_that_of_a_slow_search() -> None:
    images, gallery = torch.rand(7, 1, 5, 4), torch.rand(600, 1, 5, 4)
    slow = [int(((gallery - image) ** 2).sum((1, 2, 3)).argmin()) for image in images]
    assert nearest(images, gallery).tolist() == slow
    assert torch.equal(substitute(gallery, gallery), gallery)
    with pytest.raises(DataError, match="gallery"):
        nearest(images, gallery[:0])


@pytest.mark.parametrize("substituted", [False, True])
def test_an_anonymizer_read_back_releases_the_same_bits(
    blobs: ImageSet, tmp_path: Path, substituted: bool
) -> None:
    made = fit_anonymizer(
        blobs, private="person", config=_config(target="b", substitute=substituted)
    ).protector
    made.save_pretrained(tmp_path / "artifact")
    read = open_pretrained(tmp_path / "artifact")
    assert isinstance(read, Anonymizer)
    assert read.private == ("person",)
    assert read.name == made.name
    released = read.release(blobs.floats())
    torch.testing.assert_close(released, made.release(blobs.floats()), rtol=0, atol=0)
    own = blobs.where("person", "b").floats()
    is_own = (released[:, None] == own[None]).flatten(2).all(2).any(1)
    assert bool(is_own.all()) is substituted


def test_the_game_hides_what_pretraining_shows(blobs: ImageSet) -> None:
    """After the first two stages releases follow the picture; lambda then moves the releases."""
    frames: list[torch.Tensor] = []

    def watch(_: int, made: Anonymizer) -> None:
        frames.append(made.autoencoder(blobs.floats()).detach())

    fit_anonymizer(
        blobs, private="person", config=_config(pixel_epochs=30, epochs=3), after_epoch=watch
    )
    assert len(frames) == 4
    originals = blobs.floats()
    errors = [float(((frame - originals) ** 2).mean()) for frame in frames]
    assert errors[0] < float(originals.var(0).mean())
    assert not torch.equal(frames[0], frames[-1])


def test_only_the_private_label_is_looked_at(blobs: ImageSet) -> None:
    blind = ImageSet(
        name=blobs.name,
        images=blobs.images,
        labels={"person": blobs.label("person")},
        classes={"person": blobs.classes["person"]},
    )
    seen, unseen = (
        fit_anonymizer(images, private="person", config=_config()).protector
        for images in (blobs, blind)
    )
    torch.testing.assert_close(seen.release(blobs.floats()), unseen.release(blobs.floats()))


def test_labels_that_cannot_be_hidden_are_errors(blobs: ImageSet) -> None:
    one = blobs.where("person", "a")
    with pytest.raises(DataError, match="one value only"):
        fit_anonymizer(one, private="person", config=_config())
    with pytest.raises(DataError, match="no label 'age'"):
        fit_anonymizer(blobs, private="age", config=_config())
    with pytest.raises(DataError, match="no value 'z'"):
        fit_anonymizer(blobs, private="person", config=_config(target="z"))
    with pytest.raises(DataError, match="no image has person 'e'"):
        private_labels(blobs.subset(blobs.label("person") < 3), "person", target="e")
    missing = ImageSet(
        name="blobs",
        images=blobs.images,
        labels={"person": blobs.label("person").where(torch.arange(200) > 3, -1)},
        classes={"person": blobs.classes["person"]},
    )
    with pytest.raises(DataError, match="4 of 200 images have no 'person'"):
        fit_anonymizer(missing, private="person", config=_config())
    with pytest.raises(ConfigError, match="both 'person'"):
        refuse_same("person", "person")
    with pytest.raises(ConfigError, match="`lam`"):
        _config(lam=-1.0)
    with pytest.raises(ConfigError, match="needs `target`"):
        _config(substitute=True)
