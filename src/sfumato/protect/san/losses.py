"""Equations (1) to (5) of the paper `san`, for any number of binary attributes.

Letters: `x` images, `x_sm`, `x_nt`, `x_op` what the autoencoder draws of them with the same, the
neutral and the opposite prototype, `y` the attributes (0 or 1), `f` a classifier's logits, `r` a
matcher's embeddings. The paper writes sums over pixels; all means here are over the batch too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n c h w"]
Logits = Float[Tensor, "n k"]
Embeddings = Float[Tensor, "n d"]
Scalar = Float[Tensor, ""]


def total_loss(j_d: Scalar, j_g: Scalar, j_m: Scalar) -> Scalar:
    """Equation (1): dissimilarity, attribute and matching terms together."""
    return j_d + j_g + j_m


def pixel_loss(x: Images, x_sm: Images) -> Scalar:
    """Equation (2): cross-entropy of every pixel, summed over an image's pixels."""
    return F.binary_cross_entropy(x_sm, x, reduction="sum") / len(x)


def attribute_loss(y: Logits, f_sm: Logits, f_op: Logits) -> Scalar:
    """Equation (3): `S(y, f(SM)) + S(1 - y, f(OP))`, S the cross-entropy."""
    return F.binary_cross_entropy_with_logits(f_sm, y) + F.binary_cross_entropy_with_logits(
        f_op, 1 - y
    )


def match_loss(r: Embeddings, r_sm: Embeddings) -> Scalar:
    """Equation (4): squared distance of the embeddings of a picture and of what is drawn of it."""
    return (r_sm - r).square().sum(1).mean()


def joint_loss(y: Logits, f_sm: Logits, f_op: Logits, r: Embeddings, r_sm: Embeddings) -> Scalar:
    """Equation (5): (3) + (4), which trains the autoencoder against both frozen networks."""
    return attribute_loss(y, f_sm, f_op) + match_loss(r, r_sm)


def steered_loss(y: Logits, steer: Logits, f: Logits) -> Scalar:
    """Equation (3), one picture at a time and with NT: cross-entropy to what the prototype asks.

    `steer` is 1 for SM, 0 for OP and 1/2 for NT, for which the classifier shall be undecided.
    """
    return F.binary_cross_entropy_with_logits(f, y * steer + (1 - y) * (1 - steer))


def hinge_match_loss(r: Embeddings, r_new: Embeddings, free: float) -> Scalar:
    """Equation (4) beyond a squared distance that no matcher minds: `max(0, d^2 - free)`."""
    return torch.relu((r_new - r).square().sum(1) - free).mean()
