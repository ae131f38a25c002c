"""Which rows a contact sheet has."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.attack.reconstruct import ReconstructionAttack, sheet_name
from sfumato.audit.report.sheets import FOLDER, draw_pictures
from sfumato.data.imageset import ImageSet
from sfumato.protect.baselines import Blur


@pytest.mark.parametrize(
    ("seeds", "drawn"),
    [((3,), ["redrawn"]), ((0, 1), ["redrawn by attacker 1", "redrawn by attacker 2"])],
)
def test_attackers_are_numbered_where_there_are_several(
    blobs: ImageSet, tmp_path: Path, seeds: tuple[int, ...], drawn: list[str]
) -> None:
    attack, blur = ReconstructionAttack(seeds=seeds), Blur(2.0)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / sheet_name(attack.name, blur.name)).touch()
    released, redrawn = draw_pictures(blobs, [blur], [attack], tmp_path)
    assert released.rows == ("original", "released")
    assert redrawn.rows == ("original", *drawn, "nearest the attacker had", "floor: mean picture")
