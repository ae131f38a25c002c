"""The protections that everyone tries first: nothing, noise, blur, pixelation, k-same.

They are here to be measured against; none of them is recommended.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from sfumato.errors import ConfigError
from sfumato.types import Protector

Images = Float[Tensor, "n c h w"]
_AT_ONCE = 512  # rows of distances in memory


@dataclass(frozen=True, slots=True)
class Unprotected(Protector):
    """Releases the images as they are: the ceiling of every attack."""

    name: str = field(default="none", init=False)

    def release(self, images: Images) -> Images:
        """Return the images."""
        return images


@dataclass(frozen=True, slots=True)
class Noise(Protector):
    """Adds Gaussian noise of standard deviation `sigma` to every pixel, new in each release.

    Raises:
        ConfigError: sigma is not positive.
    """

    sigma: float
    name: str = field(init=False)

    def __post_init__(self) -> None:
        _positive("noise", self.sigma)
        object.__setattr__(self, "name", f"noise:{self.sigma:g}")

    def release(self, images: Images) -> Images:
        """Return noisy images, cut to [0, 1] as a stored picture would be."""
        return (images + self.sigma * torch.randn_like(images)).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class Blur(Protector):
    """Blurs with a Gaussian of standard deviation `sigma` pixels.

    Raises:
        ConfigError: sigma is not positive.
    """

    sigma: float
    name: str = field(init=False)

    def __post_init__(self) -> None:
        _positive("blur", self.sigma)
        object.__setattr__(self, "name", f"blur:{self.sigma:g}")

    def release(self, images: Images) -> Images:
        """Return blurred images; the kernel reaches three deviations, or as far as they go."""
        height, width = (min(max(1, round(3 * self.sigma)), n - 1) for n in images.shape[2:])
        kernel = [2 * width + 1, 2 * height + 1]
        blurred: Tensor = gaussian_blur(images, kernel, [self.sigma] * 2)
        return blurred


@dataclass(frozen=True, slots=True)
class Pixelate(Protector):
    """Replaces every `block` x `block` square by its mean colour.

    Raises:
        ConfigError: the block is smaller than one pixel.
    """

    block: int
    name: str = field(init=False)

    def __post_init__(self) -> None:
        _positive("pixelate", self.block)
        object.__setattr__(self, "name", f"pixelate:{self.block}")

    def release(self, images: Images) -> Images:
        """Return images of the same size; blocks at the right and lower edge may be cut."""
        coarse = F.avg_pool2d(images, self.block, ceil_mode=True, count_include_pad=False)
        wide = coarse.repeat_interleave(self.block, 2).repeat_interleave(self.block, 3)
        return wide[:, :, : images.shape[2], : images.shape[3]]


@dataclass(frozen=True, slots=True)
class KSame(Protector):
    """Replaces each picture by the mean of the `k` nearest ones of a gallery (Newton and others).

    With `people`, whose picture each of the gallery is, the k are of different people. A picture
    of the gallery is among its own nearest ones, as in the original method.

    Raises:
        ConfigError: k is below 2 (the nearest picture alone may be the person's own), or larger
            than the number of pictures or people.
    """

    k: int
    gallery: Float[Tensor, "m c h w"] = field(repr=False)
    people: Int64[Tensor, "m"] | None = field(default=None, repr=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        most = len(self.gallery) if self.people is None else len(self.people.unique())
        if not 2 <= self.k <= most:
            raise ConfigError(f"ksame:K needs K from 2 to {most}, got {self.k}")
        object.__setattr__(self, "name", f"ksame:{self.k}")

    def release(self, images: Images) -> Images:
        """Return means of k gallery pictures."""
        return torch.cat([self._means(part) for part in images.split(_AT_ONCE)])

    def _means(self, images: Images) -> Images:
        distances = torch.cdist(images.flatten(1), self.gallery.flatten(1))
        if self.people is not None:
            distances = _nearest_of_each(distances, self.people)
        index = distances.topk(self.k, largest=False).indices
        return self.gallery[index].mean(1)


def _nearest_of_each(
    distances: Float[Tensor, "n m"], people: Int64[Tensor, "m"]
) -> Float[Tensor, "n m"]:
    """Move all but each person's nearest picture out of reach."""
    for person in people.unique():
        own = (people == person).nonzero().squeeze(1)
        nearest = distances[:, own].min(1, keepdim=True)
        kept = torch.full((len(distances), len(own)), torch.inf)
        distances[:, own] = kept.scatter(1, nearest.indices, nearest.values)
    return distances


def _positive(name: str, value: float | int) -> None:
    if not value > 0:
        raise ConfigError(f"{name}:X needs X above 0, got {value:g}")
