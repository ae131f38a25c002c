"""Contact sheets: many pictures with a line of text under each, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from sfumato.data.decoding.decode import encode_png
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.order import random_order
from sfumato.errors import DataError

_GAP = 6
_TEXT = 12  # pixels of one line
_LETTER = 6.2  # mean width of one, measured on the default font at this size


def contact_sheet(
    images: UInt8[Tensor, "n c h w"],
    captions: Sequence[str] = (),
    *,
    columns: int = 10,
    side: int = 96,
) -> bytes:
    """Return a PNG of the pictures in rows, the longer side of each `side` pixels or its own.

    Small pictures are enlarged by whole factors, so that their pixels stay visible; a caption that
    is too long for its picture is cut with an ellipsis.

    Raises:
        DataError: there is no picture, or not one caption for each.
    """
    if not len(images) or (captions and len(captions) != len(images)):
        raise DataError(f"expected pictures and a caption each, got {len(images)} pictures")
    factor = max(1, side // max(images.shape[2:]))
    height, width = (factor * length for length in images.shape[2:])
    columns = min(columns, len(images))
    cell = (width + _GAP, height + _GAP + (_TEXT + 2 if captions else 0))
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * cell[0] + _GAP, rows * cell[1] + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT)
    for i, image in enumerate(images):
        left, top = _GAP + i % columns * cell[0], _GAP + i // columns * cell[1]
        array = image.permute(1, 2, 0).numpy()
        picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
        sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, top))
        if captions:
            pen.text((left, top + height), _short(captions[i], width), "black", font)
    return encode_png(_tensor(sheet))


def captions_of(images: ImageSet, attributes: Sequence[str]) -> list[str]:
    """Return each image's values of the attributes; a dash where it has none."""
    columns = [(images.label(name).tolist(), images.classes[name]) for name in attributes]
    return [
        " ".join("-" if values[i] == MISSING else names[values[i]] for values, names in columns)
        for i in range(len(images))
    ]


def choose(images: ImageSet, count: int, *, by: str | None, seed: int) -> ImageSet:
    """Draw up to `count` images; with `by`, equally many of each value, in the values' order.

    Where there are more values than `count`, each of the first `count` is shown once.

    Raises:
        DataError: there is no such label, or no image has it.
    """
    order = random_order(len(images), seed)
    if by is None:
        return images.subset(order[:count].sort().values)
    values = images.label(by)[order]
    present = values.unique()
    present = present[present != MISSING][:count]
    if not len(present):
        raise DataError(f"{images.name}: no image has a {by!r}")
    each = count // len(present)
    return images.subset(torch.cat([order[values == v][:each] for v in present]))


def _short(text: str, width: int) -> str:
    most = max(1, int(width / _LETTER))
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _tensor(picture: Image.Image) -> UInt8[Tensor, "c h w"]:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)
