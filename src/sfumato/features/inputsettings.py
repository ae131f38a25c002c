"""What a network expects of its input: size, channels, order and normalisation.

They are part of a backbone's file and fingerprint. A timm model and an ONNX file say some of it
themselves; `sfumato filter backbone` has an option for each, which goes before that.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass
from functools import partial
from typing import Literal

from sfumato.config import check_settings, setting
from sfumato.errors import ConfigError

_SIDE_LIMIT = 4096  # beyond it a single float picture takes 200 MB
_input = partial(setting, panel="The network's input, where its file does not say it")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSettings:
    """How pictures of any size become the network's input; `Preprocess` does it.

    Raises:
        ConfigError: a value is out of its range, or mean and std do not fit the channels.
    """

    size: tuple[int, int] = _input(MISSING, "Height and width of the network's input.")
    channels: int = _input(
        3, "1 for grey or 3 for RGB: grey is repeated to RGB, RGB is weighted to grey (ITU-R 601)."
    )
    fit: Literal["squash", "center", "border"] = _input(
        "squash",
        "How a picture of another shape becomes the input's: squash ignores the aspect ratio, "
        "center cuts what is too long, border pads it.",
    )
    crop: float = _input(
        1.0,
        "Share of each side of the resized picture that is kept, around its middle.",
        least=0.1,
        most=1,
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] = _input(
        "bilinear", "How pictures are resized; the last two without aliasing."
    )
    mean: tuple[float, ...] = _input(
        (0.0,),
        "Subtracted from values in [0, 1]: one number, or one a channel in the network's order. "
        "For a network of values in 0 to 255, divide its own by 255.",
    )
    std: tuple[float, ...] = _input(
        (1.0,),
        "Divides what is left, as the mean is given. 0.00392157, which is 1/255, makes values of "
        "0 to 255; 0.5 with a mean of 0.5 makes -1 to 1.",
    )
    order: Literal["rgb", "bgr"] = _input("rgb", "Order of the network's colour channels.")
    layout: Literal["nchw", "nhwc"] = _input(
        "nchw", "Whether channels come before height and width, or after them."
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if not all(1 <= side <= _SIDE_LIMIT for side in self.size):
            raise ConfigError(f"both of `size` must be 1 to {_SIDE_LIMIT}, got {self.size}")
        if self.channels not in (1, 3):
            raise ConfigError(
                f"a network takes 1 (grey) or 3 (RGB) `channels`, got {self.channels} by the "
                f"`layout` {self.layout}: nchw has them before height and width, nhwc after"
            )
        if self.channels == 1 and self.order != "rgb":
            raise ConfigError(f"grey has no `order` of channels, got {self.order}")
        if not {len(self.mean), len(self.std)} <= {1, self.channels}:
            raise ConfigError(f"`mean` and `std` need 1 or {self.channels} numbers each")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ConfigError(
                f"`mean` must be finite and `std` positive, got {self.mean}, {self.std}"
            )
