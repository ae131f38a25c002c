"""What a trained network gives for many rows, wherever it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from sfumato.device import device_of


@torch.no_grad()
def outputs(
    net: nn.Module,
    rows: Float[Tensor, "n *shape"],
    *,
    batch_size: int = 256,
    through: Callable[[Tensor], Tensor] | None = None,
) -> Shaped[Tensor, "n *out"]:
    """Return a network's output for each row, in evaluation mode, on the CPU.

    Batches are computed on the network's device, so that the rows may stay elsewhere.

    Args:
        net: The network, which stays in evaluation mode.
        rows: Its input.
        batch_size: Rows that are on the device at once.
        through: A method of `net` in place of a call, such as the one that gives an inner layer.
    """
    net.eval()
    device, apply = device_of(net), through or net
    return torch.cat([apply(part.to(device)).cpu() for part in rows.split(batch_size)])
