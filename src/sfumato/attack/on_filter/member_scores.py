"""How much a trained autoencoder's answer to a picture says that it was trained on it.

A shadow is a network that the adversary trains as the victim did, on pictures of the same person.
`known` holds s statistics of p pictures under each of k networks, such as the logarithm of the
reconstruction error; `member` says which network was trained on which picture. Each network is the
victim in turn, and the others are its shadows. Every score is larger for a likelier member.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Statistics = Float[Tensor, "k p s"]
Members = Bool[Tensor, "k p"]
Scores = Float[Tensor, "k p"]

_RIDGE = 1e-6


def threshold(known: Float[Tensor, "k p"]) -> Scores:
    """The error alone: the smaller, the likelier a member (Yeom et al., 2018, section 3)."""
    return -known


def calibrated(known: Float[Tensor, "k p"], member: Members) -> Scores:
    """The error less the picture's difficulty: its mean under shadows that did not see it.

    L. Watson et al., "On the importance of difficulty calibration in membership inference attacks"
    (2022), eq. (2): s_cal(x) = s(x) - E[s(x) under reference models].
    """
    return _mean_of_others(known[..., None], ~member)[..., 0] - known


def offline_ratio(known: Float[Tensor, "k p"], member: Members) -> Scores:
    """The same in deviations of that picture: shadows without it are all that it takes.

    N. Carlini et al., "Membership inference attacks from first principles" (2022), eq. (4):
    1 - Pr[Z > phi(x)] with Z normal of mean and deviation of the shadows without x. The value of
    the normal distribution grows with (mean - phi) / deviation, which is returned. Gives zeros
    where fewer than three shadows lack a picture.
    """
    without = (~member).double()
    count = without.sum(0) - without
    x = known.double()
    mean = ((without * x).sum(0) - without * x) / count.clamp(min=1)
    squares = ((without * x**2).sum(0) - without * x**2) / count.clamp(min=1)
    deviation = (squares - mean**2).clamp(min=0).sqrt()
    score = (mean - x) / (deviation + _RIDGE)
    return torch.where(count >= 3, score, 0.0).to(known)


def likelihood_ratio(known: Statistics, member: Members) -> Scores:
    """The likelihood of being seen to that of not being seen, in logarithms.

    Carlini et al. (2022), algorithm 1 (online) with several queries: the statistics are normal
    around means of the picture's own, over the shadows with it and over those without it. As
    they advise for few shadows, one covariance serves all pictures.
    """
    x = known.double()
    found = []
    for seen in (member, ~member):
        away = x - _mean_of_others(x, seen)
        covariance = _covariance(away[seen])
        far = torch.einsum("kps,st,kpt->kp", away, torch.linalg.inv(covariance), away)
        found.append(-(far + torch.logdet(covariance)) / 2)
    return (found[0] - found[1]).to(known)


def _mean_of_others(known: Statistics, chosen: Members) -> Statistics:
    """Return each picture's mean over the chosen networks other than the victim."""
    weight = chosen[..., None].to(known)
    total, count = (weight * known).sum(0), weight.sum(0)
    mean: Tensor = (total - weight * known) / (count - weight).clamp(min=1)
    return mean


def _covariance(away: Float[Tensor, "n s"]) -> Float[Tensor, "s s"]:
    covariance = away.mT @ away / max(1, len(away) - 1)
    ridge = _RIDGE + _RIDGE * covariance.diagonal().mean()
    return covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype)
