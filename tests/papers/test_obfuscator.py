from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from papers.obfuscator import attacks, choices, parties
from papers.obfuscator.run import CHOICES, RECIPES
from papers.obfuscator.study import alone, config_of, duels
from papers.recipe import Run, frozen
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet

_FOLDER = Path(__file__).parents[2] / "papers" / "obfuscator"


def settings_of(recipe: str, size: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())[size]


@pytest.mark.parametrize("size", ["full", "quick"])
@pytest.mark.parametrize("recipe", sorted(RECIPES.keys() - CHOICES.keys()))
def test_settings_are_ones_that_exist(recipe: str, size: str) -> None:
    settings = settings_of(recipe, size)
    for name in duels(settings) | alone(settings):
        assert config_of(settings, name).objective in ("rate", "psnr", "bounded", "none")
    assert config_of(settings, "bottleneck").objective == "rate"
    ReconstructionConfig(**{k: v for k, v in settings["attack"].items() if k != "seeds"})
    LearnerConfig(**frozen(settings["learners"]))


@pytest.mark.parametrize("size", ["full", "quick"])
@pytest.mark.parametrize("recipe", CHOICES)
def test_settings_to_choose_from_are_ones_that_exist(recipe: str, size: str) -> None:
    settings = settings_of(recipe, size)
    for name in settings["variants"]:
        assert choices.config_of(settings, name).objective == "rate"
    assert settings["validation"] > 0
    LearnerConfig(**frozen(settings["learners"]))


def test_a_choice_is_made_on_validation_pictures_alone(tmp_path: Path) -> None:
    settings = {
        "data": "digits", "train_split": "all", "test_split": "", "utility": "digit",
        "images": 200, "adversary": 120, "validation": 60, "victims": 80, "seeds": [0, 1],
        "bounds": [1e6, 0.5], "network": {"scale": 0.07, "epochs": 2},
        "variants": {"plain": {}, "taught": {"teachers": 2}},
        "learners": {"learners": ["perceptron", "trees"], "restarts": 2, "epochs": 2},
    }  # fmt: skip
    run = _run(tmp_path)
    results = CHOICES["bound"](run, settings)
    assert set(results["variants"]) == {"plain", "taught"}
    for row in results["variants"].values():
        assert set(row) == {"1e+06", "0.5"}
        assert max(row["0.5"]["nats"]["worst"]["seeds"]) <= 0.5
        assert len(row["0.5"]["accuracy"]["seeds"]) == 2
        assert set(row["0.5"]["members"]) == {"release", "certainty", "truth"}
        assert {learner for learner, _ in row["0.5"]["trained"]} == {"perceptron", "trees"}
    assert json.loads(json.dumps(results)) == results
    assert run.parties["shared"] == 0
    assert run.parties["validation"]["pictures"] == 60


def test_the_least_bound_that_costs_little_is_chosen() -> None:
    def row(accuracy: float, victims: float) -> dict[str, Any]:
        return {"validation_accuracy": {"value": accuracy}, "accuracy": {"value": victims}}

    rows = {
        "a": {"1e+06": row(0.97, 0.5), "1": row(0.968, 0.4), "0.25": row(0.9, 0.99)},
        "b": {"1e+06": row(0.969, 0.9), "1": row(0.969, 0.3), "0.25": row(0.96, 0.99)},
    }
    assert choices.chosen(rows) == {"variant": "b", "bound": "1", "validation_accuracy": 0.969}


TINY = {
    "images": 160, "adversary": 80, "victims": 40, "paper_images": 64,
    "network": {"scale": 0.07},
    "warm": {"cut": 6, "epochs": 1},
    "rounds": {"cycles": 1},
    "bounded": {"lam": 1.0, "reconstructors": ["simrec", "resrec"]},
    "rate": {"epochs": 1, "map_channels": 4},
    "others": [[6, 0.1]],
    "learners": {"learners": ["perceptron"], "restarts": 1, "epochs": 1},
    "attack": {"epochs": 1, "patience": 2, "restarts": 1, "seeds": 1, "batch_size": 32,
               "width": 4, "scale": 0.07},
}  # fmt: skip


@pytest.mark.slow
def test_a_study_runs_to_its_end_and_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of("characters", "quick") | TINY
    drawn = []

    def counted(*given: Any) -> Any:
        drawn.append(given[-1])
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return real(*given)

    real = attacks.draw
    monkeypatch.setattr(attacks, "draw", counted)
    with pytest.raises(KeyboardInterrupt):
        RECIPES["characters"](_run(tmp_path), settings)
    fitted = len(list(tmp_path.rglob("fit-*.safetensors")))
    results = RECIPES["characters"](_run(tmp_path), settings)
    assert fitted == 1 + 4 + 1 + 2, "every obfuscator was kept before the first attack"
    # 5 networks against 7 obfuscators, 1 against the other bottleneck, one of them twice.
    assert len(drawn) == 5 * 7 + 1 + 1
    assert set(results["psnr_matrix"]) == {"generator", "simrec", "urec1", "urec2", "resrec"}
    assert set(results["psnr_matrix"]["simrec"]) == {
        "simrec", "urec1", "urec2", "resrec", "bounded", "bottleneck", "no protection",
    }  # fmt: skip
    assert set(results["other_attacks"]["bottleneck"]) == {
        "membership", "linkage", "identity", "glasses",
    }  # fmt: skip
    assert len(results["frontier"]) == 8
    assert json.loads(json.dumps(results)) == results
    assert {path.stem.removeprefix("characters-quick-") for path in tmp_path.rglob("*.png")} == {
        "fig3", "fig4", "fig5", "frontier",
    }  # fmt: skip


def _run(folder: Path) -> Run:
    return Run(
        slug="obfuscator", recipe="characters", quick=True, seed=0, device="cpu", data_dir=None,
        out=folder,
    )  # fmt: skip


def test_the_first_of_a_sorted_collection_are_of_every_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained on the first thousand of a sorted set, the paper's objective saw two classes."""

    def sorted_by_class(*_: object, count: int, **__: object) -> ImageSet:
        labels = torch.arange(count) * 10 // count
        images = torch.arange(count)[:, None, None, None].expand(count, 1, 32, 32)
        classes = {"class": tuple("abcdefghij")}
        return ImageSet(
            name="made", images=(images % 256).to(torch.uint8),
            labels={"class": labels}, classes=classes,
        )  # fmt: skip

    monkeypatch.setattr(parties, "load", sorted_by_class)
    settings = {
        "data": "made", "train_split": "train", "test_split": "test", "utility": "class",
        "images": 800, "adversary": 200, "victims": 100,
    }  # fmt: skip
    made = parties.parties(_run(tmp_path), settings)
    for party in (made.part(100).keeper, made.adversary.subset(range(50)), made.victims):
        assert party.label("class")[:50].unique().numel() == 10
    again = parties.parties(_run(tmp_path), settings)
    assert torch.equal(again.keeper.images, made.keeper.images)
