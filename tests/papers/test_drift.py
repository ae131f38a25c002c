"""What ships is what was measured: a command trains with the settings of its headline's recipe."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import typer

from papers.anonymizer import methods
from papers.obfuscator.choices import config_of as obfuscator_choice
from papers.obfuscator.study import config_of as obfuscator_config
from papers.san.run import config_of as san_config
from papers.shufflebits import attacks as shufflebits
from sfumato.cipher.permutation import ShuffleKey
from sfumato.cli.configoptions import config_from
from sfumato.cli.main import app
from sfumato.protect.encrypted import EncryptedFeatures

_PAPERS = Path(__file__).parents[2] / "papers"
Settings = Mapping[str, Any]


def _anonymizer(settings: Settings, part: str) -> object:
    method, _, lam = part.partition(", lambda ")
    if method == "paper":  # without a lambda it is the attacked one, which is the last
        return methods.paper_config(settings, float(lam or settings["lams"][-1]))
    return methods.prototypes_config(settings)


def _obfuscator(settings: Settings, part: str) -> object:
    return (obfuscator_choice if "variants" in settings else obfuscator_config)(settings, part)


CONFIGS: dict[str, Callable[[Settings, str], object]] = {
    "obfuscator": _obfuscator,
    "san": lambda settings, _: san_config(settings),
    "anonymizer": _anonymizer,
}
"""How a paper's recipe trains a part of its result."""


def _headlines(slug: str) -> dict[str, Any]:
    return tomllib.loads((_PAPERS / slug / "headlines.toml").read_text())


def _recipe(slug: str, result: str) -> Settings:
    name = result.removesuffix("-quick")
    recipe = tomllib.loads((_PAPERS / slug / "recipes" / f"{name}.toml").read_text())
    settings: Settings = recipe["quick" if result.endswith("-quick") else "full"]
    return settings


def _command(line: str) -> object:
    """Return the config that a command line gives."""
    command: Any = typer.main.get_command(app)
    words = line.split()[1:]
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return config_from(command, words)


SHIPPED = [(slug, row) for slug in CONFIGS for row in _headlines(slug)["ships"]]


@pytest.mark.parametrize(
    ("slug", "row"), SHIPPED, ids=[f"{slug} {r['result']} {r['part']}" for slug, r in SHIPPED]
)
def test_the_command_of_a_headline_trains_as_its_recipe_does(
    slug: str, row: dict[str, str]
) -> None:
    measured = CONFIGS[slug](_recipe(slug, row["result"]), row["part"])
    assert _command(row["command"]) == measured


@pytest.mark.parametrize("slug", CONFIGS)
def test_every_result_with_a_headline_says_how_to_get_it(slug: str) -> None:
    found = _headlines(slug)
    assert {row["result"] for row in found["row"]} == {row["result"] for row in found["ships"]}


EARLIER: set[str] = {
    "anonymizer/pendigits", "obfuscator/characters",
    "obfuscator/cifar10", "obfuscator/cifar10-small",
}  # fmt: skip
"""Results that were measured before results stated how every part was trained, or before a setting
of it changed. Whoever runs a recipe again takes it off this list."""


@pytest.mark.parametrize("name", sorted({f"{slug}/{row['result']}" for slug, row in SHIPPED}))
def test_a_result_was_measured_with_the_settings_of_today(name: str) -> None:
    slug, result = name.split("/")
    stated = json.loads((_PAPERS / slug / "results" / f"{result}.json").read_text())
    parts = [row["part"] for s, row in SHIPPED if (s, row["result"]) == (slug, result)]
    wrong = [
        part for part in parts if _differs(stated.get("fitted", {}).get(part), slug, result, part)
    ]
    assert bool(wrong) == (name in EARLIER), f"{name} {wrong}: run it again, or take it off EARLIER"


def _differs(stated: dict[str, Any] | None, slug: str, result: str, part: str) -> bool:
    if stated is None:
        return True
    config: Any = CONFIGS[slug](_recipe(slug, result), part)
    today = json.loads(json.dumps(asdict(config), default=str))
    return any(stated[key] != today.get(key) for key in stated) or not stated


def test_another_setting_would_be_found() -> None:
    measured = obfuscator_config(_recipe("obfuscator", "mnist-small"), "bottleneck")
    assert _command("sfumato fit obfuscator --lam 0.02") != measured


def test_nothing_of_the_cipher_is_a_setting_of_its_recipes() -> None:
    """So that what is measured is what is sealed: a key is drawn, and nothing else is chosen."""
    assert shufflebits.EncryptedFeatures is EncryptedFeatures
    ours = {field.name for part in (EncryptedFeatures, ShuffleKey) for field in fields(part)}
    for result in {row["result"] for row in _headlines("shufflebits")["row"]}:
        assert not ours & _recipe("shufflebits", result).keys()
