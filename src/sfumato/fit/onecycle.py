"""The schedule of a short training: the rate rises to its highest and falls to nothing."""

from __future__ import annotations

import torch
from torch import nn

Optimizer = torch.optim.Optimizer
Scheduler = torch.optim.lr_scheduler.LRScheduler


def one_cycle(
    net: nn.Module, *, lr: float, epochs: int, weight_decay: float
) -> tuple[Optimizer, Scheduler]:
    """Return AdamW over a network, and its one-cycle schedule with `lr` as the highest rate."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    # It is stepped after every epoch, so one more than epochs: the last step must be a valid one.
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs + 1)
    return optimizer, schedule
