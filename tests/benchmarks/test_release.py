from __future__ import annotations

import pytest
import torch

from benchmarks.release import plain, run
from sfumato.protect.san.model import SemiAdversarial


def test_the_plain_copy_computes_the_same() -> None:
    net = SemiAdversarial(height=32, width=32, network="paper").eval()
    net.set_prototypes(torch.rand(1, 3, 3, 32, 32))
    x = torch.rand(1, 1, 32, 32)
    y = torch.tensor([[0]])
    copied = plain(x, net.prototypes[0, 0], net.prototypes[0, 1], net.autoencoder.state_dict())
    assert torch.allclose(copied, net.draw(x, y, "OP"), atol=1e-6)


@pytest.mark.slow
def test_every_contender_is_measured() -> None:
    with torch.no_grad():
        figures = run(quick=True)
    assert set(figures["images_per_second"]) == {"plain_one", "batched", "residual", "folder"}
    assert all(rate > 0 for rate in figures["images_per_second"].values())
