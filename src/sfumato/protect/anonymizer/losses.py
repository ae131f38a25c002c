"""Equations (5) to (15) of the paper `anonymizer`, as functions.

Z is the private label, X^ the released picture, Y whether a picture is an original. All losses
are in nats, averaged over the batch, and need no network: they take logits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

Scalar = Float[Tensor, ""]
Logits = Float[Tensor, "n values"]


def empirical_distribution(labels: Int64[Tensor, "n"], values: int) -> Float[Tensor, "values"]:
    """Return p^_Z, the share of each private value."""
    return torch.bincount(labels, minlength=values).float() / len(labels)


def fidelity_loss(logits: Float[Tensor, "n"], original: Float[Tensor, "n"]) -> Scalar:
    """Eq. (13): the discriminator's cross-entropy; `original` is y, 1 for an original."""
    return F.binary_cross_entropy_with_logits(logits, original)


def private_loss(logits: Logits, labels: Int64[Tensor, "n"]) -> Scalar:
    """Eq. (14), and the right side of (10): cross-entropy to the true private labels.

    It approximates H(Z | X^) from above, the better the better the private classifier.
    """
    return F.cross_entropy(logits, labels)


def objective_loss(logits: Logits, distribution: Float[Tensor, "values"]) -> Scalar:
    """Eq. (15), which is (8) and (9): cross-entropy to the private labels' distribution.

    It bounds H(Z) from above, eqs (6) and (7): what a guess without any release costs.
    """
    return -(logits.log_softmax(1) @ distribution).mean()


def information_bound(objective: Scalar, private: Scalar) -> Scalar:
    """Eq. (11): |L_obj - L_priv|, which stands for the mutual information of Z and X^."""
    return (objective - private).abs()


def autoencoder_loss(fidelity: Scalar, objective: Scalar, private: Scalar, *, lam: float) -> Scalar:
    """Eq. (12), the tractable form of (5): fidelity + lambda |L_obj - L_priv|."""
    return fidelity + lam * information_bound(objective, private)


def mutual_information(joint: Float[Tensor, "values releases"]) -> Scalar:
    """Return I^(Z; X^) of eq. (5) itself, in nats, where X^ takes finitely many values.

    `joint` holds counts or shares of each (private value, release). No classifier is needed, and
    no attacker can learn more about Z from these releases.
    """
    p = joint / joint.sum()
    independent = p.sum(1, keepdim=True) * p.sum(0, keepdim=True)
    # 0 log 0 is 0: a pair that never occurs says nothing.
    terms = torch.where(p > 0, p * (p / independent.clamp(min=1e-30)).clamp(min=1e-30).log(), 0.0)
    return terms.sum()
