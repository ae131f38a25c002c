"""One network of all classes, trained on the same pictures: the rival of one-class learning.

Its classes may be of different sizes. Three ways to live with that: none, a loss that weighs each
class by one over its size, and the logarithm of each class's share taken off the trained network's
outputs (Menon et al. 2021, eq. 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.tools.learners import class_weights
from sfumato.fit import Epoch, FitConfig, fit
from sfumato.fit.outputs import outputs
from sfumato.nets.classifiers import Perceptron

_BATCH = 128
_LEAST_STEPS = 20  # an epoch: a few pictures are gone through several times in one
_EPOCHS, _PATIENCE = 200, 8
_LR, _DECAY = 2e-3, 1e-2


@dataclass(frozen=True)
class Lesson:
    """What one network learns from."""

    rows: Float[Tensor, "n d"]
    """Views of all pictures, one picture's after the other; or the pictures."""
    first: Int64[Tensor, " p"]
    """Where each picture's rows begin."""
    views: Int64[Tensor, " p"]
    """How many rows each picture has."""
    labels: Int64[Tensor, " p"]

    @classmethod
    def of(cls, classes: Sequence[Float[Tensor, "p v d"]]) -> Lesson:
        """Return the lesson of views by class and picture."""
        views = torch.cat([torch.full((len(x),), x.shape[1]) for x in classes])
        return cls(
            torch.cat([x.flatten(0, 1) for x in classes]),
            views.cumsum(0) - views,
            views,
            torch.cat([torch.full((len(x),), c) for c, x in enumerate(classes)]),
        )

    @property
    def shares(self) -> Float[Tensor, " classes"]:
        """Each class's share of the pictures."""
        return self.labels.bincount() / len(self.labels)

    def drawn(self, pictures: Int64[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Return a random view of each of these pictures."""
        view = (torch.rand(len(pictures)) * self.views[pictures]).long()
        return self.rows[self.first[pictures] + view]


def train_rival(
    lesson: Lesson,
    validation: tuple[Float[Tensor, "n d"], Int64[Tensor, " n"]],
    *,
    weighted: bool,
    seed: int,
) -> Perceptron:
    """Train until the balanced accuracy on validation stops growing; return the best epoch's."""
    classes = len(lesson.shares)
    torch.manual_seed(seed)
    net = Perceptron(lesson.rows.shape[1], classes)
    weights = class_weights(lesson.labels, classes) if weighted else None

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        (pictures,) = batch
        logits = epoch.networks["net"](lesson.drawn(pictures))
        loss = F.cross_entropy(logits, lesson.labels[pictures], weights)
        epoch.descend("net", loss)
        return {"loss": loss}

    def validated() -> dict[str, float]:
        return {"validated": recalls(outputs(net, validation[0]), validation[1]).mean().item()}

    count = len(lesson.labels)
    times = -(-_LEAST_STEPS * _BATCH // count)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LR, weight_decay=_DECAY)
    fit(
        networks={"net": net},
        optimizers={"net": optimizer},
        data=(torch.arange(count).repeat(times),),
        step=step,
        config=FitConfig(
            epochs=_EPOCHS,
            batch_size=_BATCH,
            seed=seed,
            device="cpu",
            patience=_PATIENCE,
            monitor="validated",
            higher_is_better=True,
        ),
        validate=validated,
        title="all classes at once",
    )
    return net


def recalls(
    values: Float[Tensor, "n classes"], truth: Int64[Tensor, " n"]
) -> Float[Tensor, " classes"]:
    """Return each class's share of pictures in which its value is the largest."""
    right = (values.argmax(1) == truth).double()
    return torch.stack([right[truth == c].mean() for c in range(values.shape[1])])
