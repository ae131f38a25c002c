"""What ships is what was measured: no headline of the filter rests on settings of its own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

import pytest

from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.audited import ATTACKERS
from sfumato.cli.filter.root import enroll as enroll_command
from sfumato.filter.oneclass import OneClassConfig, Preset

DOCL = Path(__file__).parents[3] / "papers" / "docl"
SETTINGS = {field.name for field in fields(OneClassConfig)} - {"hidden"}
"""The width is a figure of the paper (M = 32, 64, 132); all else is how one trains."""
EARLIER = {"shortlist"}
"""Results that were measured before there was one default; docs/LOG.md says with which settings.
Whoever runs a recipe again takes it off this list."""


def headlines() -> set[str]:
    rows = tomllib.loads((DOCL / "headlines.toml").read_text())["row"]
    return {row["result"] for row in rows}


def trainings(settings: Any) -> Iterator[dict[str, Any]]:
    """Yield every table, at any depth, that states how to train."""
    if isinstance(settings, dict):
        if SETTINGS & settings.keys():
            yield settings
        for value in settings.values():
            yield from trainings(value)


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (DOCL / "recipes").glob("*.toml")))
def test_a_recipe_states_no_training_or_names_a_preset(recipe: str) -> None:
    settings = tomllib.loads((DOCL / "recipes" / f"{recipe}.toml").read_text())
    for table in trainings(settings):
        assert table.get("name") in get_args(Preset), f"{recipe}: {table}"


def test_what_backs_a_headline_trains_as_the_library_does() -> None:
    for result in headlines():
        found = json.loads((DOCL / "results" / f"{result}.json").read_text())
        trained = "training" in found and {k: found["training"].get(k) for k in SETTINGS}
        presets = [OneClassConfig.preset(name) for name in ("default", "plain")]
        presets.append(OneClassConfig().suited("face"))
        shipped = [{k: v for k, v in asdict(p).items() if k in SETTINGS} for p in presets]
        wrong = (
            "is of other settings: run it again" if result not in EARLIER else "is new: off EARLIER"
        )
        assert (trained in shipped) == (result not in EARLIER), f"{result} {wrong}"


def test_the_command_offers_the_presets() -> None:
    import inspect
    from typing import get_type_hints

    hints = get_type_hints(enroll_command)
    assert hints["preset"] == Preset
    defaults = inspect.signature(enroll_command).parameters
    assert defaults["preset"].default == "default"
    assert defaults["hidden"].default is defaults["epochs"].default is None


@pytest.mark.parametrize("recipe", ["mnist", "mnist-gradients"])
def test_an_audits_attackers_are_of_the_kinds_that_were_measured(recipe: str) -> None:
    settings = tomllib.loads((DOCL / "recipes" / f"{recipe}.toml").read_text())
    measured = [AttackerConfig(**kind) for kind in settings["full"]["adversary"]["kinds"]]
    assert all(attacker in measured for attacker in ATTACKERS)
    assert len(set(ATTACKERS)) == len(ATTACKERS) > 6
