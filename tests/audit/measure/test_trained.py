from __future__ import annotations

import pytest

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import sides
from sfumato.audit.run import audit
from sfumato.data.imageset import ImageSet
from sfumato.protect.baselines import Unprotected


@pytest.mark.slow
def test_every_network_leaves_its_curve_and_says_whether_it_converged(blobs: ImageSet) -> None:
    config = LearnerConfig(learners=("probe", "trees"), epochs=40, restarts=2, patience=3)
    victims, adversary = sides(blobs)
    report = audit(
        [Unprotected()], victims=victims, adversary=adversary, private="mood", config=config
    )
    (found,) = (cell for cell in report.cells if cell.attack == "attributes:mood")
    details = found.finding.details
    runs = [one.training for one in details.trained if one.training is not None]
    assert len(runs) == 2  # trees have no epochs
    for run in runs:
        validated = run.curves["validated"]
        assert validated[run.best_epoch] == max(validated)
        assert run.stopped_early == (len(validated) < 40)
        if run.stopped_early:
            assert len(validated) == run.best_epoch + 1 + 3
    assert len(details.trained) == 3
    (used,) = (one.learner for one in details.trained if one.chosen)
    assert details.used == (used,)


def test_an_attack_names_why_it_has_no_meaning(blobs: ImageSet) -> None:
    victims, adversary = sides(blobs, "person")
    counting = AttributeAttack(attributes=("mood",), view="popcounts", name="popcounts:mood")
    config = LearnerConfig(learners=("probe",), epochs=1, restarts=1)
    report = audit(
        [Unprotected()],
        victims=victims,
        adversary=adversary,
        private="person",  # who is not said to be an identity, and yet on one side only
        attacks=[counting],
        config=config,
    )
    reasons = {c.attack: c.reason for c in report.cells if c.reason}
    assert "no person is on both sides" in reasons["attributes:person"]
    assert "not encrypted" in reasons["popcounts:mood"]
    assert not report.failed
