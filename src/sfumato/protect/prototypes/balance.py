"""The last step of finding prototypes: balanced k-means over the whole collection.

While the encoder learns, prototypes follow batches of distorted pictures and end where they
happened to be. Settled anew on all pictures as they are, they split the collection along what
the encoder has learned, and every private value still uses each of them equally often.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from sklearn.cluster import kmeans_plusplus
from torch import Tensor

from sfumato.data.order import numpy_seed
from sfumato.protect.prototypes.division import balanced_division

Vectors = Float[Tensor, "n dim"]
Prototypes = Float[Tensor, "prototypes dim"]

_TURNS = 40
_STARTS = 4  # the one counts whose prototypes are nearest to their pictures


@torch.no_grad()
def settle(
    vectors: Vectors,
    labels: Int64[Tensor, "n"],
    count: int,
    *,
    sharpness: float,
    rounds: int,
    seed: int,
) -> Prototypes:
    """Return unit prototypes of unit vectors, used equally often by every private value.

    Spherical k-means in which the division is `balanced_division`, from several starts.
    """
    found = []
    for start in range(_STARTS):
        centers = _first(vectors, count, seed * _STARTS + start)
        for _ in range(_TURNS):
            shares = _divided(vectors, centers, labels, sharpness, rounds)
            centers = F.normalize(shares.T @ vectors, dim=1)
        shares = _divided(vectors, centers, labels, sharpness, rounds)
        found.append((float((shares * (vectors @ centers.T)).sum()), centers))
    return max(found, key=lambda pair: pair[0])[1]


def _first(vectors: Vectors, count: int, seed: int) -> Prototypes:
    centers, _ = kmeans_plusplus(vectors.numpy(), count, random_state=numpy_seed(seed))
    return F.normalize(torch.from_numpy(centers).to(vectors), dim=1)


def _divided(
    vectors: Vectors,
    centers: Prototypes,
    labels: Int64[Tensor, "n"],
    sharpness: float,
    rounds: int,
) -> Float[Tensor, "n prototypes"]:
    return balanced_division(vectors @ centers.T, labels, sharpness=sharpness, rounds=rounds)
