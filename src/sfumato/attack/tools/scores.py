"""How an attack's success is measured: figures over victims, and their 95 % intervals.

The intervals are bootstrap ones. Each draw gives every victim (or every group of victims, such as
all pictures of one person) and every seed a random weight; all figures below are written for
weighted victims, so that a thousand draws are one matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from scipy.stats import t as student
from torch import Tensor
from torch.nn.functional import one_hot, pad
from torchmetrics.functional.classification import multiclass_recall
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.intervals import wilson

_DRAWS = 1000
_RESAMPLES = 2000
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
    members = one_hot(truth.unique(return_inverse=True)[1]).float()
    hits = members * correct[:, None]
    # A class that a draw leaves out has no recall; the mean is over the others.
    return lambda weights: (weights @ hits / (weights @ members)).nanmean(1)


def share_interval(
    hits: Float[Tensor, "runs n"],
    strata: Int64[Tensor, "n"],
    *,
    groups: Int64[Tensor, "n"] | None = None,
) -> tuple[float, float]:
    """Return the 95 % interval of a share of hits, each stratum counting the same.

    `hits` are 0 or 1, a row a run on the same victims. The interval is the bootstrap's, and never
    narrower than Wilson's of each stratum, combined by their squares (G. Zou and A. Donner,
    "Construction of confidence limits about effect measures", 2008): no hit among five victims
    says little of the next five, but is the same in every draw of them.
    """
    runs, count = hits.shape
    weights = draw_weights(count, seeds=runs, groups=groups)
    every = strata.repeat(runs)
    drawn = interval(weighted_balanced_accuracy(hits.flatten() > 0, every), weights)
    units = strata if drawn[0] < drawn[1] or groups is None else _one_each(strata, groups)
    members = one_hot(strata.unique(return_inverse=True)[1]).double()
    shares = hits.double().mean(0) @ members / members.sum(0)
    low, high = wilson(shares, units.unique(return_counts=True)[1].double())
    middle, strata_count = float(shares.mean()), len(shares)
    below, above = ((shares - low).norm() / strata_count, (high - shares).norm() / strata_count)
    return min(drawn[0], middle - float(below)), max(drawn[1], middle + float(above))


def _one_each(strata: Int64[Tensor, "n"], groups: Int64[Tensor, "n"]) -> Int64[Tensor, "m"]:
    """Return the stratum of one victim of each group and stratum."""
    pairs: Tensor = torch.stack([strata, groups], 1).unique(dim=0)
    return pairs[:, 0]


def resampled_interval(values: Float[Tensor, "n"], *, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean: percentiles over resampled values."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, len(values), (_RESAMPLES, len(values)), generator=generator)
    low, high = values[index].mean(1).quantile(torch.tensor([_TAIL, 1 - _TAIL])).tolist()
    return low, high


def mean_interval(values: Float[Tensor, "runs n"]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over runs and victims, a row a run on the same victims.

    The bootstrap's, and never narrower than Student's, which knows how little a few victims say.

    Raises:
        DataError: there are fewer than two victims.
    """
    runs, count = values.shape
    if count < 2:
        raise DataError(f"an interval needs two victims at least, got {count}")
    low, high = interval(weighted_mean(values.flatten()), draw_weights(count, seeds=runs))
    each = values.double().mean(0)
    half = float(student.ppf(1 - _TAIL, count - 1)) * float(each.std()) / math.sqrt(count)
    middle = float(each.mean())
    return min(low, middle - half), max(high, middle + half)


def pairs_interval(
    values: Float[Tensor, "pairs"], pairs: Int64[Tensor, "pairs 2"]
) -> tuple[float, float]:
    """Return the 95 % interval of a mean over pairs of people, such as attacker and victim.

    People are drawn anew: a pair counts as often as both of its people were drawn. Ninety pairs of
    ten people are no ninety witnesses; nor is the interval ever narrower than if they were.

    Raises:
        DataError: there are fewer than two pairs.
    """
    people = draw_weights(int(pairs.max()) + 1)
    drawn = interval(weighted_mean(values), people[:, pairs[:, 0]] * people[:, pairs[:, 1]])
    alone = mean_interval(values[None])
    return min(drawn[0], alone[0]), max(drawn[1], alone[1])


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


def area(genuine: Float[Tensor, "g"], impostor: Float[Tensor, "i"]) -> float:
    """Return the area under the ROC curve: P(genuine > impostor) + P(equal) / 2."""
    weights = torch.ones(1, len(genuine)), torch.ones(1, len(impostor))
    return float(weighted_area(genuine, impostor, *weights))


def two_sided(area: float) -> float:
    """Return the larger of an area and 1 - area: who is mostly wrong turns the answer round."""
    return max(area, 1 - area)


def weighted_area(
    genuine: Float[Tensor, "g"],
    impostor: Float[Tensor, "i"],
    genuine_weights: Float[Tensor, "draws g"],
    impostor_weights: Float[Tensor, "draws i"],
) -> Float[Tensor, "draws"]:
    """Return `area` for weighted rows, a draw of weights after the other."""
    scores, order = impostor.sort()
    below = pad(impostor_weights[:, order].double().cumsum(1), (1, 0))
    left, right = (torch.searchsorted(scores, genuine, right=side) for side in (False, True))
    passed = (below[:, left] + below[:, right]) / 2
    total = impostor_weights.double().sum(1) * genuine_weights.double().sum(1)
    return (passed * genuine_weights.double()).sum(1) / total
