"""Contact sheets: rows of pictures that show what an attack drew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.utils import make_grid, save_image

from sfumato.files import replacing

_LEGIBLE = 64  # pixels a side


def write_sheet(path: Path, rows: Sequence[Float[Tensor, "_ c h w"]]) -> None:
    """Write one PNG whose rows are the given pictures, all rows equally long and in [0, 1].

    Small pictures are enlarged by a whole factor, so that every pixel stays what it was.
    """
    pictures = torch.cat(list(rows)).clamp(0, 1)
    times = max(1, _LEGIBLE // pictures.shape[2])
    large = pictures.repeat_interleave(times, 2).repeat_interleave(times, 3)
    grid = make_grid(large, nrow=len(rows[0]), padding=2, pad_value=1.0)
    with replacing(path) as part:
        save_image(grid, part, format="png")
