"""What a platform can draw out of the autoencoders that people upload.

"The provider never sees an image" is a claim to test. The platform can pass any public picture
through an uploaded autoencoder, and what comes out lies on the manifold of the private ones; the
code statistics give samples and the mean picture. Each is measured without and with the code
statistics that screening needs, to count what those leak on top. Whether a given picture was
enrolled is another attack's question: `membership`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from sfumato.attack.tools.scores import resampled_interval
from sfumato.data.order import random_order
from sfumato.filter.enrolled import EnrolledUsers
from sfumato.types import Details, Finding

Features = Sequence[Float[Tensor, "_ d"]]
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The truth that scores the attack."""

    members: Features
    """Features that each enrollment was trained on."""
    public: Float[Tensor, "p d"]
    """Features that anybody has: the floor, and the input of drawing without code statistics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakDetails(Details):
    """What an enrollment's leak reports beside its figure."""

    kind: ClassVar[str] = "enrollment_leak"
    statistics: bool
    """Whether the platform has the code statistics, as screening needs them."""
    victims: tuple[float, ...]
    """The figure of each enrollment."""
    psnr: float | None = None
    """Of drawn means, where features are pixels; dB."""
    ssim: float | None = None


def enrollment_leak(
    users: EnrolledUsers,
    truth: Evidence,
    *,
    shape: Shape | None = None,
    count: int = 256,
    seed: int,
) -> list[Finding]:
    """Return four findings: mean and pictures, each without and with code statistics.

    `mean`: cosine between the drawn and the true mean, both less the public mean. `pictures`: share
    of a training picture's squared distance to the public mean that the nearest drawn sample
    explains. With a `shape` (c, h, w) features are pixels, and PSNR and SSIM of drawn means are in
    `details`.
    """
    findings = []
    for statistics in (False, True):
        samples = [
            drawn_samples(users, truth.public, count, statistics=known, seed=seed)
            for known in ((False, True) if statistics else (False,))
        ]
        guesses = [users.net.decoder_bias.sigmoid(), *(s.mean(1) for s in samples)]
        if statistics:
            guesses.append(decoded_means(users))
        # Who has the statistics may still leave them aside, so each metric takes the best way.
        means = max(guesses, key=lambda guess: fmean(_means(guess, truth)))
        per_user = {
            "mean": _means(means, truth),
            "pictures": max((_pictures(s, truth) for s in samples), key=fmean),
        }
        for metric, values in per_user.items():
            details = LeakDetails(statistics=statistics, victims=tuple(values))
            if shape and metric == "mean":
                likeness = _similarity(means, truth.members, shape)
                details = replace(details, psnr=likeness[0], ssim=likeness[1])
            findings.append(_finding(metric, values, details, seed))
    return findings


def decoded_means(users: EnrolledUsers) -> Float[Tensor, "n d"]:
    """Return what each enrollment makes of its mean code."""
    decoded: Tensor = users.net.decode(users.code_mean[:, None])
    return decoded[:, 0]


def drawn_samples(
    users: EnrolledUsers, public: Float[Tensor, "p d"], count: int, *, statistics: bool, seed: int
) -> Float[Tensor, "n count d"]:
    """Return pictures drawn from each enrollment.

    Without code statistics public pictures are passed through it: they come out on its manifold.
    """
    if statistics:
        return users.samples(count, seed=seed)
    rows = random_order(len(public), seed)[:count]
    drawn: Tensor = users.net(public[rows].expand(len(users), -1, -1))
    return drawn


def _means(means: Tensor, truth: Evidence) -> list[float]:
    middle = truth.public.mean(0)
    real = torch.stack([x.mean(0) for x in truth.members])
    cosine: Tensor = torch.cosine_similarity(means - middle, real - middle)
    return cosine.tolist()


def _pictures(samples: Tensor, truth: Evidence) -> list[float]:
    middle = truth.public.mean(0)
    found = []
    for drawn, x in zip(samples, truth.members, strict=True):
        nearest = torch.cdist(x, drawn).min(1).values.square()
        known = (x - middle).square().sum(1)
        found.append(1 - float(nearest.sum() / known.sum()))
    return found


def _similarity(means: Tensor, members: Features, shape: Shape) -> tuple[float, float]:
    real = torch.stack([x.mean(0) for x in members])
    error = (means - real).square().mean(1)
    alike = ssim(means.unflatten(1, shape), real.unflatten(1, shape), data_range=1.0, kernel_size=7)
    return float((-10 * error.log10()).mean()), float(torch.as_tensor(alike))


def _finding(metric: str, values: list[float], details: LeakDetails, seed: int) -> Finding:
    suffix = "with code statistics" if details.statistics else "weights alone"
    return Finding(
        attack="enrollment_leak",
        protector="enrollment",
        metric=f"{metric}, {suffix}",
        value=fmean(values),
        floor=0.0,
        ceiling=1.0,
        interval=resampled_interval(torch.tensor(values), seed=seed),
        seeds=(seed,),
        details=details,
    )
