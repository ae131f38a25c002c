"""A network's outputs are computed where it is, and come back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sfumato.fit.outputs import outputs


def test_batches_give_what_one_call_gives() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout())
    rows = torch.randn(11, 3)
    found = outputs(net.train(), rows, batch_size=4)
    assert not net.training
    assert not found.requires_grad
    torch.testing.assert_close(found, net(rows))
    torch.testing.assert_close(outputs(net, rows, through=net[0]), net[0](rows))


def test_rows_are_brought_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "cpu", lambda made: torch.ones(made.shape))
    assert outputs(nn.Linear(3, 2).to("meta"), torch.zeros(5, 3)).shape == (5, 2)
