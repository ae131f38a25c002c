"""What is decoded is what Chromium paints on white, to the level, for every kind of file.

Chromium's canvas is exact: it gives back the bytes that it was given. Two decoders may still round
a product of alpha, or a conversion of colour, in another order: one level, two where both happen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.decoding.decode import decode_image, decode_views
from sfumato.errors import ImageError
from sfumato.features.preprocess import Preprocess
from tests.data.decoding.viewer import Pixels, Viewer
from tests.data.decoding.viewer_animations import ANIMATIONS
from tests.data.decoding.viewer_files import FILES, REFUSED, png

_LEVELS = 1
_PAGE_LEVELS = 2
_DOCS = Path(__file__).parents[3] / "docs" / "pictures.md"


@pytest.fixture(scope="module")
def viewer(browser: Any) -> Viewer:
    return Viewer(browser)


def pixels(picture: UInt8[Tensor, "c h w"]) -> Pixels:
    return picture.expand(3, -1, -1).permute(1, 2, 0).numpy()


def apart(a: Pixels, b: Pixels) -> int:
    if a.shape != b.shape:
        return 256
    return int(np.abs(a.astype(int) - b).max())


def test_every_file_is_decoded_as_chromium_paints_it(viewer: Viewer) -> None:
    assert len(FILES) > 310
    files = {name: make() for name, make in FILES.items()}
    painted = dict(zip(files, viewer.paints(list(files.values())), strict=True))
    assert [name for name, found in painted.items() if found is None] == []
    far = {name: apart(pixels(decode_image(files[name])), painted[name]) for name in files}
    assert {name: levels for name, levels in far.items() if levels > _LEVELS} == {}


def test_the_page_decodes_every_file_as_the_command_line_does(viewer: Viewer) -> None:
    files = {name: make() for name, make in FILES.items()}
    page = dict(zip(files, viewer.enrolls(list(files.values())), strict=True))
    assert [said for said in page.values() if isinstance(said, str)] == []
    far = {name: apart(pixels(decode_image(files[name])), page[name]) for name in files}
    assert {name: levels for name, levels in far.items() if levels > _PAGE_LEVELS} == {}


def test_the_page_gives_a_backbone_what_the_command_line_gives_it(viewer: Viewer) -> None:
    """Half a level, beside those of the decoders, for the arithmetic of the resize."""
    names = [*FILES][::8]
    files = [FILES[name]() for name in names]
    for size in ((8, 11), (20, 31), (64, 48)):
        found = viewer.inputs(files, size)
        preprocess = Preprocess(size=size, channels=3)
        for name, content, planes in zip(names, files, found, strict=True):
            picture = decode_image(content, channels=3)
            expected = preprocess(picture[None])[0]
            levels = 255 * float((torch.tensor(planes).view(3, *size) - expected).abs().max())
            assert levels <= _PAGE_LEVELS + 0.5, name


def test_every_frame_that_chromium_plays_is_judged(viewer: Viewer) -> None:
    for name, make in ANIMATIONS.items():
        content = make()
        ours = [pixels(view.picture) for view in decode_views(content)]
        played = viewer.frames(content, name.split()[0].replace("apng", "png"))
        far = [min(apart(frame, one) for one in ours) for frame in played]
        assert len(played) > 1, name
        assert max(far) <= _LEVELS, name
        # None is made up; a still picture that an animation hides is the only one not played.
        hidden = name in ("apng hidden still", "apng first frame at a place")
        strange = [min(apart(frame, one) for frame in played) > _LEVELS for one in ours]
        assert sum(strange) == hidden, name


def test_animations_are_refused_by_name_here_and_by_the_page(viewer: Viewer) -> None:
    files = [make() for make in ANIMATIONS.values()]
    for content, said in zip(files, viewer.enrolls(files), strict=True):
        with pytest.raises(ImageError, match="expected a still picture, got an animation"):
            decode_image(content)
        assert isinstance(said, str)
        assert "expected a still picture, got an animation" in said


def test_what_chromium_shows_and_we_refuse_is_listed(viewer: Viewer) -> None:
    files = {name: make() for name, (make, _) in REFUSED.items()}
    assert all(found is not None for found in viewer.paints(list(files.values())))
    page = viewer.enrolls(list(files.values()))
    for (name, content), said in zip(files.items(), page, strict=True):
        with pytest.raises(ImageError, match=REFUSED[name][1]):
            decode_image(content)
        assert isinstance(said, str), name
        assert f"| {name} |" in _DOCS.read_text(), name


def test_a_hostile_table_of_sizes_is_seen_alike(viewer: Viewer) -> None:
    """One row, one column, one pixel: the borders of every loop."""
    sizes = [(1, 1), (1, 9), (9, 1), (2, 3), (7, 8), (8, 7), (17, 33)]
    for height, width in sizes:
        values = np.arange(height * width * 3, dtype=np.uint16).reshape(height, width, 3) * 7 % 256
        for interlaced in (False, True):
            content = png("rgb", 8, values=values, interlaced=interlaced)
            (painted,) = viewer.paints([content])
            assert painted is not None
            assert apart(pixels(decode_image(content)), painted) == 0
