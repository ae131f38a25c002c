"""What a platform can draw out of the autoencoders that people upload.

"The provider never sees an image" is a claim to test. The platform can pass any public picture
through an uploaded autoencoder, and what comes out lies on the manifold of the private ones; the
code statistics give samples and the mean picture; and the error on a given picture tells whether
that picture was trained on. Each is measured without and with the code statistics that screening
needs, to count what those leak on top.
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

from sfumato.attack.tools.scores import area, resampled_interval
from sfumato.data.order import random_order
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.types import Details, Finding

Features = Sequence[Float[Tensor, "_ d"]]
Shape = tuple[int, int, int]

_RIDGE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The truth that scores the attack: pictures that were trained on, and others of the same."""

    members: Features
    """Features that each enrollment was trained on."""
    held_out: Features
    """Other features of the same person or class, on which it was not."""
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
    """Return six findings: mean, pictures and membership, each without and with code statistics.

    `mean`: cosine between the drawn and the true mean, both less the public mean. `pictures`: share
    of a training picture's squared distance to the public mean that the nearest drawn sample
    explains. `membership`: AUC of telling training pictures from others of the same class. With a
    `shape` (c, h, w) features are pixels, and PSNR and SSIM of drawn means are in `details`.
    """
    findings = []
    for statistics in (False, True):
        samples = [
            drawn_samples(users, truth.public, count, statistics=known, seed=seed)
            for known in ((False, True) if statistics else (False,))
        ]
        guesses = [users.net.decoder_bias.sigmoid(), *(s.mean(1) for s in samples)]
        if statistics:
            guesses.append(users.net.decode(users.code_mean[:, None])[:, 0])
        # Who has the statistics may still leave them aside, so each metric takes the best way.
        means = max(guesses, key=lambda guess: fmean(_means(guess, truth)))
        tells = [_membership(users, truth, statistics=known) for known in {False, statistics}]
        per_user = {
            "mean": _means(means, truth),
            "pictures": max((_pictures(s, truth) for s in samples), key=fmean),
            "membership": max(tells, key=fmean),
        }
        for metric, values in per_user.items():
            details = LeakDetails(statistics=statistics, victims=tuple(values))
            if shape and metric == "mean":
                likeness = _similarity(means, truth.members, shape)
                details = replace(details, psnr=likeness[0], ssim=likeness[1])
            floor = 0.5 if metric == "membership" else 0.0
            findings.append(_finding(metric, values, floor, details, seed))
    return findings


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


def _membership(users: EnrolledUsers, truth: Evidence, *, statistics: bool) -> list[float]:
    return [
        area(*(-_strangeness(users, k, x, statistics=statistics) for x in both))
        for k, both in enumerate(zip(truth.members, truth.held_out, strict=True))
    ]


def _strangeness(users: EnrolledUsers, k: int, x: Tensor, *, statistics: bool) -> Tensor:
    """How unlike a training picture: the error, and how far its code lies from the mean code."""
    error = scores(users.net, x)[:, k] / users.mu[k]
    if not statistics:
        return error
    code = (x @ users.net.encoder[k].mT + users.net.encoder_bias[k]).relu() - users.code_mean[k]
    covariance = users.code_covariance[k].double()
    width = len(covariance)
    ridge = _RIDGE * covariance.diagonal().mean().clamp(min=1e-12) * torch.eye(width).double()
    far = (code.double() @ torch.linalg.inv(covariance + ridge) * code).sum(1)
    strange: Tensor = error + (far / width).float()
    return strange


def _similarity(means: Tensor, members: Features, shape: Shape) -> tuple[float, float]:
    real = torch.stack([x.mean(0) for x in members])
    error = (means - real).square().mean(1)
    alike = ssim(means.unflatten(1, shape), real.unflatten(1, shape), data_range=1.0, kernel_size=7)
    return float((-10 * error.log10()).mean()), float(torch.as_tensor(alike))


def _finding(
    metric: str, values: list[float], floor: float, details: LeakDetails, seed: int
) -> Finding:
    suffix = "with code statistics" if details.statistics else "weights alone"
    return Finding(
        attack="enrollment_leak",
        protector="enrollment",
        metric=f"{metric}, {suffix}",
        value=fmean(values),
        floor=floor,
        ceiling=1.0,
        interval=resampled_interval(torch.tensor(values), seed=seed),
        seeds=(seed,),
        details=details,
    )
