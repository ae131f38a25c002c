"""Makes pictures of any size a network's input, as the settings say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.features.inputsettings import InputSettings
from sfumato.files import MALFORMED

Images = UInt8[Tensor, "n c h w"] | Float[Tensor, "n c h w"]
"""A batch of pictures: 0 to 255 in uint8, or [0, 1] in a floating-point type."""

# Pixels made floats at once: 2^16 to 2^19 measured alike, all at once three times slower.
_BAND = 1 << 18


class Preprocess(InputSettings):
    """Makes pictures of any size the network's input.

    Raises:
        ConfigError: a value is out of its range, or mean and std do not fit the channels.
    """

    __slots__ = ()

    def __call__(self, images: Images) -> Float[Tensor, "n _ _ _"]:
        """Return the network's input, in its layout, for grey or RGB pictures of one size.

        Raises:
            DataError: the pictures are neither grey nor RGB.
        """
        if images.shape[1] not in (1, 3):
            raise DataError(f"expected grey or RGB pictures, got {images.shape[1]} channels")
        x = self._resized(images)
        mean, std = (x.new_tensor(v).view(-1, 1, 1) for v in (self.mean, self.std))
        # Padding comes after normalisation, so that the border is the mean colour.
        x = _middle((x - mean) / std, self.size)
        return x if self.layout == "nchw" else x.permute(0, 2, 3, 1)

    def _resized(self, images: Images) -> Float[Tensor, "n c2 h2 w2"]:
        """Return the pictures in [0, 1] with the network's channels and about its size."""
        rows, columns = images.shape[-2:]
        height, width = self.target(rows, columns)
        if (height, width) == (rows, columns):
            return self.values(images)
        # Each row becomes narrow on its own, so a large picture does it a band at a time: its
        # floats would take twelve bytes a pixel, and go through memory five times.
        band = max(1, _BAND // columns)
        narrow = [
            self._scaled(self.values(part), part.shape[-2], width)
            for part in torch.split(images, band, dim=-2)
        ]
        # Bicubic interpolation overshoots; 8-bit pictures would saturate.
        return self._scaled(torch.cat(narrow, dim=-2), height, width).clamp(0, 1)

    def values(self, images: Images) -> Float[Tensor, "n c2 h w"]:
        """Return pictures as the network's values before scaling: its channels, in [0, 1]."""
        x = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        if self.channels == 1:
            return x if x.shape[1] == 1 else _grey(x)
        x = x.expand(-1, 3, -1, -1)
        return x if self.order == "rgb" else x.flip(1)

    def _scaled(
        self, x: Float[Tensor, "n c h w"], height: int, width: int
    ) -> Float[Tensor, "n c h2 w2"]:
        if (height, width) == tuple(x.shape[-2:]):
            return x
        if self.interpolation == "nearest":
            return F.interpolate(x, (height, width), mode="nearest")
        return F.interpolate(
            x, (height, width), mode=self.interpolation, align_corners=False, antialias=True
        )

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which a picture is resized before the middle is cut out."""
        target = [math.floor(side / self.crop) for side in self.size]
        if self.fit == "squash":
            return target[0], target[1]
        ratios = (target[0] / height, target[1] / width)
        ratio = max(ratios) if self.fit == "center" else min(ratios)
        return max(1, round(height * ratio)), max(1, round(width * ratio))

    def document(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Preprocess:
        """Return the settings that `document` wrote, checked as any other.

        Raises:
            ArtifactError: a setting is unknown, missing or of the wrong kind.
        """
        try:
            values = dict(document)
            missing = {field.name for field in fields(cls)} - values.keys()
            if missing:
                raise ConfigError(f"missing: {', '.join(sorted(missing))}")
            values["size"] = (int(values["size"][0]), int(values["size"][1]))
            for name in ("mean", "std"):
                values[name] = tuple(float(v) for v in values[name])
            values["crop"] = float(values["crop"])
            return cls(**values)
        except (ConfigError, *MALFORMED) as error:
            raise ArtifactError(f"expected preprocessing settings: {error!r}") from error


# torchvision has these two as well, but importing it takes longer than deciding an upload.
def _grey(x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 1 h w"]:
    """Return the luma of ITU-R 601."""
    red, green, blue = x.unbind(1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)[:, None]


def _middle(x: Float[Tensor, "n c h w"], size: tuple[int, int]) -> Float[Tensor, "n c h2 w2"]:
    """Return the middle of pictures, with zeros around it where they are smaller."""
    borders = []
    for side, wanted in zip(reversed(x.shape[-2:]), reversed(size), strict=True):
        before = (wanted - side) // 2 if wanted > side else -round((side - wanted) / 2)
        borders += [before, wanted - side - before]
    return F.pad(x, borders)  # a border below zero cuts
