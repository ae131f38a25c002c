from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from sfumato.audit.report.card import write_cards
from sfumato.protect import pretrained
from sfumato.protect.baselines import Unprotected
from sfumato.protect.pretrained import CARD, PretrainedProtector, open_pretrained
from tests.audit.findings import cell, report


class Dimmer(PretrainedProtector):
    kind: ClassVar[str] = "dimmer"

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    @property
    def shape(self) -> tuple[int, int, int]:
        return 1, 4, 4

    def forward(self, images: Tensor) -> Tensor:
        return self.factor * images


def test_the_last_audit_fills_the_card_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "KINDS", {"dimmer": f"{__name__}:Dimmer"})
    folder = tmp_path / "artifact"
    made = Dimmer()
    made.save_pretrained(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    audited = report(
        cell("none", "attributes:mood", 1.0),
        cell("dimmer", "attributes:mood", 0.75),
        cell("dimmer", "quality", 0.5, role="utility"),
        cell("dimmer", "copies"),
    )
    write_cards({str(folder): made, "none": Unprotected()}, audited)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {CARD}
    card = (folder / CARD).read_text()
    assert card.startswith("---\nlibrary_name: sfumato")
    assert "Not audited yet" not in card
    assert "| reading mood | privacy | 0.800 | 0.500 | 0.900 | 75 % (70 to 80 %) |" in card
    assert "| 0.500 | 0.500 | not measured | not measurable |" in card
    assert card.count("| privacy |") == 2
    assert isinstance(open_pretrained(folder), Dimmer)
    made.save_pretrained(folder)
    assert (folder / CARD).read_text() == card
