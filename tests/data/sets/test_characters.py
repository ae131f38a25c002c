"""Characters: reproducible picture by picture, and their labels can be seen in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier

from sfumato.data import ImageSet, load
from sfumato.data.options import SourceOptions
from sfumato.data.sets.characters import SHOWN, CharactersConfig, load_characters
from sfumato.data.sets.rasterise import rasterise
from sfumato.errors import ConfigError, DataError, UnavailableError


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Three people, upright and in one light."""
    config = CharactersConfig(identities=3, rotate=0.0, move=0.0, zoom=0.0, light=0.0)
    options = SourceOptions(size=32, count=168, cache=tmp_path_factory.mktemp("cache"))
    return load_characters(options, config)


def test_a_picture_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    few = load("characters", count=9, size=24, cache=tmp_path)
    more = load("characters", count=15, size=24, cache=tmp_path)
    other = load("characters", count=9, size=24, cache=tmp_path, seed=1)
    assert torch.equal(few.images, more.images[:9])
    assert not torch.equal(few.images, other.images)
    assert len({image.numpy().tobytes() for image in more.images}) == 15


def test_labels_of_a_person_are_the_same_in_all_their_pictures(cast: ImageSet) -> None:
    identity = cast.label("identity")
    assert set(cast.labels) == {"identity", "expression", "glasses", *SHOWN}
    for name in SHOWN:
        for person in range(3):
            assert len(cast.label(name)[identity == person].unique()) == 1
    pairs = {(int(i), int(e)) for i, e in zip(identity, cast.label("expression"), strict=True)}
    assert len(pairs) == 21  # every person with every expression


@pytest.mark.parametrize("attribute", ["expression", "identity", "glasses"])
def test_labels_can_be_read_from_the_pixels(cast: ImageSet, attribute: str) -> None:
    # Backgrounds are random: where the face is, a linear model finds each label on new pictures.
    pixels = cast.floats()[:, :, 6:29, 7:25].flatten(1).numpy()
    values = cast.label(attribute).numpy()
    train = np.arange(len(values)) < 126
    model = RidgeClassifier(alpha=1.0).fit(pixels[train], values[train])
    assert model.score(pixels[~train], values[~train]) > 0.9


CHANGES: dict[str, Callable[[float], CharactersConfig]] = {
    name: lambda x, name=name: CharactersConfig(
        **{**dict.fromkeys(("rotate", "move", "zoom", "light"), 0.0), name: x}
    )
    for name in ("rotate", "move", "zoom", "light")
}


@pytest.mark.parametrize("name", CHANGES)
def test_pose_and_light_change_the_pictures(name: str, tmp_path: Path) -> None:
    options = SourceOptions(size=24, count=6, cache=tmp_path)
    still = load_characters(options, CHANGES[name](0.0))
    moved = load_characters(options, CHANGES[name](0.1 if name != "rotate" else 10.0))
    assert not torch.equal(still.images, moved.images)


def test_grey_any_shape_and_box(tmp_path: Path) -> None:
    grey = load("characters", count=3, size=(40, 30), channels=1, cache=tmp_path)
    assert grey.images.shape == (3, 1, 40, 30)
    own = load("characters", count=3, cache=tmp_path)
    cut = load("characters", count=3, box=(16, 16, 48, 48), cache=tmp_path)
    assert torch.equal(cut.images, own.images[:, :, 16:48, 16:48])


def test_the_second_time_they_come_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("characters", count=4, size=16, cache=tmp_path)
    monkeypatch.setattr("sfumato.data.sets.characters.rasterise", None)
    assert torch.equal(load("characters", count=4, size=16, cache=tmp_path).images, first.images)


def test_what_cannot_be_drawn_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="resvg cannot draw"):
        rasterise(["<svg"], 8, 8)
    with pytest.raises(ConfigError, match="rotate is 0 to 45"):
        CharactersConfig(rotate=90.0)
    with pytest.raises(DataError, match="no published split"):
        load("characters", split="test")


def test_the_name_can_say_how_many_people(tmp_path: Path) -> None:
    images = load("characters:4", count=8, size=16, cache=tmp_path)
    assert images.classes["identity"] == ("person-1", "person-2", "person-3", "person-4")
    with pytest.raises(ConfigError, match="expected 1 to 1,000 identities, got 5,000"):
        load("characters:5000", cache=tmp_path)
    with pytest.raises(DataError, match="no data set is called 'characters:many'"):
        load("characters:many")
