"""Every network of an attacker stops by the same rule."""

from __future__ import annotations

import pytest

from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.fitting import AttackerSettings, validated_fit
from sfumato.attack.tools.learners import LearnerConfig


@pytest.mark.parametrize(
    "config",
    [
        LearnerConfig(epochs=7, batch_size=9, patience=3, precision="bf16", device="cpu"),
        ReconstructionConfig(epochs=7, batch_size=9, patience=3, precision="bf16", device="cpu"),
    ],
)
def test_settings_are_taken_over_and_more_is_better(config: AttackerSettings) -> None:
    fit = validated_fit(config, seed=5)
    assert (fit.epochs, fit.batch_size, fit.patience, fit.precision, fit.device, fit.seed) == (
        7,
        9,
        3,
        "bf16",
        "cpu",
        5,
    )
    assert (fit.monitor, fit.higher_is_better, fit.checkpoint) == ("validated", True, None)
