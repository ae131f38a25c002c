from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.data.imageset import ImageSet
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.fit import fit_anonymizer
from sfumato.protect.anonymizer.game import Game
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


@pytest.mark.parametrize("preset", [None, "plain"])
def test_an_interrupted_training_ends_as_one_that_was_not(
    blobs: ImageSet, tmp_path: Path, preset: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(checkpoint: Path | None) -> AnonymizerConfig:
        changes: dict[str, Any] = {"device": "cpu", **_QUICK, "epochs": 2}
        changes |= {"checkpoint": checkpoint}
        return (
            AnonymizerConfig(**changes)
            if preset is None
            else AnonymizerConfig.preset(preset, **changes)
        )

    def stop(number: int, _: Anonymizer) -> None:
        if number == 2:
            raise KeyboardInterrupt

    whole = fit_anonymizer(blobs, private="person", config=config(None))
    # A minute passes at each look: every epoch is written.
    monkeypatch.setattr("sfumato.fit.loop.time.monotonic", count(0.0, 60.0).__next__)
    kept = config(tmp_path / "made")
    with pytest.raises(KeyboardInterrupt):
        fit_anonymizer(blobs, private="person", config=kept, after_epoch=stop)
    with pytest.raises(ArtifactError, match="with other settings"):
        fit_anonymizer(blobs, private="person", config=replace(kept, lam=kept.lam + 1))
    numbers: list[int] = []
    resumed = fit_anonymizer(
        blobs, private="person", config=kept,
        after_epoch=lambda number, _: numbers.append(number),
    )  # fmt: skip
    assert numbers == [0, 2], "the first epoch was done before the interruption"
    for name, weights in whole.protector.state_dict().items():
        torch.testing.assert_close(resumed.protector.state_dict()[name], weights)


def test_the_plain_preset_is_the_papers_text_alone(blobs: ImageSet) -> None:
    plain = AnonymizerConfig.preset("plain", device="cpu", **_QUICK)
    made = fit_anonymizer(blobs, private="person", config=plain).protector
    game = Game(made, blobs.floats(), blobs.floats(), blobs.label("person"), plain)
    assert [type(one) for one in game.networks["private"].classifiers] == [ConvClassifier]
    assert isinstance(made.autoencoder.vector, nn.Identity)
    assert not hasattr(game.networks["discriminator"].head, "parametrizations")
    assert float(game.anchor(blobs.floats(), blobs.floats())) == 0


def test_the_pixel_term_ties_a_release_to_its_picture(blobs: ImageSet) -> None:
    errors = []
    for pixel in (0.0, 30.0):
        config = _config(pixel=pixel, pixel_epochs=10, discriminator_epochs=2, epochs=3, lam=4.0)
        made = fit_anonymizer(blobs, private="person", config=config).protector
        errors.append(float(((made.release(blobs.floats()) - blobs.floats()) ** 2).mean()))
    assert errors[1] < errors[0]


def test_several_classifiers_are_taught_as_often_as_asked(blobs: ImageSet) -> None:
    taught = []
    for steps in (1, 3):
        config = _config(classifiers=("conv", "perceptron"), private_steps=steps)
        made = fit_anonymizer(blobs, private="person", config=config).protector
        game = Game(made, blobs.floats(), blobs.floats(), blobs.label("person"), config)
        calls: list[int] = []
        game.networks["private"].register_forward_hook(
            lambda _, __, out, calls=calls: calls.append(len(out))
        )
        game.play("anonymise", 1, game.anonymise)
        assert set(calls) == {2}
        taught.append(len(calls) - len(blobs) // 50)  # once a step it judges the autoencoder
    assert taught[1] == 3 * taught[0]


def test_rates_fall_over_the_second_half(blobs: ImageSet) -> None:
    made = fit_anonymizer(blobs, private="person", config=_config()).protector
    for settle, factors in ((True, [1, 1, 0.5, 0]), (False, [1, 1, 1, 1])):
        config = _config(settle=settle, epochs=4)
        game = Game(made, blobs.floats(), blobs.floats(), blobs.label("person"), config)
        after: list[float] = []
        rates = lambda *_, made=game, seen=after: seen.append(  # noqa: E731
            made.optimizers["auto"].param_groups[0]["lr"]
        )
        game.play("anonymise", 4, game.anonymise, rates)
        assert after == pytest.approx([config.lr * factor for factor in factors])


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
