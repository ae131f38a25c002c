"""What fresh networks read off a protector's releases of the same people, as the paper assesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig, train_all
from sfumato.attack.tools.read import Standard
from sfumato.data.imageset import ImageSet
from sfumato.types import Protector, ask


class Parts(NamedTuple):
    """Pictures of the same people: to learn on, to choose on, and to be judged on."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def read_labels(
    protector: Protector, parts: Parts, tries: Mapping[str, Sequence[LearnerConfig]], *, seed: int
) -> dict[str, Bool[Tensor, "n"]]:
    """Return, by label of `tries`, which test pictures the best of its networks reads rightly.

    The networks learn all labels of the releases of the training pictures, and the best is chosen
    on the releases of the validation pictures.
    """
    released = [ask(protector.release, part.floats()) for part in parts]
    standard = Standard.of(released[0])
    rows = standard(torch.cat(released[:2]))
    border = len(released[0])
    held = torch.arange(border), torch.arange(border, len(rows))
    found = {}
    for label, configs in tries.items():
        truth = torch.cat([part.label(label) for part in parts[:2]])
        candidates = [
            candidate
            for config in configs
            for candidate in train_all(rows, {label: truth}, held, config, seed=seed)
        ]
        best = max(candidates, key=lambda c: c.validated[label])
        found[label] = best.predict(standard(released[2]))[label] == parts.test.label(label)
    return found
