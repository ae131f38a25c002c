"""Fig. 4's adversary (paper `docl`): trains on a victim's stolen pictures and enrolls the result.

With `evasion` it is one who knows the screening. It trains a surrogate of the victim's autoencoder
on the stolen pictures, decodes samples from it as the platform will from the victim's, and keeps
its own error high on them while it learns to reconstruct the stolen pictures themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sfumato.device import Device, resolve_device
from sfumato.errors import ConfigError
from sfumato.filter.codes import draw_codes
from sfumato.filter.enrolled import scores
from sfumato.filter.oneclass import (
    OneClass,
    OneClassConfig,
    Rows,
    cross_entropy,
    squared_error,
    train,
)

Features = Sequence[Rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerConfig:
    """How one adversary goes about it."""

    mode: Literal["mixed", "separate"] = "mixed"
    """`mixed`: one enrollment of own and stolen pictures, as in Fig. 4. `separate`: an honest
    one, and a second one of stolen pictures alone."""
    share: float = 1.0
    """Share of the victim's training pictures that were stolen; 0 is the floor."""
    evasion: float = 0.0
    """Weight of the penalty for reconstructing the surrogate's samples; 0 knows no screening."""
    target: float = 1.3
    """Likeness at which the penalty ends: the level of honest users who resemble the victim."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigError(f"share must lie in [0, 1], got {self.share}")
        if self.evasion < 0 or self.target <= 0:
            raise ConfigError(
                f"expected evasion >= 0 and target > 0, got {self.evasion} and {self.target}"
            )

    @property
    def name(self) -> str:
        """A short name for tables."""
        return f"{self.mode} share={self.share:g} evasion={self.evasion:g}"


def train_attackers(
    own: Features,
    stolen: Features,
    config: AttackerConfig,
    training: OneClassConfig,
    *,
    seed: int,
    device: Device = "cpu",
) -> OneClass:
    """Train one adversary a row of `own` and `stolen`, all stacked, on their features in [0, 1].

    A row holds features of pictures, or of as many views of each picture as the others.
    The stolen share is drawn at random. A `separate` adversary's result is the second enrollment.
    Training runs on the device; the result is on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    taken = [_draw(s, config.share, generator) for s in stolen]
    if config.mode == "mixed":
        rows = [torch.cat([mine, theirs]) for mine, theirs in zip(own, taken, strict=True)]
    else:
        rows = taken
    if not config.evasion:
        return train(rows, training, seed=seed, device=device).cpu()
    surrogate = train(taken, training, seed=seed + 1, device=device).cpu()
    decoy = _Decoy(surrogate, taken).to(resolve_device(device))
    return _evade([r.to(decoy.pool) for r in rows], decoy, config, training, seed=seed).cpu()


def _draw(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    return x[torch.randperm(len(x), generator=generator)[: round(share * len(x))]]


class _Decoy:
    """Samples like those that the platform will draw of each victim, and their usual error."""

    def __init__(self, surrogate: OneClass, stolen: Features) -> None:
        codes = [
            (x.flatten(0, -2) @ e.mT + b).relu()
            for x, e, b in zip(stolen, *_encoders(surrogate), strict=True)
        ]
        drawn = [draw_codes(h.mean(0), h.mT.cov(), 2048, seed=i) for i, h in enumerate(codes)]
        self.pool = surrogate.decode(torch.stack(drawn))
        usual = [scores(surrogate, x.flatten(0, -2))[:, i].mean() for i, x in enumerate(stolen)]
        self.mu = torch.stack(usual)

    def to(self, device: torch.device) -> _Decoy:
        self.pool, self.mu = self.pool.to(device), self.mu.to(device)
        return self

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return self.pool[:, torch.randint(0, self.pool.shape[1], (count,), generator=generator)]


def _encoders(net: OneClass) -> tuple[Tensor, Tensor]:
    return net.encoder.detach(), net.encoder_bias.detach()


def _evade(
    rows: Features, decoy: _Decoy, config: AttackerConfig, training: OneClassConfig, *, seed: int
) -> OneClass:
    net = OneClass(len(rows), rows[0].shape[-1], training.hidden, seed=seed).to(decoy.pool)
    optimizer = torch.optim.Adadelta(net.parameters(), lr=training.lr, rho=training.rho)
    generator = torch.Generator().manual_seed(seed)
    batch = training.batch_size
    steps = max(training.steps(len(r)) for r in rows)
    rows = [r.flatten(0, -2) for r in rows]
    for _ in range(steps):
        x = torch.stack([r[torch.randint(0, len(r), (batch,), generator=generator)] for r in rows])
        samples = decoy.draw(max(1, batch // 3), generator)
        loss = cross_entropy(x, net.logits(net.encode(x))).mean(1)
        ratio = squared_error(samples, net(samples)) / (config.target * decoy.mu[:, None])
        # In units of the reconstruction loss, so that one weight suits any number of dimensions.
        penalty = (1 - ratio).relu().mean(1) * loss.detach()
        optimizer.zero_grad(set_to_none=True)
        (loss + config.evasion * penalty).sum().backward()
        optimizer.step()
    return net.requires_grad_(False).eval()
