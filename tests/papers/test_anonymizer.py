from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from papers.anonymizer import fig2, worlds
from papers.anonymizer.assess import assess, attackers, information, pooled
from papers.anonymizer.methods import paper_config, prototypes_config
from papers.anonymizer.run import RECIPES
from papers.anonymizer.worlds import World, characters, template_name, with_template
from papers.recipe import Run
from sfumato.data.imageset import ImageSet
from sfumato.data.splits import split_images
from sfumato.errors import ConfigError
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.baselines import Unprotected
from sfumato.types import Protector

_FOLDER = Path(__file__).parents[2] / "papers" / "anonymizer"
TINY: dict[str, Any] = {
    "each": 60,
    "pose": {"rotate": 0.0},
    "size": 16,
    "strangers": 200,
    "seeds": 1,
    "learners": ["conv", "table"],
    "restarts": 1,
    "headline_restarts": 1,
    "attack_epochs": 1,
    "precision": "no",
    "patience": 1,
    "others": [],
    "lams": [0.0, 2.0],
    "shown_lam": 2.0,
    "fit": {"prototypes": 4, "epochs": 1, "batch_size": 50, "features": 4, "precision": "no"},
    "paper": {"features": 4, "epochs": 2, "pixel_epochs": 1, "discriminator_epochs": 1},
    "baselines": {"ksame": [3], "blur": [2.0], "pixelate": [4], "noise": [0.5]},
}


def _run(recipe: str, out: Path) -> Run:
    return Run(
        slug="anonymizer", recipe=recipe, quick=True, seed=0, device="cpu", data_dir=None, out=out
    )


def _settings(recipe: str) -> dict[str, Any]:
    settings = tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())
    assert set(settings) == {"full", "quick"}
    return settings


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "fig2"])
def test_every_recipe_has_settings_of_both_sizes(recipe: str) -> None:
    settings = _settings(recipe)
    for size in settings.values():
        assert size.keys() >= TINY.keys() - {"each", "size", "pose", "fit", "paper"}
        assert prototypes_config(size).prototypes not in size["others"]
        assert paper_config(size, 1.0).lam == 1.0


def test_nobody_is_template_or_stranger_and_in_the_collection(tmp_path: Path) -> None:
    world = characters(_run("characters", tmp_path), TINY)
    assert world.template is not None
    parts = (world.train, world.validation, world.test, world.template, world.strangers)
    people = [set(part.label("identity").tolist()) for part in parts]
    assert people[0] == people[1] | people[2] | people[0] == set(range(6))
    assert people[3] == {6}
    assert not people[4] & (people[0] | people[3])
    assert world.chance == pytest.approx(1 / 6)
    assert template_name(world) == world.train.classes["identity"][6]
    assert len(with_template(world)) == len(world.train) + len(world.template)


def test_one_label_cannot_be_hidden_and_stay_readable(blobs: ImageSet) -> None:
    with pytest.raises(ConfigError, match="both 'person'"):
        _world(blobs, utility="person")


def _world(blobs: ImageSet, utility: str = "mood") -> World:
    parts = split_images(blobs, [0.5, 0.25, 0.25], seed=0)
    return World(
        train=parts[0], validation=parts[1], test=parts[2], private="person", utility=utility,
        strangers=parts[2],
    )  # fmt: skip


class _Spots(Protector):
    """Releases the mood alone."""

    name = "mood"

    def release(self, images: torch.Tensor) -> torch.Tensor:
        return (images.mean((1, 2, 3), keepdim=True) > 0.5).float().expand_as(images)


