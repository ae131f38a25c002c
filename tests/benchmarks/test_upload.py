"""The profile of an upload runs every stage, and its shares are of one whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.server import make_backbone
from benchmarks.upload import filled_bank, profile


def test_every_stage_has_its_share(tmp_path: Path) -> None:
    backbone = make_backbone(tmp_path / "public.backbone")
    found = profile(tmp_path, backbone, filled_bank(backbone, 20), 64, 1)
    stages = found["stages"]
    assert list(stages) == ["token", "decode", "features", "score", "rule", "write"]
    assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1, abs=0.005)
    assert {name for name, stage in stages.items() if stage["ratio"] is not None} == {
        "decode",
        "score",
        "write",
    }
