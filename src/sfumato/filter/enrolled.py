"""Enrolled users as stacked tensors: hundreds trained and scored at once, without a bank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.device import Device
from sfumato.errors import DataError
from sfumato.filter.bounds import LEAST
from sfumato.filter.codes import draw_codes
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClass, OneClassConfig, Rows, squared_error, train
from sfumato.filter.rule.guard import Sigmas, Unit

_CHUNK_FLOATS = 1 << 26  # of one chunk's reconstructions: 256 MiB


@dataclass(frozen=True, slots=True)
class EnrolledUsers:
    """The enrollments of n users, with everything that the platform knows of them."""

    net: OneClass
    mu: Float[Tensor, " n"]
    sigma: Float[Tensor, " n"]
    code_mean: Float[Tensor, "n m"]
    code_covariance: Float[Tensor, "n m m"]
    unit: Unit
    """In which claims are measured: sigmas, or under a policy how rare an error is."""

    @classmethod
    def of(
        cls,
        net: OneClass,
        mu: Float[Tensor, " n"],
        sigma: Float[Tensor, " n"],
        code_mean: Float[Tensor, "n m"],
        code_covariance: Float[Tensor, "n m m"],
    ) -> EnrolledUsers:
        """Return users of a bank without a policy: claims are measured in sigmas."""
        return cls(net, mu, sigma, code_mean, code_covariance, Sigmas(mu, sigma))

    def __len__(self) -> int:
        return len(self.mu)

    def samples(self, count: int, *, seed: int) -> Float[Tensor, "n count d"]:
        """Return decoded samples of each enrollment, as the platform draws them."""
        statistics = zip(self.code_mean, self.code_covariance, strict=True)
        codes = [draw_codes(m, c, count, seed=seed + i) for i, (m, c) in enumerate(statistics)]
        return self.net.decode(torch.stack(codes).to(self.net.encoder))


def gather(enrollments: Sequence[Enrollment]) -> EnrolledUsers:
    """Stack enrollments of one width."""
    first = enrollments[0]
    net = OneClass(len(enrollments), first.dim, first.hidden, seed=0).requires_grad_(False).eval()
    for name, parameter in net.named_parameters():
        parameter.copy_(torch.stack([getattr(e, name) for e in enrollments]))
    return EnrolledUsers.of(
        net,
        torch.tensor([e.mu for e in enrollments]),
        torch.tensor([e.sigma for e in enrollments]),
        torch.stack([e.code_mean for e in enrollments]),
        torch.stack([e.code_covariance for e in enrollments]),
    )


def joined(parts: Sequence[EnrolledUsers]) -> EnrolledUsers:
    """Return all users of several stacks as one, in order, without a policy."""
    users = sum(map(len, parts))
    _, hidden, dim = parts[0].net.encoder.shape
    net = OneClass(users, dim, hidden, seed=0).requires_grad_(False).eval()
    for name, parameter in net.named_parameters():
        parameter.copy_(torch.cat([part.net.get_parameter(name) for part in parts]))
    return EnrolledUsers.of(
        net,
        torch.cat([part.mu for part in parts]),
        torch.cat([part.sigma for part in parts]),
        torch.cat([part.code_mean for part in parts]),
        torch.cat([part.code_covariance for part in parts]),
    )


def scores(net: OneClass, x: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
    """Return every autoencoder's squared error on every row, eq. (8) before its minimum."""
    users = len(net.encoder)
    rows = max(1, _CHUNK_FLOATS // (users * x.shape[1]))
    with torch.no_grad():
        parts = []
        for chunk in x.split(rows):
            stack = chunk.expand(users, *chunk.shape)
            parts.append(squared_error(stack, net(stack)).mT)
    return torch.cat(parts)


def enroll_all(
    features: Sequence[Float[Tensor, "_ d"]],
    config: OneClassConfig,
    *,
    views: Sequence[Float[Tensor, "_ _ d"]] | None = None,
    folds: int = 4,
    seed: int,
    device: Device = "cpu",
) -> EnrolledUsers:
    """Enroll many users at once, cross-fitted: what `enroll` does for one, with stacked training.

    With `views` of each image it trains on those, and the images themselves only measure. mu and
    sigma come from networks that did not see the image. Training runs on the device; the users are
    on the CPU.

    Raises:
        DataError: a user has fewer images than there are folds.
    """
    if min(len(x) for x in features) < folds:
        raise DataError(f"every user needs at least {folds} images to cross-fit")
    trained: Sequence[Rows] = features if views is None else views
    net = train(trained, config, seed=seed, device=device).cpu()
    errors: list[list[Tensor]] = [[] for _ in features]
    split = [x.tensor_split(folds) for x in features]
    taught = [x.tensor_split(folds) for x in trained]
    for i in range(folds):
        rest = [torch.cat([p for j, p in enumerate(parts) if j != i]) for parts in taught]
        other = train(rest, config, seed=seed + i + 1, device=device).cpu()
        for user, parts in enumerate(split):
            errors[user].append(scores(other, parts[i])[:, user])
    held = [torch.cat(e) for e in errors]
    codes = [
        (x.flatten(0, -2) @ w.mT + b).relu()
        for x, w, b in zip(trained, net.encoder, net.encoder_bias, strict=True)
    ]
    return EnrolledUsers.of(
        net,
        torch.stack([e.mean().clamp(min=LEAST) for e in held]),
        torch.stack([e.std().clamp(min=LEAST) for e in held]),
        torch.stack([h.mean(0) for h in codes]),
        torch.stack([h.mT.cov() for h in codes]),
    )
