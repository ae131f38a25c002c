from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

from papers.recipe import Run
from papers.shufflebits.attacks import differences
from papers.shufflebits.parties import characters, digits
from papers.shufflebits.providers import extractors
from papers.shufflebits.run import RECIPES
from sfumato.audit.measure.disjoint import check_disjoint

_FOLDER = Path(__file__).parents[2] / "papers" / "shufflebits"


def _run(recipe: str, out: Path) -> Run:
    return Run(
        slug="shufflebits", recipe=recipe, quick=True, seed=0, device="cpu", data_dir=None, out=out
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_settings_of_both_sizes(recipe: str) -> None:
    settings = tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())
    assert set(settings) == {"full", "quick"}
    assert settings["full"].keys() >= settings["quick"].keys() - {"dims"}


def test_no_party_has_anothers_people(tmp_path: Path) -> None:
    settings = {"identities": 12, "count": 60, "size": 16}
    parties = characters(_run("characters", tmp_path), settings)
    for one, other in (
        (parties.provider, parties.adversary),
        (parties.provider, parties.victims),
        (parties.adversary, parties.victims),
    ):
        assert check_disjoint(one, other, "identity") == "no identity is on both sides"


def test_the_providers_own_network_is_trained_on_the_providers_pictures(tmp_path: Path) -> None:
    run = _run("digits", tmp_path)
    parties = digits(run, {"data": "digits", "count": 600, "size": 8})
    settings = {"backbones": ["own", "raw"], "own_epochs": 3}
    own, raw = extractors(run, parties, settings)
    images = parties.victims.floats()[:20]
    first, again = own(images), own(images)
    assert torch.equal(first, again)
    assert first.shape == (20, 128)
    assert torch.equal(own(images[:7]), first[:7])
    assert raw(images).shape == (20, 64)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_differences_are_paired_by_victim() -> None:
    hard = torch.rand(2, 50)
    distances = {"pixel": hard + 0.01, "feature": hard, "feature+adversarial": hard - 0.02}
    found = differences(distances)
    low, high = found["pixel - feature+adversarial"]["interval"]
    assert 0.029 < low <= high < 0.031, "one victim's difficulty must not widen the interval"
    assert found["pixel - feature"]["value"] == pytest.approx(0.01, abs=1e-5)


@pytest.mark.slow
def test_the_quick_recipe_shows_what_the_paper_says_and_what_it_does_not(tmp_path: Path) -> None:
    settings = tomllib.loads((_FOLDER / "recipes" / "digits.toml").read_text())["quick"]
    results = RECIPES["digits"](_run("digits", tmp_path), settings)
    for attributes in results["attributes"].values():
        assert attributes["digit"]["clear"]["value"] > 0.9
        assert attributes["digit"]["sealed"]["value"] < 0.2
    for name in ("pixel", "feature", "feature+adversarial"):
        drawn = results["reconstruction"][name]
        assert drawn["clear"]["value"] < 0.3 * drawn["clear"]["floor"]
        assert drawn["sealed"]["leakage"] < 0.1
    own = results["attributes"]["own"]["digit"]
    assert own["shufflebits, popcounts"]["value"] > 0.9
    assert own["sealed, popcounts"]["value"] < 0.2
    broken = results["cryptanalysis"]["own"]
    assert broken["shufflebits, 0 values known"]["value"] > 0.8
    assert broken["sealed, 0 values known"]["at_floor"]
