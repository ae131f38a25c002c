"""The mathematics of the paper `obfuscator`, and of what is done here instead of it."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Maps = Float[Tensor, "n c h w"]

_ROUNDING = 1e-5  # relative; what sums of squares may be off by
_LEAST_RATE = 1e-12
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


def nearest_prior(maps: Maps, priors: Float[Tensor, "k c h w"]) -> Int64[Tensor, "n"]:
    """Return the class whose prior each map is nearest to: the class that it tells."""
    rows = priors.flatten(1)
    # |m - p|^2 but for |m|^2, which is the same for every class.
    distances = rows.square().sum(1) - 2 * maps.flatten(1) @ rows.T
    return distances.argmin(1)


def within_rate(maps: Maps, priors: Float[Tensor, "k c h w"], most: float) -> Maps:
    """Return maps whose excess rate over the nearest prior is at most `most` nats, each of them.

    One that says more is moved towards that prior, and stays in the same cell. So what any attacker
    learns from the noisy map of any one picture beyond the class that it tells is at most `most`
    nats: the divergence of its distribution from one that is the same for the whole class.
    """
    told = nearest_prior(maps, priors)
    rates = excess_rate(maps, priors, told).clamp(min=_LEAST_RATE)
    kept = ((1 - _ROUNDING) * most / rates).sqrt().clamp(max=1)
    centre = priors[told]
    return centre + kept[:, None, None, None] * (maps - centre)


def rate_loss(
    logits: Float[Tensor, "n k"],
    labels: Int64[Tensor, "n"] | Float[Tensor, "n k"],
    means: Maps,
    priors: Float[Tensor, "k c h w"],
    lam: float,
) -> Float[Tensor, ""]:
    """Return cross-entropy plus lambda times the mean excess rate.

    Of probabilities in place of labels, the rate is over the prior of the likeliest class.
    """
    classes = labels if labels.ndim == 1 else labels.argmax(1)
    return F.cross_entropy(logits, labels) + lam * excess_rate(means, priors, classes).mean()
