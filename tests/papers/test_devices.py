"""Recipes train and release on the device that they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from papers import workers
from papers.anonymizer.run import RECIPES as ANONYMIZER
from papers.obfuscator.run import RECIPES as OBFUSCATOR
from papers.recipe import Run
from papers.san.run import RECIPES as SAN
from sfumato.device import device_of, resolve_device
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.san.model import SemiAdversarial
from tests.papers import test_anonymizer, test_obfuscator, test_san

_OBFUSCATOR: dict[str, Any] = {
    **test_obfuscator.settings_of("characters", "quick"),
    **test_obfuscator.TINY,
    "images": 64,
    "adversary": 48,
    "victims": 24,
    "attributes": ["glasses"],
    "others": [],
    # The device that only seems to be there has no mixed precision.
    "network": {**test_obfuscator.TINY.get("network", {}), "precision": "no"},
}
_ANONYMIZER = test_anonymizer.TINY | {"learners": ["conv"], "lams": [2.0]}
_CASES = {
    "obfuscator": (OBFUSCATOR, _OBFUSCATOR, {Obfuscator: "forward"}),
    "anonymizer": (
        ANONYMIZER, _ANONYMIZER, dict.fromkeys((Anonymizer, PrototypeAnonymizer), "forward")
    ),
    "san": (SAN, test_san.TINY, {SemiAdversarial: "draw"}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("slug", _CASES)
def test_a_recipe_releases_where_it_is_told(
    card: str, slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that is started has no device that only seems to be there.
    monkeypatch.setattr(workers, "processes_on", lambda _: 1)
    recipes, settings, releasing = _CASES[slug]
    found: dict[str, set[str]] = {}
    for protector, method in releasing.items():
        _watch(monkeypatch, protector, method, found.setdefault(protector.__name__, set()))
    run = Run(
        slug=slug, recipe="characters", quick=True, seed=0, device=card, data_dir=None, out=tmp_path
    )
    assert recipes["characters"](run, settings)
    assert found == {name: {resolve_device(card).type} for name in found}


def _watch(
    monkeypatch: pytest.MonkeyPatch, protector: type[nn.Module], method: str, seen: set[str]
) -> None:
    real = getattr(protector, method)

    def watched(made: nn.Module, *given: Any, **named: Any) -> Tensor:
        seen.add(device_of(made).type)
        drawn: Tensor = real(made, *given, **named)
        return drawn

    monkeypatch.setattr(protector, method, watched)
