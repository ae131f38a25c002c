"""Enrollments trained with differential privacy: clipped gradients of single pictures, and noise.

The gradient of a D-M-D autoencoder by one picture is an outer product a layer, so its norm is known
without writing it down, and clipping costs a factor a row.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.filter.oneclass import OneClass, Rows, cross_entropy_gradient

Weights = tuple[Tensor, Tensor, Tensor, Tensor]
"""Encoder (M, D), its bias (M), decoder (D, M), its bias (D)."""
_AVERAGE = 8.0  # eta of the average of all weights, as in the library's training


@dataclass(frozen=True, slots=True)
class PrivateConfig:
    """Abadi and others (2016), algorithm 1, with Adam for the step and an average of weights."""

    steps: int
    lr: float
    noise_multiplier: float
    """Deviation of the noise, in units of the clipping norm; 0 adds none."""
    clip: float = 1.0
    """Largest norm of a picture's gradient."""
    batch: int = 256
    """Expected pictures a step: each is in it by a coin of its own."""
    hidden: int = 32
    hide: float = 0.9
    """Share of inputs hidden, as in the library's training."""

    def rate(self, pictures: int) -> float:
        """Return how likely a picture is in a step."""
        return min(1.0, self.batch / pictures)

    def epsilon(self, pictures: int, delta: float) -> float:
        """Return epsilon of the network at this delta, by Renyi accounting; infinite without noise.

        It is of the weights alone: mu, sigma and code statistics are computed without noise.
        """
        if not self.noise_multiplier:
            return inf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of orders, where epsilon is so large that none fits
            from opacus.accountants import RDPAccountant

            accountant = RDPAccountant()
            accountant.history = [(self.noise_multiplier, self.rate(pictures), self.steps)]
            return float(accountant.get_epsilon(delta))


def clipped_gradient(
    weights: Weights, x: Float[Tensor, "b d"], seen: Float[Tensor, "b d"], clip: float
) -> Weights:
    """Return the sum over pictures of eq. (4)'s gradient, each cut to a norm of at most `clip`.

    `seen` is the picture as the encoder sees it, with inputs hidden.
    """
    encoder, bias, decoder, other = weights
    code = (seen @ encoder.mT + bias).relu()
    out = cross_entropy_gradient(x[None], (code @ decoder.mT + other)[None])[0]
    inner = (out @ decoder) * (code > 0)
    norm = (
        out.square().sum(1) * (code.square().sum(1) + 1)
        + inner.square().sum(1) * (seen.square().sum(1) + 1)
    ).sqrt()
    factor = (clip / norm.clamp(min=1e-12)).clamp(max=1)[:, None]
    out, inner = factor * out, factor * inner
    return inner.mT @ seen, inner.sum(0), out.mT @ code, out.sum(0)


def train_private(features: Sequence[Rows], config: PrivateConfig, *, seed: int) -> OneClass:
    """Train one autoencoder a user. `features` are (n, dim), or (n, views, dim).

    Of views, each step takes one of each picture, so that a picture counts once a step.
    """
    net = OneClass(len(features), features[0].shape[-1], config.hidden, seed=seed)
    net.requires_grad_(False)
    for user, own in enumerate(features):
        stack = own if own.dim() == 3 else own[:, None]
        _train_one(net, user, stack, config, torch.Generator().manual_seed(seed + user))
    return net.eval()


def _train_one(
    net: OneClass, user: int, own: Tensor, config: PrivateConfig, generator: torch.Generator
) -> None:
    weights = (
        net.encoder[user].clone(), net.encoder_bias[user].clone(),
        net.decoder[user].clone(), net.decoder_bias[user].clone(),
    )  # fmt: skip
    optimizer = torch.optim.Adam(weights, lr=config.lr)
    rate = config.rate(len(own))
    for step in range(config.steps):
        rows = (torch.rand(len(own), generator=generator) < rate).nonzero()[:, 0]
        view = torch.randint(own.shape[1], (len(rows),), generator=generator)
        x = own[rows, view]
        kept = torch.rand(x.shape, generator=generator) >= config.hide
        gradient = clipped_gradient(weights, x, x * kept / (1 - config.hide), config.clip)
        for weight, part in zip(weights, gradient, strict=True):
            drawn = torch.randn(part.shape, generator=generator)
            noise = config.noise_multiplier * config.clip * drawn
            weight.grad = (part + noise) / (rate * len(own))
        optimizer.step()
        share = (_AVERAGE + 1) / (_AVERAGE + 1 + step)
        for mean, now in zip(net.parameters(), weights, strict=True):
            mean[user].lerp_(now, share)
