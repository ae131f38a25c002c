"""How far a released picture is from every original, and how far it has to be.

A mean of k pictures is nobody's picture unless they are nearly the same one. The yardstick is the
collection's own: means of k pictures drawn from all of it, and how near the nearest original comes
to one of those. A prototype shows what its pictures have in common, so it may be nearer to one of
them than such a mean, but not nearer than `CLOSEST` of it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Pictures = Float[Tensor, "p c h w"]
Images = Float[Tensor, "n c h w"]

CLOSEST = 0.5
"""Of the yardstick: nearer than this, a released picture counts as somebody's."""
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
    return max(SAME, CLOSEST * yardstick(originals, k, seed=seed))


def yardstick(originals: Images, k: int, *, seed: int) -> float:
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
