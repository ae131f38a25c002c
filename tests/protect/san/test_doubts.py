from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.fit.loop import History
from sfumato.protect.san.doubts import doubts

RESULTS = Path(__file__).parents[3] / "papers" / "san" / "results"


def histories(loss: float, pixel: float) -> dict[str, History]:
    return {
        "classifier": History(epochs=[{"loss": 0.9}, {"loss": loss}]),
        "joint-0": History(epochs=[{"loss": 1.0, "pixel": 0.99}]),
        "joint-1": History(epochs=[{"loss": 1.0, "pixel": pixel}]),
    }


@pytest.mark.parametrize(
    ("loss", "pixel", "said"),
    [
        (0.33, 0.04, []),
        (0.69, 0.04, ["does not tell"]),
        (0.33, 0.97, ["nearly every pixel"]),
        (0.70, 0.97, ["does not tell", "nearly every pixel"]),
        (0.33, 0.89, []),
    ],
)
def test_what_the_curves_say(loss: float, pixel: float, said: list[str]) -> None:
    found = doubts(histories(loss, pixel))
    assert len(found) == len(said)
    assert all(words in line for words, line in zip(said, found, strict=True))


def test_the_papers_training_has_no_curve_of_changes() -> None:
    assert doubts({"classifier": History(epochs=[{"loss": 0.3}]), "joint": History()}) == ()


@pytest.mark.parametrize(("result", "count"), [("lfw", 0), ("lfw-coin", 0), ("lfw-colour", 2)])
def test_trainings_that_were_seen(result: str, count: int) -> None:
    curves = json.loads((RESULTS / f"{result}.json").read_text())["curves"]
    assert len(doubts({k: History(epochs=v) for k, v in curves.items()})) == count
