"""A protector as a step of `torchvision.transforms.v2`, in a Compose or a DataLoader."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from sfumato.types import Protector


class Protect(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Replaces pictures by what a protector releases of them; labels, boxes and masks pass through.

    Takes what the other transforms take: a PIL image, an `Image` or a plain tensor, uint8 or floats
    in [0, 1], `(c, h, w)` or a batch of such. Returns float32. A release that is a picture is an
    `Image` of the same rank; any other is a plain tensor.

    Example:
        >>> from sfumato.protect import Pixelate
        >>> step = v2.Compose([v2.Resize((32, 32)), Protect(Pixelate(8))])
        >>> step(torch.zeros(3, 64, 64, dtype=torch.uint8)).shape
        torch.Size([3, 32, 32])
    """

    def __init__(self, protector: Protector) -> None:
        super().__init__()
        self.protector = protector

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401, ARG002 - torchvision's
        """Return what is released of one entry of a sample."""
        if isinstance(inpt, tv_tensors.TVTensor) and not isinstance(inpt, tv_tensors.Image):
            return inpt
        pixels = inpt.as_subclass(torch.Tensor) if isinstance(inpt, Tensor) else F.to_image(inpt)
        floats = F.to_dtype(pixels.as_subclass(torch.Tensor), torch.float32, scale=True)
        release = self._released(floats)
        picture = release.is_floating_point() and release.ndim == floats.ndim > 2
        return tv_tensors.Image(release) if picture else release

    def _released(self, floats: Shaped[Tensor, "*batch c h w"]) -> Shaped[Tensor, "..."]:
        batch = floats[None] if floats.ndim == 3 else floats.flatten(0, -4)
        with torch.no_grad():
            release = self.protector.release(batch)
        return release[0] if floats.ndim == 3 else release.unflatten(0, floats.shape[:-3])

    def extra_repr(self) -> str:
        """Return the protector's name."""
        return self.protector.name
