"""The paper `obfuscator`: a picture is kept only as a feature map that classifies.

The map is that of VGG16 at a cut, optionally narrowed to a few channels and hidden in Gaussian
noise; it is stored as 8-bit integers. `sfumato release` gives a picture one noise for good
(`protect/release/map_noise.py`). Before the noise each map is moved towards the prior of the class
that it tells, until it says no more beyond that class than it may.
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
from sfumato.protect.obfuscator.losses import excess_rate, nearest_prior, within_rate
from sfumato.protect.pretrained import PretrainedProtector
from sfumato.types import Guarantee

_LEVELS = 127  # of int8 on either side of 0
_P95 = 0.95
_MEASURED = ("mean", "p95", "worst")
_FIGURES = {
    "most": "nats that a map says beyond the class that it tells, at most",
    "mean": "the same of pictures kept aside, mean",
    "p95": "the same of 95 % of them, at most",
    "worst": "the same of the worst of them",
}
"""What a report and a card call each figure of the certificate."""


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
        most_nats: float | None = None,
        stored: str = "int8",
    ) -> None:
        """`scale` multiplies VGG16's channels; `map_channels` narrows the map by a 1x1 convolution.

        `noise` is the standard deviation of what is added to the map, `most_nats` the most that any
        map says beyond the class that it tells; None: unbounded.
        """
        super().__init__()
        check_cut(cut, (height, width))
        if len(classes) < 2 or stored not in ("int8", "bf16") or noise < 0:
            raise ConfigError(
                "an obfuscator needs two classes at least, noise of 0 or more, and maps stored as "
                f"int8 or bf16; got {len(classes)} classes, noise {noise:g}, {stored!r}"
            )
        if most_nats is not None and (most_nats < 0 or not noise):
            raise ConfigError(
                "what a map may say is 0 nats or more, and without noise there is no such bound; "
                f"got most_nats {most_nats:g} and noise {noise:g}"
            )
        self.channels, self.height, self.width = channels, height, width
        self.utility, self.classes, self.objective = utility, list(classes), objective
        self.noise, self.stored, self.cut, self.scale = noise, stored, cut, scale
        self.most_nats = most_nats
        wide, *side = map_shape((height, width), cut, scale)
        self.map_shape = (map_channels or wide, side[0], side[1])
        body = front(channels, cut, scale)
        if map_channels is not None:
            body.append(nn.Conv2d(wide, map_channels, 1))
        self.body = body
        self.classifier = Back(self.map_shape[0], len(classes), cut, scale)
        self.step: Tensor
        self.register_buffer("step", torch.ones(self.map_shape[0], 1, 1))
        self.nats: Tensor
        if noise:
            self.priors = nn.Parameter(torch.zeros(len(classes), *self.map_shape))
            self.register_buffer("nats", torch.full((len(_MEASURED),), torch.nan))

    @property
    def name(self) -> str:
        """Its objective and its noise, which tell it from its sisters."""
        return f"obfuscator:{self.objective}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""
        return self.channels, self.height, self.width

    @property
    def certificate(self) -> dict[str, float] | None:
        """What a map says beyond the class that it tells, in nats; None without noise.

        `most` holds of every picture. `mean`, `p95` and `worst` are of pictures that no training
        saw, where they were measured.
        """
        if not self.noise:
            return None
        found = {} if self.most_nats is None else {"most": self.most_nats}
        if not bool(self.nats.isnan().any()):
            found |= dict(zip(_MEASURED, self.nats.tolist(), strict=True))
        return found

    @property
    def guarantee(self) -> Guarantee:
        """The certificate, in a report's words."""
        found = self.certificate or {}
        return Guarantee(figures={_FIGURES[name]: value for name, value in found.items()})

    def learned(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m y x"]:
        """Return the network's output, which nothing bounds: what training works on."""
        maps: Tensor = self.body(images)
        return maps

    def means(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m y x"]:
        """Return the maps before noise; none says more than `most_nats` beyond its class."""
        maps = self.learned(images)
        if self.most_nats is None:
            return maps
        return within_rate(maps, self.priors, self.most_nats * self.noise**2)

    @torch.no_grad()
    def measure_nats(self, images: Float[Tensor, "n c h w"]) -> None:
        """Note what the maps of these pictures say beyond the class that they tell."""
        device = device_of(self)
        parts = []
        for some in images.split(self.batch_size):
            means = self.means(some.to(device))
            told = nearest_prior(means, self.priors)
            parts.append(excess_rate(means, self.priors, told) / self.noise**2)
        nats = torch.cat(parts).float()
        self.nats.copy_(torch.stack([nats.mean(), nats.quantile(_P95), nats.max()]))

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
