"""Contact sheets: rows of pictures that show what an attack drew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.data.pixels import as_uint8
from sfumato.data.sheet import contact_sheet
from sfumato.files import replacing

_LEGIBLE = 64  # pixels a side


def write_sheet(path: Path, rows: Sequence[Float[Tensor, "_ c h w"]]) -> None:
    """Write one PNG whose rows are the given pictures, all rows equally long; 0 black, 1 white."""
    pictures = torch.cat([row.cpu() for row in rows])
    content = contact_sheet(as_uint8(pictures), columns=len(rows[0]), side=_LEGIBLE)
    with replacing(path) as part:
        part.write_bytes(content)
