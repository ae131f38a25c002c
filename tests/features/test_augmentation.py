"""Ranges and numbers of views, and where they are mild."""

from __future__ import annotations

import pytest

from sfumato.errors import ConfigError
from sfumato.features.augmentation import Augmentation


def test_few_pictures_have_many_far_views_and_many_have_one_near() -> None:
    default = Augmentation()
    assert (default.views(30), default.reach(30)) == (32, 1.0)
    assert (default.views(300), default.reach(3000)) == (6, pytest.approx(0.1))
    assert default.views(10_000) == default.views(2048) == 1


def test_aligned_faces_have_near_views() -> None:
    face, other = Augmentation.suited("face"), Augmentation.suited("gradients")
    assert other == Augmentation()
    assert face.rotation < other.rotation
    assert face.zoom < other.zoom
    assert face.move < other.move


@pytest.mark.parametrize(
    "wrong",
    [{"rotation": 181.0}, {"zoom": -0.1}, {"move": 0.6}, {"most": 0}, {"total": 0}, {"few": 0}],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Augmentation(**wrong)  # type: ignore[arg-type]
