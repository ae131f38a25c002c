"""The training loop: it learns, repeats itself, resumes exactly, and stops."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import ArtifactError, ConfigError, SfumatoError
from sfumato.fit import Epoch, FitConfig, History, fit
from sfumato.fit.loop import Step, accelerator_of


def regression() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(256, 3, generator=generator)
    return x, x @ torch.tensor([[1.0], [-2.0], [0.5]])


def step(batch: tuple[Tensor, ...], epoch: Epoch) -> dict[str, Tensor]:
    x, y = batch
    dropped = nn.functional.dropout(x, 0.1)
    loss = (epoch.networks["line"](dropped) - y).square().mean()
    epoch.descend("line", loss)
    return {"loss": loss}


def run(config: FitConfig, step: Step = step, **extra: object) -> tuple[nn.Linear, History]:
    torch.manual_seed(3)
    line = nn.Linear(3, 1)
    optimizer = torch.optim.Adam(line.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    history = fit(
        networks={"line": line},
        optimizers={"line": optimizer},
        schedulers={"line": scheduler},
        data=regression(),
        step=step,
        config=config,
        **extra,
    )
    return line, history


def test_the_loss_falls_and_the_same_seed_gives_the_same_weights() -> None:
    first, history = run(FitConfig(epochs=8, batch_size=32, seed=5))
    again, _ = run(FitConfig(epochs=8, batch_size=32, seed=5))
    other, _ = run(FitConfig(epochs=8, batch_size=32, seed=6))
    assert history.curve("loss")[-1] < 0.3 * history.curve("loss")[0]
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)


def test_training_leaves_the_callers_random_state_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    state = torch.get_rng_state()
    run(FitConfig(epochs=1))
    torch.set_rng_state(state)
    assert torch.equal(torch.rand(3), expected)


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole, _ = run(FitConfig(epochs=6, batch_size=32))
    path = tmp_path / "state.safetensors"

    class KilledError(Exception):
        pass

    calls = 0

    def kill() -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KilledError
        return {}

    config = FitConfig(epochs=6, batch_size=32, checkpoint=path, checkpoint_seconds=0.0)
    with pytest.raises(KilledError):
        run(config, validate=kill)
    resumed, history = run(config)
    assert torch.equal(whole.weight, resumed.weight)
    assert len(history.epochs) == 6


def test_patience_stops_and_restores_the_best_epoch() -> None:
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.1])
    config = FitConfig(epochs=5, patience=2, monitor="score")
    _, history = run(config, validate=lambda: {"score": next(scores)})
    assert history.stopped_early
    assert history.best_epoch == 1
    assert len(history.epochs) == 4
    best, _ = run(FitConfig(epochs=2))
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.1])
    stopped, _ = run(config, validate=lambda: {"score": next(scores)})
    assert torch.equal(best.weight, stopped.weight)


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    run(FitConfig(epochs=1, checkpoint=path))
    net = nn.Linear(2, 2)
    with pytest.raises(ArtifactError, match="another training run"):
        fit(
            networks={"line": net},
            optimizers={"line": torch.optim.Adam(net.parameters())},
            data=regression(),
            step=step,
            config=FitConfig(epochs=1, checkpoint=path),
        )


def test_a_checkpoint_of_other_data_or_settings_is_refused(tmp_path: Path) -> None:
    """It had the right shapes, and another training's weights came out as this one's."""
    path = tmp_path / "state.safetensors"
    config = FitConfig(epochs=2, checkpoint=path, about=("lambda", 0.1, nn.Linear(1, 1)))
    made, _ = run(config)
    assert torch.equal(run(config)[0].weight, made.weight)
    assert torch.equal(run(replace(config, device="cpu"))[0].weight, made.weight)
    others = [
        replace(config, about=("lambda", 0.2)),
        replace(config, about=("lambda", 0.1, nn.Linear(1, 1))),  # of other weights
        replace(config, epochs=3),
        replace(config, batch_size=7),
        replace(config, seed=1),
    ]
    content = path.read_bytes()
    for other in others:
        with pytest.raises(ArtifactError, match="on other pictures or with other settings; remove"):
            run(other)
    net = nn.Linear(3, 1)
    inputs, targets = regression()
    with pytest.raises(ArtifactError, match="on other pictures"):
        fit(
            networks={"line": net},
            optimizers={"line": torch.optim.Adam(net.parameters())},
            data=(inputs, -targets),
            step=step,
            config=config,
        )
    assert path.read_bytes() == content


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    def broken(batch: tuple[Tensor, ...], epoch: Epoch) -> dict[str, Tensor]:
        return {"loss": torch.tensor(float("nan"))}

    net = nn.Linear(3, 1)
    with pytest.raises(SfumatoError, match="no longer finite in epoch 1"):
        fit(
            networks={"line": net},
            optimizers={},
            data=regression(),
            step=broken,
            config=FitConfig(epochs=1),
        )


@pytest.mark.parametrize("data", [(), (torch.zeros(0, 3),), (torch.zeros(2), torch.zeros(3))])
def test_unusable_data_is_refused(data: tuple[Tensor, ...]) -> None:
    with pytest.raises(ConfigError, match="one length"):
        fit(networks={}, optimizers={}, data=data, step=step, config=FitConfig(epochs=1))


def test_runs_of_several_precisions_follow_each_other_in_one_process() -> None:
    for precision in ("no", "bf16", "no"):
        _, history = run(FitConfig(epochs=2, batch_size=32, precision=precision, device="cpu"))  # type: ignore[arg-type]
        assert history.curve("loss")[-1] < history.curve("loss")[0]


@pytest.mark.parametrize(("capability", "mixed"), [("AVX512", True), ("AVX2", False)])
def test_a_processor_without_16_bits_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch, capability: str, mixed: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    seen = set()

    def looked(batch: tuple[Tensor, ...], epoch: Epoch) -> dict[str, Tensor]:
        seen.add(torch.is_autocast_enabled("cpu"))
        return step(batch, epoch)

    run(FitConfig(epochs=1, batch_size=32, precision="bf16", device="cpu"), step=looked)
    assert seen == {mixed}


def test_each_run_is_where_it_is_told_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accelerate keeps the first device for all; then a run would be where another one was."""
    monkeypatch.setattr(
        "sfumato.fit.loop.resolve_device",
        lambda name: torch.device("meta" if name == "cuda" else "cpu"),
    )
    seen = []
    for name in ("cpu", "cuda", "cuda", "cpu", "auto", "cuda", "auto"):
        made = accelerator_of(FitConfig(epochs=1, device=name))
        seen.append(made.device.type)
    assert seen == ["cpu", "meta", "meta", "cpu", "cpu", "meta", "cpu"]


def test_a_run_on_no_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a device"):
        FitConfig(epochs=1, device="banana")
