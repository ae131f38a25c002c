"""Whether a training of `san` came to anything: what its own curves say before anybody releases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from sfumato.fit.loop import History

_GUESS: Final = math.log(2)
"""The loss of a guess, where both values weigh the same."""
_LEARNED: Final = 0.97
_SATURATED: Final = 0.9


def doubts(histories: Mapping[str, History]) -> tuple[str, ...]:
    """Return what is wrong with a training, in sentences; nothing where its curves are sound.

    A classifier that cannot tell the attribute guesses wrongly what a release has to oppose. A
    network that changes every pixel by as much as it may does so whatever the picture shows. On
    photographs in colour of 112 pixels both have been seen, and neither ends with an error.
    """
    found = []
    told = _last(histories.get("classifier"), "loss")
    if told is not None and told > _LEARNED * _GUESS:
        found.append(
            f"its classifier does not tell the attribute (loss {told:.2f}, a guess has "
            f"{_GUESS:.2f}), and a release opposes what it says: train with more pictures, smaller "
            "ones, or a larger `classifier_epochs`"
        )
    joint = [history for name, history in histories.items() if name.startswith("joint")]
    changed = _last(joint[-1] if joint else None, "pixel")
    if changed is not None and changed > _SATURATED:
        found.append(
            "it changes nearly every pixel by as much as `bound` allows, whatever a picture shows: "
            "train again with a smaller `learning_rate`"
        )
    return tuple(found)


def _last(history: History | None, name: str) -> float | None:
    return history.epochs[-1].get(name) if history is not None and history.epochs else None
