"""How far a released picture is from every original, and how far it has to be.

A mean of k pictures shows no single person, unless the k pictures are nearly equal. The reference
is `typical_distance`: the distance from a mean of k random pictures of the collection to its
nearest original. A prototype shows what its pictures have in common. So it may be nearer to an
original than a random mean, but not nearer than `CLOSEST` times the reference.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Pictures = Float[Tensor, "p c h w"]
Images = Float[Tensor, "n c h w"]

CLOSEST = 0.5
"""Share of `typical_distance`: a released picture that is nearer counts as an original."""
SAME = 10 ** (-30 / 20)
"""Root mean square at a PSNR of 30 dB."""
_DRAWS = 200
_AT_ONCE = 2048  # originals compared at once


def nearest_original(pictures: Pictures, originals: Images) -> Float[Tensor, "p"]:
    """Return each picture's distance to its nearest original: root mean square over pixels, 0 to 1.

    Infinite where there is no original. It is computed where the pictures are, and returned on the
    CPU.
    """
    rows = pictures.flatten(1)
    least: Tensor = torch.full((len(rows),), torch.inf, device=rows.device)
    for part in originals.flatten(1).split(_AT_ONCE) if len(originals) else ():
        # Exact differences: products of large norms would call near copies different.
        distances = torch.cdist(rows, part.to(rows), compute_mode="donot_use_mm_for_euclid_dist")
        least = torch.minimum(least, distances.amin(1))
    return least.div(rows.shape[1] ** 0.5).cpu()


def closest_allowed(originals: Images, k: int, *, seed: int) -> float:
    """Return how near to an original a released picture may be, at most."""
    return max(SAME, CLOSEST * typical_distance(originals, k, seed=seed))


def typical_distance(originals: Images, k: int, *, seed: int) -> float:
    """Return the median distance to the nearest original of a mean of k originals drawn.

    `originals` are different from each other; with fewer than k, all of them are averaged.
    """
    generator = torch.Generator().manual_seed(seed)
    means = torch.stack(
        [
            originals[torch.randperm(len(originals), generator=generator)[:k]].mean(0)
            for _ in range(_DRAWS)
        ]
    )
    return float(nearest_original(means, originals).median())
