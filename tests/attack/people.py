"""A synthetic world of people that the tests of matching attacks share."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.types import Knowledge, Releases

QUICK = LearnerConfig(epochs=20, batch_size=64, device="cpu")
_MIX = torch.randn(12, 40, generator=torch.Generator().manual_seed(5))


def faces(people: Tensor) -> Tensor:
    """Pictures whose 12 latent traits mark a person, under stronger noise that carries nothing."""
    traits = torch.randn(int(people.max()) + 1, 12, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(int(people.sum()))
    noise = torch.randn(len(people), 12, generator=generator)
    rows = (traits[people] + 0.35 * noise) @ _MIX
    return rows.sigmoid().view(len(people), 1, 5, 8)


def setting(own: Tensor, victims: Tensor, release: object) -> tuple[Releases, Knowledge]:
    assert callable(release)
    shown = faces(victims)
    return (
        Releases(protector="test", tensor=release(shown), images=shown, labels={"who": victims}),
        Knowledge(images=faces(own), labels={"who": own}, query=release),
    )


KNOWN = torch.arange(30).repeat_interleave(8)
STRANGERS = torch.arange(30, 50).repeat_interleave(5)
