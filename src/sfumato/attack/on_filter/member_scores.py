"""How much a trained autoencoder's answer to a picture says that it was trained on it.

A shadow is a network that the adversary trains as the victim did, on pictures of the same person.
`known` holds s statistics of p pictures under each of k networks, such as the logarithm of the
reconstruction error; `member` says which network was trained on which picture. Networks come in
pairs of halves (`shadows.halves`). Each one is the victim in turn, and those of the other pairs are
its shadows: so as many saw a picture as did not, whether the victim saw it or not. With another
number on one side the number alone would tell. Every score is larger for a likelier member.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Statistics = Float[Tensor, "k p s"]
Members = Bool[Tensor, "k p"]
Scores = Float[Tensor, "k p"]

_RIDGE = 1e-6
_LEAST = 3  # shadows without a picture that a deviation needs


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
    x, without = known.double()[..., None], ~member
    if int(without.sum(0).min()) < _LEAST + 1:
        return torch.zeros_like(known)
    mean = _mean_of_others(x, without)
    deviation = (_mean_of_others(x.square(), without) - mean.square()).clamp(min=0).sqrt()
    return ((mean - x) / (deviation + _RIDGE))[..., 0].to(known)


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
    """Return each picture's mean over the chosen networks of other pairs than the victim's."""
    weight = chosen[..., None].to(known)
    total, count = (weight * known).sum(0), weight.sum(0)
    own, mine = (_of_pairs(each) for each in (weight * known, weight))
    mean: Tensor = (total - own) / (count - mine).clamp(min=1)
    return mean


def _of_pairs(values: Statistics) -> Statistics:
    """Return for each network the sum of its pair."""
    sums: Tensor = values.unflatten(0, (-1, 2)).sum(1).repeat_interleave(2, 0)
    return sums


def _covariance(away: Float[Tensor, "n s"]) -> Float[Tensor, "s s"]:
    covariance = away.mT @ away / max(1, len(away) - 1)
    ridge = _RIDGE + _RIDGE * covariance.diagonal().mean()
    return covariance + ridge * torch.eye(len(covariance), dtype=covariance.dtype)
