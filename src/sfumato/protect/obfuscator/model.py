"""The paper `obfuscator`: a picture is kept only as a feature map that classifies.

The map is that of VGG16 at a cut, optionally narrowed to a few channels and hidden in Gaussian
noise; it is stored as 8-bit integers. `sfumato release` gives a picture one noise for good
(`protect/release/map_noise.py`).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int8, Int64, Shaped
from torch import Tensor, nn

from sfumato.device import device_of
from sfumato.errors import ConfigError, DataError
from sfumato.fit.outputs import outputs
from sfumato.nets.cuts import DEEP_CUT
from sfumato.nets.vgg import Back, check_cut, front, map_shape
from sfumato.protect.pretrained import PretrainedProtector

_LEVELS = 127  # of int8 on either side of 0


class Obfuscator(PretrainedProtector):
    """The layers before the cut, the noise, and the classifier that they were trained with.

    Shapes: images `(n, channels, height, width)` to maps `map_shape`, int8 or bfloat16.

    Raises:
        ConfigError: there is no such cut, or the pictures are too small for it.
    """

    kind: ClassVar[str] = "obfuscator"

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        utility: str,
        classes: list[str],
        objective: str = "rate",
        cut: int = DEEP_CUT,
        scale: float = 1.0,
        map_channels: int | None = None,
        noise: float = 1.0,
        stored: str = "int8",
    ) -> None:
        """`scale` multiplies VGG16's channels; `map_channels` narrows the map by a 1x1 convolution.

        `noise` is the standard deviation of what is added to the map.
        """
        super().__init__()
        check_cut(cut, (height, width))
        if len(classes) < 2 or stored not in ("int8", "bf16") or noise < 0:
            raise ConfigError(
                "an obfuscator needs two classes at least, noise of 0 or more, and maps stored as "
                f"int8 or bf16; got {len(classes)} classes, noise {noise:g}, {stored!r}"
            )
        self.channels, self.height, self.width = channels, height, width
        self.utility, self.classes, self.objective = utility, list(classes), objective
        self.noise, self.stored, self.cut, self.scale = noise, stored, cut, scale
        wide, *side = map_shape((height, width), cut, scale)
        self.map_shape = (map_channels or wide, side[0], side[1])
        body = front(channels, cut, scale)
        if map_channels is not None:
            body.append(nn.Conv2d(wide, map_channels, 1))
        self.body = body
        self.classifier = Back(self.map_shape[0], len(classes), cut, scale)
        self.step: Tensor
        self.register_buffer("step", torch.ones(self.map_shape[0], 1, 1))

    @property
    def name(self) -> str:
        """Its objective and its noise, which tell it from its sisters."""
        return f"obfuscator:{self.objective}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self.channels, self.height, self.width

    def means(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m y x"]:
        """Return the maps before noise."""
        maps: Tensor = self.body(images)
        return maps

    def noisy(self, means: Float[Tensor, "n m y x"]) -> Float[Tensor, "n m y x"]:
        """Return maps as they are stored, but for the rounding."""
        return means + self.noise * torch.randn_like(means) if self.noise else means

    def forward(self, images: Float[Tensor, "n c h w"]) -> Shaped[Tensor, "n m y x"]:
        """Return a release with noise from torch's generator, as an adversary tries it out.

        Whoever can guess the generator's state can take this noise away again, and whoever gets
        many maps of one picture can average it away: what leaves its owner is `release_with` noise
        that is secret and the picture's own, as `sfumato release` draws it.
        """
        return self._stored(self.noisy(self.means(images)))

    @torch.no_grad()
    def release_with(
        self, images: Float[Tensor, "n c h w"], noise: Float[Tensor, "n m y x"]
    ) -> Shaped[Tensor, "n m y x"]:
        """Return the release under this standard normal noise, added on the processor."""
        self.eval()
        means = self.means(images.to(device_of(self))).cpu()
        return self._stored(means + self.noise * noise)

    def _stored(self, maps: Float[Tensor, "n m y x"]) -> Shaped[Tensor, "n m y x"]:
        return self.quantised(maps) if self.stored == "int8" else maps.to(torch.bfloat16)

    def quantised(self, maps: Float[Tensor, "n m y x"]) -> Int8[Tensor, "n m y x"]:
        """Return maps in steps of `step`, cut at 127 of them."""
        return (maps / self.step.to(maps.device)).round().clamp(-_LEVELS, _LEVELS).to(torch.int8)

    def floats(self, stored: Shaped[Tensor, "n m y x"]) -> Float[Tensor, "n m y x"]:
        """Return stored maps as the numbers that they stand for.

        Raises:
            DataError: they are of another shape or type than this obfuscator's.
        """
        wanted = torch.int8 if self.stored == "int8" else torch.bfloat16
        if stored.dtype != wanted or tuple(stored.shape[1:]) != self.map_shape:
            raise DataError(
                f"{self.name} makes maps of {wanted} and shape {self.map_shape}, got "
                f"{stored.dtype} of {tuple(stored.shape[1:])}: they are of another obfuscator"
            )
        return stored.float() * self.step.cpu() if self.stored == "int8" else stored.float()

    @torch.no_grad()
    def set_step(self, maps: Float[Tensor, "n m y x"]) -> None:
        """Choose each channel's step so that these maps fill the 8 bits."""
        highest = maps.abs().amax((0, 2, 3)).clamp(min=1e-6)
        self.step.copy_((highest / _LEVELS)[:, None, None])

    @torch.no_grad()
    def logits(self, stored: Shaped[Tensor, "n m y x"]) -> Float[Tensor, "n k"]:
        """Return what the classifier says of each stored map, computed on the network's device."""
        self.eval()
        return outputs(self.classifier, self.floats(stored), batch_size=self.batch_size)

    def classify(self, stored: Shaped[Tensor, "n m y x"]) -> Int64[Tensor, "n"]:
        """Return the class of each stored map, as a position in `classes`."""
        return self.logits(stored).argmax(1)
