from __future__ import annotations

from dataclasses import replace

import pytest

from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit import sides
from sfumato.audit.report.trainings import learners_used, trainings
from sfumato.audit.run import audit
from sfumato.data.imageset import ImageSet
from sfumato.protect.baselines import Unprotected
from tests.audit.findings import cell


def test_every_network_leaves_its_curve_and_says_whether_it_converged(blobs: ImageSet) -> None:
    config = LearnerConfig(learners=("probe", "trees"), epochs=40, restarts=2, patience=3)
    victims, adversary = sides(blobs)
    report = audit(
        [Unprotected()], victims=victims, adversary=adversary, private="mood", config=config
    )
    (found,) = (cell for cell in report.cells if cell.attack == "attributes:mood")
    runs = trainings(found)
    assert len(runs) == 2  # trees have no epochs
    for run in runs:
        assert run.validated[run.best_epoch] == max(run.validated)
        assert run.stopped_early == (len(run.validated) < 40)
        if run.stopped_early:
            assert len(run.validated) == run.best_epoch + 1 + 3
    assert set(learners_used(found)) <= {"probe", "trees"}
    assert sum(entry["chosen"] for entry in found.finding.details["learners"]) == 1


@pytest.mark.parametrize(
    "details",
    [
        {"learners": 5},
        {"learners": [5]},
        {"learners": [{"training": {"curves": 1}, "learner": "a", "seed": 0, "chosen": True}]},
        {"learners": [{"training": {"curves": {"validated": ["x"]}}, "seed": [], "chosen": 1}]},
        {"training": [3, {"curves": {}}], "decoders": 4, "matchers": [1]},
    ],
)
def test_details_of_strangers_are_passed_over(details: dict[str, object]) -> None:
    odd = cell("p", "attributes:mood", 0.5)
    odd = replace(odd, finding=replace(odd.finding, details=details))
    assert trainings(odd) == []
    learners_used(odd)


def test_an_attack_names_why_it_has_no_meaning(blobs: ImageSet) -> None:
    victims, adversary = sides(blobs, "person")
    counting = AttributeAttack(attributes=("mood",), view="popcounts", name="popcounts:mood")
    config = LearnerConfig(learners=("probe",), epochs=1, restarts=1)
    report = audit(
        [Unprotected()],
        victims=victims,
        adversary=adversary,
        private="person",
        identity="person",
        attacks=[counting],
        config=config,
    )
    reasons = {c.attack: c.reason for c in report.cells if c.reason}
    assert "no person is on both sides" in reasons["attributes:person"]
    assert "not encrypted" in reasons["popcounts:mood"]
    assert not report.failed