def test_fresh_networks_find_what_is_there_and_nothing_else(blobs: ImageSet) -> None:
    world = _world(blobs)
    tries = {"learners": ["conv", "table"], "restarts": 1, "attack_epochs": 25, "patience": 25}
    tries["precision"] = "no"
    config = attackers(tries, "cpu")
    labels = ("person", "mood")
    bare, hidden = (assess(p, world, labels, config, seed=0) for p in (Unprotected(), _Spots()))
    assert bare.value("person") > 0.8
    assert bare.value("mood") > 0.8
    assert hidden.value("person") < 0.45
    assert hidden.value("mood") > 0.8
    both = pooled([bare, hidden], "person")
    assert both["values"] == [bare.value("person"), hidden.value("person")]
    assert both["value"] == pytest.approx(sum(both["values"]) / 2)
    counted = information(_Spots(), world)
    assert counted["releases"] == 2
    assert counted["counted"] < 0.1
    assert information(Unprotected(), world)["counted"] > 1


@pytest.mark.slow
def test_a_recipe_runs_and_draws_its_figures(tmp_path: Path) -> None:
    results = RECIPES["characters"](_run("characters", tmp_path), TINY)
    assert {"private_accuracy", "utility_accuracy", "chance", "sweep", "pictures"} <= set(results)
    assert [row["lam"] for row in results["sweep"]] == TINY["lams"]
    assert len(results["frontier"]) == 2 + 1 + 2 + 4 + 2
    assert set(results["attacks"]) == {"original", "prototypes", "paper"}
    for found in results["attacks"].values():
        assert set(found) == {"pairs", "knowing", "groups", "groups_knowing", "verify"}
        assert "1" in found["groups"]["by_size"]
    assert results["guarantee"]["real_pictures"] is True, "the template's, which nobody is"
    for name in results["pictures"]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_fig2_has_eight_points_by_the_defaults_and_several_families_of_attackers() -> None:
    full = _settings("fig2")["full"]
    assert len(full["lams"]) >= 8
    assert sorted(full["lams"]) == full["lams"]
    assert paper_config(full, 1.0) == AnonymizerConfig(lam=1.0)
    assert {name for one in full["attackers"] for name in one["learners"]} == {
        "perceptron", "trees",
    }  # fmt: skip


def test_fig2_judges_pictures_of_which_nothing_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, (150, 1, 6, 6), generator=generator, dtype=torch.uint8)
    people = ImageSet(
        name="pendigits",
        images=drawn,
        labels={"writer": torch.arange(150) % 3, "digit": torch.arange(150) % 10},
        classes={"writer": ("a", "b", "c"), "digit": tuple("0123456789")},
    )
    monkeypatch.setattr(worlds, "load", lambda *_, **__: people)
    settings = {"split": 0, "share": 1.0, "strangers": 5}
    chosen = worlds.pendigits(_run("pendigits", tmp_path), settings)
    run = _run("fig2", tmp_path)
    judged = worlds.fig2(run, settings)
    assert torch.equal(judged.validation.images, chosen.test.images)
    assert torch.equal(judged.test.images, chosen.validation.images)
    assert run.parties["shared"] == 0
    assert run.parties["victims"]["pictures"] == len(judged.test)


def test_presets_of_the_papers_method_are_those_of_the_command() -> None:
    for recipe in ("pendigits", "characters", "ferg"):
        for size in _settings(recipe).values():
            assert paper_config(size, 2.0).pixel == 0.0, "the paper's text alone"


def test_fig2_goes_on_from_the_points_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: ImageSet
) -> None:
    monkeypatch.setattr(worlds, "fig2", lambda *_: _world(blobs))
    settings = {
        "split": 0,
        "lams": [0.0, 2.0],
        "attackers": [{"learners": ["perceptron"], "restarts": 1, "epochs": 2}],
        "paper": {"features": 4, "epochs": 1, "pixel_epochs": 1, "discriminator_epochs": 1},
    }
    results = fig2.fig2(_run("fig2", tmp_path), settings)
    assert [row["lam"] for row in results["sweep"]] == [0.0, 2.0]
    for name in results["pictures"]:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(fig2, "assess", None)
    assert fig2.fig2(_run("fig2", tmp_path), settings) == results
