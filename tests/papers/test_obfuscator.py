from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from papers.obfuscator.run import RECIPES
from sfumato.attack.decoder import ReconstructionConfig
from sfumato.protect.obfuscator_config import ObfuscatorConfig

_FOLDER = Path(__file__).parents[2] / "papers" / "obfuscator"


def _settings(recipe: str, size: str) -> dict[str, object]:
    return tomllib.loads((_FOLDER / "recipes" / f"{recipe}.toml").read_text())[size]


@pytest.mark.parametrize("size", ["full", "quick"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_settings_are_ones_that_exist(recipe: str, size: str) -> None:
    settings = _settings(recipe, size)
    assert settings["default_lambda"] in settings["lambdas"]
    for stage in ("plain", "paper", "rate"):
        ObfuscatorConfig(**settings["network"], **settings[stage])
    for attack in ("attack", "matrix_attack"):
        keys = {k: v for k, v in settings[attack].items() if k != "seeds"}
        ReconstructionConfig(**keys)
