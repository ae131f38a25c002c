"""What every result has to hold, so that a headline of it may be believed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from papers.recipe import Run
from papers.san.measure import readable
from sfumato.attack.tools.scores import two_sided
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load

ROOT = Path(__file__).parents[2]
RESULTS = {
    f"{path.parents[1].name}/{path.stem}": json.loads(path.read_text())
    for path in sorted((ROOT / "papers").glob("*/results/*.json"))
}
_NETWORKS = ("probe", "perceptron", "conv")


def found(value: Any, key: str) -> Iterator[Any]:
    """Yield what a document has under a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from found(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from found(inner, key)


@pytest.mark.parametrize("name", [n for n, result in RESULTS.items() if "attribute_auc" in result])
def test_an_attributes_area_is_two_sided_beside_the_plain_one(name: str) -> None:
    result = RESULTS[name]
    assert result["attribute_auc_two_sided"] == readable(result["attribute_auc"])
    areas = [v for row in result["attribute_auc_two_sided"].values() for v in row.values()]
    assert min(area for area in areas if isinstance(area, float)) >= 0.5


def test_an_area_below_a_half_is_turned_round() -> None:
    assert two_sided(0.125) == two_sided(0.875) == 0.875
    assert readable({"eye": {"role": "unseen", "OP": 0.25}}) == {
        "eye": {"role": "unseen", "OP": 0.75}
    }


def _pointers() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((ROOT / "papers").glob("*/headlines.toml")):
        for row in tomllib.loads(path.read_text())["row"]:
            yield row["figure"], [str(key) for key in row["at"]]
    for row in tomllib.loads((ROOT / "papers" / "summary.toml").read_text())["row"]:
        yield row["what"], row["here"].strip("*{} %").rpartition(":")[0].split("/")[2:]


def test_a_headline_is_two_sided_and_of_what_a_release_gives() -> None:
    """A release has no labels: what an output for the true one does is named as that."""
    pointers = list(_pointers())
    assert any("release" in at for _, at in pointers)
    one_sided = [figure for figure, at in pointers if "attribute_auc" in at]
    assert one_sided == []
    unnamed = [figure for figure, at in pointers if at[-1] == "OP" and "true gender" not in figure]
    assert unnamed == []


PARTIES = [name for name, result in RESULTS.items() if result.get("parties")]


@pytest.mark.parametrize("name", PARTIES)
def test_no_party_has_a_picture_of_another(name: str) -> None:
    parties = dict(RESULTS[name]["parties"])
    assert parties.pop("shared") == 0
    there = [party for party in parties.values() if party["pictures"]]
    assert len(there) >= 3
    assert len({party["fingerprint"] for party in there}) == len(there)


UNRECORDED = {"docl/imbalance", "docl/imbalance-seed1", "docl/imbalance-seed2"}
"""Results that were measured before their recipe recorded its parties.
Whoever runs a recipe again takes it off this list."""
CHOSEN = [name for name, result in RESULTS.items() if "validation" in result["settings"]]


@pytest.mark.parametrize("name", CHOSEN)
def test_a_choice_is_made_on_pictures_that_nobody_is_judged_by(name: str) -> None:
    parties = RESULTS[name].get("parties")
    assert (parties is None) == (name in UNRECORDED)
    if parties is None:
        return
    assert parties["validation"]["pictures"] > 0
    assert parties["victims"]["pictures"] > 0


def test_shared_pictures_are_counted(tmp_path: Path) -> None:
    def run() -> Run:
        return Run(
            slug="obfuscator", recipe="bound", quick=True, seed=0, device="cpu", data_dir=None,
            out=tmp_path,
        )  # fmt: skip

    digits = load("digits", count=40)
    one, other = digits.subset(range(20)), digits.subset(range(20, 40))
    apart, mixed = run(), run()
    apart.apart(keeper=one, victims=other)
    assert apart.parties["shared"] == 0
    both: ImageSet = digits.subset(range(18, 40))
    mixed.apart(keeper=one, victims=both)
    assert mixed.parties["shared"] == 2
    assert mixed.parties["victims"]["pictures"] == 22


def _claims(result: dict[str, Any]) -> int:
    """Return how many restarts a result says that its attackers of labels had."""
    learners = result["settings"].get("learners")
    return int(learners["restarts"]) if isinstance(learners, dict) else 1


NETWORKS_ALONE = {"obfuscator/mnist"}
"""Members were told by networks alone, without trees: its page says so. Whoever runs the recipe
again puts trees in, and takes it off."""
CLAIMS = [name for name, result in RESULTS.items() if _claims(result) > 1]


@pytest.mark.parametrize("name", CLAIMS)
def test_who_claims_restarts_tried_several_families_with_them(name: str) -> None:
    result = RESULTS[name]
    learners = result["settings"]["learners"]["learners"]
    assert set(learners) & set(_NETWORKS)
    others = set(learners) - set(_NETWORKS)
    assert bool(others) == (name not in NETWORKS_ALONE), "trees, a table or neighbours as well"
    if not others:
        return
    trained = list(found(result, "trained"))
    assert trained, "who was trained is part of the result"
    for attempts in trained:
        assert {learner for learner, _ in attempts} == set(learners)
