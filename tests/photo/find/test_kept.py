from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sfumato.photo.find.box import Face
from sfumato.photo.find.kept import kept

FACE = Face(left=1.5, top=2.25, right=30.0, bottom=40.0, score=0.625)


def test_a_picture_is_searched_once(tmp_path: Path) -> None:
    searched: list[float] = []

    def find(picture: Tensor, least: float) -> list[Face]:
        searched.append(least)
        return [FACE] if picture.any() else []

    light, dark = torch.ones(3, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8, dtype=torch.uint8)
    for _ in range(2):
        again = kept(find, tmp_path / "found")
        assert again(light, 0.2) == [FACE]
        assert again(light, 0.5) == [FACE]
        assert again(dark, 0.2) == []
    assert searched == [0.2, 0.5, 0.2]
    files = list((tmp_path / "found").iterdir())
    assert len(files) == 3
    for file in files:  # what is cut, or of another version, is searched again
        file.write_bytes(file.read_bytes()[:20])
    assert kept(find, tmp_path / "found")(light, 0.2) == [FACE]
    assert len(searched) == 4
