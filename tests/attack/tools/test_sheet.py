"""Sheets show what was drawn, within what a picture can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sfumato.attack.tools.sheet import write_sheet


def test_values_beyond_black_and_white_are_drawn_as_these(tmp_path: Path) -> None:
    values = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5, 3.0])
    pictures = values[:, None, None, None].expand(-1, 1, 64, 64)
    write_sheet(tmp_path / "sheet.png", [pictures])
    with Image.open(tmp_path / "sheet.png") as sheet:
        middle = np.asarray(sheet.convert("L"))[sheet.height // 2]
    tiles = [int(middle[at]) for at in range(6 + 32, len(middle), 70)]
    assert tiles == [0, 0, 128, 255, 255, 255]
