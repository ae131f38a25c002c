"""Labels from networks that did not see the picture, so that training leaves no mark on it.

A network knows its training pictures better than others, and whoever knows a picture's true class
sees by its map whether the network was right. Here each picture is labelled by a teacher that was
trained on the others, and only those labels train the obfuscator: it is as often right of its
training pictures as its teachers are of new ones (X. Tang et al., "Mitigating Membership Inference
Attacks by Self-Distillation Through a Novel Ensemble Architecture", USENIX Security 2022; there
several teachers label each picture).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.data.order import random_order
from sfumato.fit.outputs import outputs
from sfumato.progress import track
from sfumato.protect.obfuscator.model import Obfuscator

Teach = Callable[[ImageSet, int], Obfuscator]
"""Trains the teacher with a number on some pictures."""


def taught(images: ImageSet, teachers: int, teach: Teach, *, seed: int) -> Float[Tensor, "n k"]:
    """Return each picture's class probabilities by the teacher that did not see it."""
    parts = random_order(len(images), seed).tensor_split(teachers)
    found: Float[Tensor, "n k"] | None = None
    for number, unseen in enumerate(track(parts, "teachers", total=teachers)):
        others = torch.cat([part for i, part in enumerate(parts) if i != number])
        teacher = teach(images.subset(others.sort().values), number)
        means = outputs(teacher, images.subset(unseen).floats(), through=teacher.means)
        told = outputs(teacher.classifier, means).softmax(1)
        if found is None:
            found = torch.empty(len(images), told.shape[1])
        found[unseen] = told
    assert found is not None  # noqa: S101 - there are two teachers at least
    return found
