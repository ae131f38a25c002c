from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import ConfigError
from sfumato.fit import Epoch, FitConfig, fit, rehearsed


def training(
    net: nn.Linear,
    seen: list[int],
    path: Path | None = None,
    epochs: int = 5,
    most: int | None = None,
) -> None:
    """Train by two steps an epoch, and stop after `most` of them."""

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> dict[str, Tensor]:
        if len(seen) == most:
            raise KeyboardInterrupt
        seen.append(len(batch[0]))
        loss = epoch.networks["net"](batch[0]).square().mean()
        epoch.descend("net", loss)
        return {"loss": loss}

    fit(
        networks={"net": net},
        optimizers={"net": torch.optim.SGD(net.parameters(), lr=0.1)},
        data=[torch.ones(20, 3)],
        step=step,
        config=FitConfig(
            epochs=epochs, batch_size=8, device="cpu", checkpoint=path, checkpoint_seconds=0.0
        ),
        title="lines",
    )


def test_a_rehearsed_training_stops_after_its_first_batches() -> None:
    seen: list[int] = []
    stage = rehearsed(lambda: training(nn.Linear(3, 1), seen))
    assert seen == [8, 8]
    assert (stage.title, stage.rows, stage.epochs, stage.done, stage.batches) == (
        "lines", 20, 5, 0, 2,
    )  # fmt: skip
    assert stage.minutes == pytest.approx(5 * stage.epoch_seconds / 60)
    training(nn.Linear(3, 1), seen)
    assert len(seen) == 2 + 5 * 2  # the loop is not changed for good


def test_what_an_interrupted_run_did_is_not_counted_again(tmp_path: Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        training(nn.Linear(3, 1), [], path, most=6)
    before = sorted((file.name, file.stat().st_mtime_ns) for file in tmp_path.rglob("*"))
    stage = rehearsed(lambda: training(nn.Linear(3, 1), [], path))
    assert stage.done == 3
    assert stage.minutes == pytest.approx(2 * stage.epoch_seconds / 60)
    after = sorted((file.name, file.stat().st_mtime_ns) for file in tmp_path.rglob("*"))
    assert before == after


def test_mistakes_are_those_of_the_training() -> None:
    with pytest.raises(ConfigError, match="epochs"):
        rehearsed(lambda: training(nn.Linear(3, 1), [], epochs=0))
    with pytest.raises(RuntimeError, match="nothing was trained"):
        rehearsed(lambda: None)
