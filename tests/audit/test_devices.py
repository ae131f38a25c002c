"""An audit of protectors that release on a device, by attackers that train there."""

from __future__ import annotations

import pytest

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit.run import audit
from sfumato.data.sources import load
from sfumato.data.splits import split_groups
from sfumato.device import resolve_device
from sfumato.protect.anonymizer.fit import AnonymizerConfig, fit_anonymizer
from sfumato.protect.baselines import KSame, Unprotected


@pytest.mark.slow
def test_an_audit(card: str) -> None:
    faces = load("characters:24", count=240, size=16, channels=1)
    own, victims = split_groups(faces, "identity", [0.5, 0.5], seed=0)
    fit = AnonymizerConfig(epochs=1, pixel_epochs=1, discriminator_epochs=1, device=card)
    made = fit_anonymizer(own, private="glasses", config=fit).protector.to(resolve_device(card))
    config = LearnerConfig(learners=("conv",), restarts=1, epochs=1, batch_size=32, device=card)
    report = audit(
        [made, KSame(3, own.floats()), Unprotected()], victims=victims, adversary=own,
        private="glasses", utility="expression", identity="identity", matching=True,
        config=config,
    )  # fmt: skip
    assert [cell.error for cell in report.failed] == []
    attacks = {cell.attack for cell in report.cells if cell.protector == made.name}
    assert {"reconstruct", "quality", "copies", "attributes:glasses"} <= attacks
