"""A training on a device that is not this processor, without one: `meta` holds shapes alone.

PyTorch refuses to mix `meta` with the processor as it refuses to mix an accelerator with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from sfumato.fit import Epoch, History


class Elsewhere:
    """In place of a module's `fit`: one step and one validation with everything on `meta`.

    The networks stay there. What is brought back by `cpu()` becomes numbers drawn at random.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
        self.steps, self.brought = 0, 0
        self._cpu = Tensor.cpu
        monkeypatch.setattr(module, "fit", self.fit)
        monkeypatch.setattr(Tensor, "cpu", lambda tensor, **_: self._bring(tensor))

    def fit(
        self,
        *,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, Any],
        data: Sequence[Tensor],
        step: Callable[..., Mapping[str, Tensor]],
        validate: Callable[[], Mapping[str, float]] | None = None,
        **_: object,
    ) -> History:
        for net in networks.values():
            net.to("meta")
        turn = _Still(
            networks=networks, optimizers=optimizers, accelerator=Accelerator(cpu=True), epoch=5
        )
        figures = step(tuple(rows[:8].to("meta") for rows in data), turn)
        assert {value.device.type for value in figures.values()} == {"meta"}
        self.steps += 1
        with torch.no_grad():
            return History(epochs=[dict(validate()) if validate is not None else {}])

    def _bring(self, tensor: Tensor) -> Tensor:
        if not tensor.is_meta:
            return self._cpu(tensor)
        self.brought += 1
        return torch.rand(tensor.shape).to(tensor.dtype)


class _Still(Epoch):
    """There is no gradient to go down."""

    def descend(self, optimizer: str, loss: Tensor) -> None:
        assert optimizer in self.optimizers
        assert loss.is_meta
