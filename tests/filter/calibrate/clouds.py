"""People as clouds of points: public features for trials of the rule."""

from __future__ import annotations

import torch

from sfumato.filter.calibrate.public import Public

DIM = 12


def clouds(people: int, pictures: int, *, apart: float = 1.0, seed: int = 0) -> Public:
    """Return people whose features lie around a point each; `apart` 0 puts all at one point."""
    generator = torch.Generator().manual_seed(seed)
    middle = 0.5 + apart * (torch.rand(people, 1, DIM, generator=generator) - 0.5) * 0.8
    noise = 0.05 * torch.randn(people, pictures, DIM, generator=generator)
    return Public(
        name="clouds",
        label="person",
        features=(middle + noise).clamp(0, 1).flatten(0, 1),
        who=torch.arange(people).repeat_interleave(pictures),
    )
