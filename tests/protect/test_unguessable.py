from __future__ import annotations

import torch

from sfumato.protect.unguessable import unguessable


def test_nobody_draws_it_again_and_the_callers_numbers_go_on() -> None:
    def drawn() -> torch.Tensor:
        torch.manual_seed(0)
        with unguessable():
            return torch.rand(8)

    assert not torch.equal(drawn(), drawn())
    torch.manual_seed(0)
    expected = torch.rand(8)
    torch.manual_seed(0)
    with unguessable():
        torch.rand(8)
    assert torch.equal(torch.rand(8), expected)
