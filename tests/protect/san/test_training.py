"""What both ways to train a semi-adversarial network share."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.training import Job


def test_a_network_is_moved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step may still hold its weights: moved again, PyTorch could not exchange them."""
    net = SemiAdversarial(height=16, width=16)
    job = Job(
        net=net,
        pictures=torch.zeros(2, 1, 16, 16, dtype=torch.uint8),
        labels=torch.zeros(2, 1, dtype=torch.int64),
        matcher=nn.Linear(2, 2),
        config=SanConfig(),
    )
    elsewhere = nn.Linear(2, 2, device="meta")
    moved: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "to", lambda self, device: moved.append(self))
    job.follow(torch.device("cpu"), elsewhere)
    assert moved == [elsewhere]
