"""What happens to a picture on its way from one upload to the next."""

from __future__ import annotations

import io
from collections.abc import Callable

from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from torch import Tensor

Edit = Callable[[Image.Image], Image.Image]
_CAPTION = 0.15  # of the height
_QUALITY = 90  # of the JPEG that an edited picture is saved as


def edited(picture: UInt8[Tensor, "c h w"], name: str) -> bytes:
    """Return the file that is uploaded after an edit of that name."""
    array = picture.permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(array[:, :, 0] if len(picture) == 1 else array)
    edit, quality = EDITS[name]
    buffer = io.BytesIO()
    edit(image).convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _cropped(share: float) -> Edit:
    """Cut off a share of the width and of the height, more of it at the left and the top."""

    def crop(image: Image.Image) -> Image.Image:
        across, down = (round(share * side) for side in image.size)
        left, top = round(0.7 * across), round(0.7 * down)
        box = (left, top, image.width - (across - left), image.height - (down - top))
        return image.crop(box)

    return crop


def _captioned(image: Image.Image) -> Image.Image:
    marked = image.convert("RGB")
    top = round((1 - _CAPTION) * image.height)
    draw = ImageDraw.Draw(marked)
    draw.rectangle((0, top, image.width, image.height), fill="black")
    draw.text((image.width // 10, top + 2), "LOOK WHO THIS IS", fill="white")
    return marked


def _resized(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


EDITS: dict[str, tuple[Edit, int]] = {
    "saved again": (lambda image: image, 75),
    "JPEG 30": (lambda image: image, 30),
    "half the size": (_resized, _QUALITY),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.3), _QUALITY),
    "grey": (lambda image: image.convert("L"), _QUALITY),
    "cropped 5 %": (_cropped(0.05), _QUALITY),
    "cropped 10 %": (_cropped(0.10), _QUALITY),
    "caption": (_captioned, _QUALITY),
    "mirrored": (ImageOps.mirror, _QUALITY),
}
"""Each with the quality of the JPEG that it is saved as."""
