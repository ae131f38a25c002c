"""Prototypes are settled on unit vectors, whatever the seed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sfumato.protect.prototypes.balance import settle
from sfumato.protect.prototypes.division import balanced_division


@pytest.mark.parametrize("seed", [0, 2**30, 2**32 - 1])
def test_every_seed_of_the_commands_gives_prototypes_that_all_use_alike(seed: int) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(3, 16, generator=generator)
    rows = centres.repeat(20, 1) + torch.randn(60, 16, generator=generator)
    vectors, people = F.normalize(rows, dim=1), torch.arange(60) // 15
    found = settle(vectors, people, 3, sharpness=0.05, rounds=20, seed=seed)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    shares = balanced_division(vectors @ found.T, people, sharpness=0.05, rounds=20)
    for person in range(4):
        torch.testing.assert_close(
            shares[people == person].sum(0), torch.full((3,), 5.0), rtol=0, atol=0.2
        )
