from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
import torch

from papers.recipe import Run
from papers.shufflebits.alloy import AlloyFeatures
from papers.shufflebits.attacks import differences
from papers.shufflebits.matching import matched, order_of
from papers.shufflebits.parties import characters, digits
from papers.shufflebits.providers import extractors
from papers.shufflebits.run import RECIPES
from sfumato.audit.measure.disjoint import check_disjoint
from sfumato.errors import DataError, UnavailableError

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


def _features(count: int, seed: int) -> torch.Tensor:
    """Return features whose dimensions differ, as a network's do, and go together."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(count, 6, generator=generator)
    mixed = hidden @ torch.randn(6, 24, generator=torch.Generator().manual_seed(9))
    return (mixed + torch.linspace(-3, 3, 24)).relu()


def test_dimensions_are_told_apart_by_what_is_intercepted_alone() -> None:
    public, secret = _features(900, 1), _features(700, 2)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(3))
    noise = 0.01 * torch.randn(700, 24, generator=torch.Generator().manual_seed(4))
    intercepted = secret[:, order] + noise
    right = order[order_of(intercepted, public)] == torch.arange(24)
    assert float(right.float().mean()) > 0.9
    found = matched(intercepted, public)
    assert float((found - secret).abs().median()) < 0.05
    drawn = torch.rand(700, 24, generator=torch.Generator().manual_seed(5))
    by_chance = order[order_of(drawn, public)] == torch.arange(24)
    assert float(by_chance.float().mean()) < 0.5


def test_what_cannot_be_matched_is_refused() -> None:
    with pytest.raises(DataError, match="same dimensions"):
        order_of(torch.rand(5, 3), torch.rand(5, 4))
    with pytest.raises(DataError, match="two rows or more"):
        order_of(torch.rand(1, 3), torch.rand(5, 3))


def test_the_peer_keeps_distances_and_moves_dimensions() -> None:
    pytest.importorskip("ironcore_alloy", reason="for evaluation only")
    rows = torch.rand(20, 32)

    def backbone(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)

    backbone.name = "rows"
    one, other = (AlloyFeatures(backbone, factor=1.0) for _ in range(2))
    images = rows.unflatten(1, (1, 4, 8))
    released = one.release(images)
    assert released.shape == rows.shape
    assert not torch.allclose(released, other.release(images), atol=0.1), "another key"
    torch.testing.assert_close(one.plain(images), rows)
    distances = torch.cdist(rows, rows)
    torch.testing.assert_close(torch.cdist(released, released), distances, atol=0.2, rtol=0.1)
    apart = (released.sort().values - rows.sort().values).abs().max()
    assert float(apart) < 0.15, "the same numbers, nearly, in another order"
    assert one.release(images[:0]).shape == (0, 32)


def test_without_the_peer_the_recipe_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ironcore_alloy", None)
    with pytest.raises(UnavailableError, match="ironcore-alloy"):
        AlloyFeatures(lambda images: images.flatten(1), factor=1.0)
