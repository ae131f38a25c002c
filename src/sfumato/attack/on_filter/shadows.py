"""Shadow enrollments: trained as the victim's, each on a random half of one person's pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.device import Device
from sfumato.errors import DataError
from sfumato.filter.oneclass import OneClass, OneClassConfig, Rows, train

_RIDGE = 1e-3  # of a code covariance's mean variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One person's pictures, of which the adversary asks which ones were enrolled.

    Raises:
        DataError: there are fewer than four pictures.
    """

    features: Float[Tensor, "p d"]
    views: Float[Tensor, "p v d"] | None = None
    """What is trained on. The adversary knows the very views: the worst that a seed may tell."""
    queries: Float[Tensor, "p q d"] | None = None
    """Other views of each picture, of the adversary's own, that are asked about as well."""

    def __post_init__(self) -> None:
        if len(self.features) < 4:
            raise DataError(f"expected at least 4 pictures of a person, got {len(self.features)}")


@dataclass(frozen=True, slots=True)
class Shadows:
    """k enrollments of one pool, and which pictures each one was trained on."""

    net: OneClass
    member: Bool[Tensor, "k p"]
    code_mean: Float[Tensor, "k m"]
    code_precision: Float[Tensor, "k m m"]


def halves(pictures: int, shadows: int, *, seed: int) -> Bool[Tensor, "shadows pictures"]:
    """Return random halves of the pictures, and after each one the other half.

    So each picture is in half of all, and of an odd number of pictures one of two has one more.

    Raises:
        DataError: the number of shadows is odd or below four.
    """
    if shadows < 4 or shadows % 2:
        raise DataError(f"expected an even number of at least 4 shadows, got {shadows}")
    generator = torch.Generator().manual_seed(seed)
    member = torch.zeros(shadows, pictures, dtype=torch.bool)
    for k in range(0, shadows, 2):
        chosen = torch.randperm(pictures, generator=generator)[: pictures // 2]
        member[k, chosen] = True
        member[k + 1] = ~member[k]
    return member


def train_shadows(
    pool: Pool, config: OneClassConfig, shadows: int, *, seed: int, device: Device = "cpu"
) -> Shadows:
    """Enroll halves of a pool. The result is on the CPU."""

    def enroll(features: Sequence[Rows]) -> OneClass:
        return train(features, config, seed=seed, device=device)

    return enroll_shadows(pool, enroll, shadows, seed=seed)


def enroll_shadows(
    pool: Pool, enroll: Callable[[Sequence[Rows]], OneClass], shadows: int, *, seed: int
) -> Shadows:
    """Enroll halves of a pool by any training, a network each. The result is on the CPU."""
    member = halves(len(pool.features), shadows, seed=seed)
    trained = pool.features if pool.views is None else pool.views
    net = enroll([trained[seen] for seen in member]).cpu()
    codes = [
        net_codes(net, k, trained[seen].flatten(0, -2)).double() for k, seen in enumerate(member)
    ]
    return Shadows(
        net,
        member,
        torch.stack([h.mean(0) for h in codes]).float(),
        torch.stack([_precision(h) for h in codes]).float(),
    )


def net_codes(net: OneClass, k: int, x: Float[Tensor, "n d"]) -> Float[Tensor, "n m"]:
    """Return eq. (2) of network k alone."""
    code: Tensor = (x @ net.encoder[k].mT + net.encoder_bias[k]).relu()
    return code


def net_errors(net: OneClass, k: int, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
    """Return eq. (6) of network k alone."""
    rows = x.flatten(0, -2)
    decoded = (net_codes(net, k, rows) @ net.decoder[k].mT + net.decoder_bias[k]).sigmoid()
    errors: Tensor = (rows - decoded).square().sum(-1)
    shaped: Tensor = errors.reshape(x.shape[:-1])
    return shaped


def _precision(codes: Float[Tensor, "n m"]) -> Float[Tensor, "m m"]:
    covariance = codes.mT.cov()
    ridge = _RIDGE * covariance.diagonal().mean().clamp(min=1e-12)
    inverse: Tensor = torch.linalg.inv(covariance + ridge * torch.eye(len(covariance)).double())
    return inverse
