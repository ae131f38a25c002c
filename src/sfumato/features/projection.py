"""The optional public projection: fewer dimensions, fitted by the provider on public images."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.data.order import numpy_seed
from sfumato.errors import ConfigError


class Projection(nn.Module):
    """Keeps the directions in which public images' features vary most.

    Shapes: `mean` (d,), `components` (k, d) with orthonormal rows; `forward` takes (n, d) and
    returns (n, k).
    """

    mean: Tensor
    components: Tensor

    def __init__(self, mean: Float[Tensor, "d"], components: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """Return the projected features."""
        return (x - self.mean) @ self.components.T


def fit_projection(features: Float[Tensor, "n d"], dims: int, *, seed: int) -> Projection:
    """Fit the projection to `dims` dimensions by principal component analysis.

    Raises:
        ConfigError: `dims` is not between 1 and the features' own number of dimensions, or there
            are fewer public images than that.
    """
    count, dim = features.shape
    if not 1 <= dims <= min(count, dim):
        raise ConfigError(
            f"expected 1 to {dim} dimensions and at least as many public images, "
            f"got {dims} dimensions and {count} images"
        )
    from sklearn.decomposition import PCA  # only a provider fits one: it takes a second to import

    fitted = PCA(dims, random_state=numpy_seed(seed)).fit(features.float().cpu().numpy())
    # Contiguous, so that a backbone read back from disk multiplies in the same order.
    mean, components = (
        torch.from_numpy(v).float().contiguous() for v in (fitted.mean_, fitted.components_)
    )
    return Projection(mean, components)
