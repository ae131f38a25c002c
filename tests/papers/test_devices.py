"""Recipes train and release on the device that they are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from papers import workers
from papers.obfuscator.run import RECIPES
from papers.recipe import Run
from sfumato.device import device_of, resolve_device
from sfumato.protect.obfuscator.model import Obfuscator
from tests.papers.test_obfuscator import TINY, settings_of


def test_the_obfuscator(card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A process that is started has no device that only seems to be there.
    monkeypatch.setattr(workers, "processes_on", lambda _: 1)
    found = set()
    real = Obfuscator.forward

    def forward(made: Obfuscator, *given: object) -> object:
        found.add(device_of(made).type)
        return real(made, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Obfuscator, "forward", forward)
    run = Run(
        slug="obfuscator", recipe="characters", quick=True, seed=0, device=card, data_dir=None,
        out=tmp_path,
    )  # fmt: skip
    tiny = {"images": 64, "adversary": 48, "victims": 24, "attributes": ["glasses"], "others": []}
    results = RECIPES["characters"](run, settings_of("characters", "quick") | TINY | tiny)
    assert found == {resolve_device(card).type}, "every release is made there"
    assert results["certified_nats"] >= 0
