"""How an attack's success is measured: figures over victims, and their 95 % intervals.

The intervals are bootstrap ones. Each draw gives every victim (or every group of victims, such as
all pictures of one person) and every seed a random weight; all figures below are written for
weighted victims, so that a thousand draws are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torchmetrics.functional.classification import multiclass_recall
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from sfumato.data.imageset import MISSING
from sfumato.errors import DataError

_DRAWS = 1000
_TAIL = 0.025  # two of them leave a 95 % interval
PERFECT_PSNR = 58.9
"""dB; rounding to 8 bits alone leaves an error of variance 1/12: 10 log10(12 * 255^2)."""

Weights = Float[Tensor, "draws n"]
Statistic = Callable[[Weights], Float[Tensor, "draws"]]


def draw_weights(
    victims: int,
    *,
    seeds: int = 1,
    groups: Int64[Tensor, "n"] | None = None,
    draws: int = _DRAWS,
    seed: int = 0,
) -> Float[Tensor, "draws total"]:
    """Return bootstrap weights for `seeds` runs on the same victims, run after run in a row.

    With `groups` whole groups are drawn: pictures of one person are not independent witnesses.
    """
    generator = torch.Generator().manual_seed(seed)
    members = torch.arange(victims) if groups is None else groups.unique(return_inverse=True)[1]
    drawn = _multinomial(int(members.max()) + 1, draws, generator)[:, members]
    runs = _multinomial(seeds, draws, generator)
    return (runs[:, :, None] * drawn[:, None, :]).flatten(1)


def _multinomial(count: int, draws: int, generator: torch.Generator) -> Float[Tensor, "draws n"]:
    picks = torch.randint(count, (draws, count), generator=generator)
    return torch.zeros(draws, count).scatter_add_(1, picks, torch.ones(draws, count))


def interval(statistic: Statistic, weights: Weights) -> tuple[float, float]:
    """Return the 95 % percentile interval of a weighted statistic over the draws."""
    values = statistic(weights)
    values = values[values.isfinite()]
    if not len(values):
        raise DataError("no interval: the figure is undefined in every draw of victims")
    edges = torch.tensor([_TAIL, 1 - _TAIL], dtype=values.dtype)
    low, high = torch.quantile(values, edges).tolist()
    return low, high


def weighted_mean(values: Float[Tensor, "n"]) -> Statistic:
    """Return the statistic `sum w v / sum w`."""
    return lambda weights: weights @ values.float() / weights.sum(1)


def weighted_balanced_accuracy(correct: Bool[Tensor, "n"], truth: Int64[Tensor, "n"]) -> Statistic:
    """Return the statistic: mean over the classes of the weighted share found in each."""
    members = torch.nn.functional.one_hot(truth.unique(return_inverse=True)[1]).float()
    hits = members * correct[:, None]
    # A class that a draw leaves out has no recall; the mean is over the others.
    return lambda weights: (weights @ hits / (weights @ members)).nanmean(1)


def balanced_accuracy(predicted: Int64[Tensor, "n"], truth: Int64[Tensor, "n"]) -> float:
    """Return the mean recall over the classes that occur in `truth`; unlabelled rows are left out.

    Raises:
        DataError: no row has a label.
    """
    known = truth != MISSING
    if not bool(known.any()):
        raise DataError("no victim has a value of this attribute, so nothing can be scored")
    classes = max(int(truth.max()), int(predicted.max())) + 1
    recalls = multiclass_recall(
        predicted[known], truth[known], num_classes=max(classes, 2), average="none"
    )
    return float(recalls[truth[known].unique()].mean())


def psnr(images: Float[Tensor, "n c h w"], guesses: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Return each picture's peak signal-to-noise ratio in dB, at most `PERFECT_PSNR`."""
    ratios: Tensor = peak_signal_noise_ratio(
        guesses, images, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return ratios.clamp(max=PERFECT_PSNR)


def ssim(images: Float[Tensor, "n c h w"], guesses: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Return each picture's structural similarity; the window shrinks to fit small pictures."""
    side = min(11, *images.shape[2:])
    parts = []
    for shown, guessed in zip(images.split(512), guesses.split(512), strict=True):
        values = structural_similarity_index_measure(
            guessed,
            shown,
            gaussian_kernel=side == 11,
            kernel_size=side - (side % 2 == 0),
            data_range=1.0,
            reduction="none",
        )
        parts.append(values if isinstance(values, Tensor) else values[0])
    return torch.cat([part.reshape(-1) for part in parts])


def cosine_distance(
    truth: Float[Tensor, "n d"], guesses: Float[Tensor, "n d"]
) -> Float[Tensor, "n"]:
    """Return 1 - cosine similarity of each pair of rows: 0 for the same direction."""
    return 1 - torch.nn.functional.cosine_similarity(truth, guesses, dim=1)
