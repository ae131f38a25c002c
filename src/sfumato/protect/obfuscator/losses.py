"""The mathematics of the paper `obfuscator`, and of what is done here instead of it."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Maps = Float[Tensor, "n c h w"]

_LEAST_ERROR = 1e-6  # 60 dB; keeps the gradient of a perfect reconstruction finite


def psnr(images: Images, guesses: Images) -> Float[Tensor, "n"]:
    """Return each picture's peak signal-to-noise ratio in dB, with gradients, eq. (1); peak 1."""
    errors = (images - guesses).square().flatten(1).mean(1)
    return -10 * errors.clamp(min=_LEAST_ERROR).log10()


def obfuscator_loss(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, "n"],
    images: Images,
    guesses: Images,
    lam: float,
) -> Float[Tensor, ""]:
    """Return cross-entropy plus lambda times the reconstructor's PSNR, eq. (2).

    Nothing bounds it from below: a reconstruction worse than a grey picture is rewarded, so that
    training ends at inverted pictures, which an attacker inverts back.
    """
    return F.cross_entropy(logits, labels) + lam * psnr(images, guesses).mean()


def bounded_loss(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, "n"],
    images: Images,
    guesses: Images,
    lam: float,
    floor: Float[Tensor, "c h w"],
) -> Float[Tensor, ""]:
    """Return eq. (2) with the PSNR counted only where it is above that of the picture `floor`."""
    above = F.relu(psnr(images, guesses) - psnr(images, floor[None].expand_as(images)))
    return F.cross_entropy(logits, labels) + lam * above.mean()


def reconstructor_loss(images: Images, guesses: Images) -> Float[Tensor, ""]:
    """Return the PSNR with the sign turned, to be descended by the attacker, eq. (3)."""
    return -psnr(images, guesses).mean()


def excess_rate(
    means: Maps, priors: Float[Tensor, "k c h w"], labels: Int64[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """Return what each noisy map may say beyond its class, in nats.

    The map is `means + N(0, 1)`; the divergence KL(N(m, 1) || N(prior of the class, 1)) is
    |m - prior|^2 / 2. Its mean bounds the mutual information of picture and map given the class,
    for any prior, and so what *any* attacker can learn (conditional entropy bottleneck, Fischer,
    "The Conditional Entropy Bottleneck", Entropy 22(9), 2020).
    """
    return (means - priors[labels]).square().flatten(1).sum(1) / 2


def rate_loss(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, "n"],
    means: Maps,
    priors: Float[Tensor, "k c h w"],
    lam: float,
) -> Float[Tensor, ""]:
    """Return cross-entropy plus lambda times the mean excess rate."""
    return F.cross_entropy(logits, labels) + lam * excess_rate(means, priors, labels).mean()
