"""One training loop. A paper supplies its `step`; everything else is here, once."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState, is_initialized
from accelerate.utils import DistributedType, patch_environment
from rich.progress import Progress, TaskID
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader, Dataset

from sfumato.device import precision_on, resolve_device
from sfumato.errors import ConfigError, SfumatoError
from sfumato.fingerprint import fingerprint
from sfumato.fit.checkpoint import load_checkpoint, restore, save_checkpoint, snapshot
from sfumato.fit.config import FitConfig
from sfumato.fit.rehearsal import Stage, is_rehearsal, stop
from sfumato.progress import progress_bar
from sfumato.types import Training


@dataclass(slots=True, kw_only=True)
class Epoch:
    """What a step may use: the networks, the epoch's number, and an optimizer's step."""

    networks: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    accelerator: Accelerator
    number: int = 0
    """Counted from 0."""

    def descend(self, optimizer: str, loss: Tensor) -> None:
        """Take one step of the named optimizer down this loss."""
        chosen = self.optimizers[optimizer]
        chosen.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        chosen.step()


Step = Callable[[tuple[Tensor, ...], Epoch], Mapping[str, Tensor]]
"""Trains on one batch (calling `epoch.descend`) and returns scalars to average over the epoch."""

Validate = Callable[[], Mapping[str, float]]
"""Measures the networks between epochs on held-out data."""


@dataclass(slots=True)
class History:
    """Figures of each epoch, in order, and why the run ended."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    stopped_early: bool = False

    def curve(self, name: str) -> list[float]:
        """Return one figure over the epochs."""
        return [epoch[name] for epoch in self.epochs]

    def training(self) -> Training:
        """Return the curves and the end, to four figures: enough to be drawn."""
        names = self.epochs[0] if self.epochs else ()
        return Training(
            curves={name: tuple(float(f"{v:.4g}") for v in self.curve(name)) for name in names},
            best_epoch=self.best_epoch,
            stopped_early=self.stopped_early,
        )


class _Rows(Dataset[tuple[Tensor, ...]]):
    """Tensors of equal length, fetched a batch at a time by one indexing operation."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, index: list[int]) -> tuple[Tensor, ...]:
        where = torch.tensor(index)
        return tuple(tensor[where] for tensor in self.tensors)


def fit(
    *,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    data: Sequence[Tensor],
    step: Step,
    config: FitConfig,
    schedulers: Mapping[str, LRScheduler] | None = None,
    validate: Validate | None = None,
    title: str = "training",
) -> History:
    """Train `networks` in place and return the history.

    `data` are tensors of equal length; a batch is a tuple of their rows, on the device. Schedulers
    step once an epoch. With `config.patience` the weights of the best validated epoch are restored
    at the end. With `config.checkpoint` a killed run goes on after its last written epoch, and
    ends with the same weights as one that was never interrupted: every epoch seeds itself.
    One of other data, or of other settings in `config.about`, is refused.

    Raises:
        ConfigError: no data, tensors of different lengths, or patience without `validate`.
        ArtifactError: the checkpoint is damaged, or of another training.
        SfumatoError: a loss is no longer finite.
    """
    _check(data, config, validate)
    with torch.random.fork_rng():
        run = _Run(networks, optimizers, schedulers or {}, data, config)
        run.resume()
        if is_rehearsal():
            stop(run.rehearse(step, validate, title))
        with progress_bar() as bar:
            task = bar.add_task(title, total=config.epochs, completed=run.next_epoch, note="")
            while not run.done:
                figures = run.epoch(step, validate, bar)
                bar.update(task, completed=run.next_epoch, note=_note(figures))
        run.finish()
    return run.history


class _Run:
    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        schedulers: Mapping[str, LRScheduler],
        data: Sequence[Tensor],
        config: FitConfig,
    ) -> None:
        self.config, self.modules, self.schedulers = config, networks, schedulers
        self.accelerator = accelerator_of(config)
        self.generator = torch.Generator()
        self.rows = _Rows(data)
        loader = DataLoader(
            self.rows,
            batch_size=min(config.batch_size, len(data[0])),
            shuffle=True,
            generator=self.generator,
            collate_fn=_as_is,
            # A last batch of one row breaks batch normalisation and teaches little.
            drop_last=len(data[0]) > config.batch_size,
        )
        self.loader = self.accelerator.prepare(loader)
        self.current = Epoch(
            networks={name: self.accelerator.prepare(net) for name, net in networks.items()},
            optimizers={name: self.accelerator.prepare(o) for name, o in optimizers.items()},
            accelerator=self.accelerator,
        )
        self.optimizers = optimizers
        self.history = History()
        self.best: dict[str, Tensor] = {}
        self.next_epoch = 0
        self.about = "" if config.checkpoint is None else _about(data, config)
        self.last_save = time.monotonic()

    @property
    def done(self) -> bool:
        return self.next_epoch >= self.config.epochs or self.history.stopped_early

    def resume(self) -> None:
        path = self.config.checkpoint
        if path is None or not path.exists():
            return
        self.best, progress = load_checkpoint(
            path,
            about=self.about,
            modules=self.modules,
            optimizers=self.optimizers,
            schedulers=self.schedulers,
        )
        self.next_epoch = progress["next_epoch"]
        self.history = History(**progress["history"])

    def epoch(self, step: Step, validate: Validate | None, bar: Progress) -> Mapping[str, float]:
        seed = self.config.seed * 1_000_003 + self.next_epoch
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)
        self.current.number = self.next_epoch
        figures = self._train(step, bar)
        for scheduler in self.schedulers.values():
            scheduler.step()
        if validate is not None:
            with _evaluating(self.modules), torch.no_grad():
                figures |= validate()
        self.history.epochs.append(figures)
        self._remember_best(figures)
        self.next_epoch += 1
        self._save()
        return figures

    def _train(self, step: Step, bar: Progress) -> dict[str, float]:
        for network in self.current.networks.values():
            network.train()
        sums: dict[str, Tensor] = defaultdict(
            lambda: torch.zeros((), device=self.accelerator.device)
        )
        task: TaskID = bar.add_task(
            f"  epoch {self.next_epoch + 1}", total=len(self.loader), note=""
        )
        for batch in self.loader:
            for name, value in self._stepped(step, batch).items():
                sums[name] += value.detach().float()
            bar.advance(task)
        bar.remove_task(task)
        figures = {name: float(total) / len(self.loader) for name, total in sums.items()}
        wrong = [
            name for name, value in figures.items() if value != value or abs(value) == float("inf")
        ]
        if wrong:
            raise SfumatoError(
                f"{', '.join(wrong)} is no longer finite in epoch {self.next_epoch + 1}; "
                "lower the learning rate, or take `precision` no"
            )
        return figures

    def _stepped(self, step: Step, batch: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        mixed = self.accelerator.mixed_precision != "no"
        with self.accelerator.autocast() if mixed else nullcontext():
            return step(batch, self.current)

    def rehearse(self, step: Step, validate: Validate | None, title: str) -> Stage:
        """Try a batch twice and a validation, and return what the whole training would be."""
        for network in self.current.networks.values():
            network.train()
        batch = next(iter(self.loader))
        self._timed(step, batch)  # a first one also prepares what later ones find
        seconds = self._timed(step, batch) * len(self.loader)
        if validate is not None:
            start = time.perf_counter()
            with _evaluating(self.modules), torch.no_grad():
                validate()
            seconds += time.perf_counter() - start
        return Stage(
            title=title,
            rows=len(self.rows),
            epochs=self.config.epochs,
            done=self.next_epoch,
            batches=len(self.loader),
            epoch_seconds=seconds,
        )

    def _timed(self, step: Step, batch: tuple[Tensor, ...]) -> float:
        start = time.perf_counter()
        for value in self._stepped(step, batch).values():
            float(value.detach())  # waits for a card
        return time.perf_counter() - start

    def _remember_best(self, figures: Mapping[str, float]) -> None:
        if self.config.patience is None:
            return
        name, sign = self.config.monitor, 1 if self.config.higher_is_better else -1
        if name not in figures:
            known = ", ".join(sorted(figures))
            raise ConfigError(f"`monitor` is one of {known}; got {name!r}")
        now, best = len(self.history.epochs) - 1, self.history.best_epoch
        if best < 0 or sign * figures[name] > sign * self.history.epochs[best][name]:
            self.history.best_epoch, self.best = now, snapshot(self.modules)
        elif now - best >= self.config.patience:
            self.history.stopped_early = True

    def _save(self) -> None:
        path, now = self.config.checkpoint, time.monotonic()
        due = now - self.last_save >= self.config.checkpoint_seconds or self.done
        if path is None or not due or not self.accelerator.is_main_process:
            return
        history: dict[str, Any] = {
            "epochs": self.history.epochs,
            "best_epoch": self.history.best_epoch,
            "stopped_early": self.history.stopped_early,
        }
        save_checkpoint(
            path,
            about=self.about,
            modules=self.modules,
            optimizers=self.optimizers,
            schedulers=self.schedulers,
            best=self.best,
            progress={"next_epoch": self.next_epoch, "history": history},
        )
        self.last_save = now

    def finish(self) -> None:
        if self.best:
            restore(self.modules, self.best)
        for module in self.modules.values():
            module.eval()


class _evaluating:  # noqa: N801 - used like a function
    """Put modules in evaluation mode for a block, then back as each was."""

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        self.modules = modules

    def __enter__(self) -> None:
        for module in self.modules.values():
            module.eval()

    def __exit__(self, *_: object) -> None:
        for module in self.modules.values():
            module.train()


def accelerator_of(config: FitConfig) -> Accelerator:
    """Return an accelerator with this run's device and precision, whatever ran before."""
    # Accelerate keeps one precision and one device a process, but a protector and its attackers
    # may differ.
    where = resolve_device(config.device)
    named = {} if config.device == "auto" else {"accelerate_torch_device": str(where)}
    with patch_environment(**named):
        process = PartialState(cpu=where.type == "cpu")
        elsewhere = process.distributed_type == DistributedType.NO and process.device != where
        precision = precision_on(where, config.precision)
        other = is_initialized() and AcceleratorState().mixed_precision != precision
        if is_initialized() and (elsewhere or other):
            vars(AcceleratorState()).clear()  # all instances share one dictionary
        if elsewhere:
            vars(process).clear()
        return Accelerator(cpu=where.type == "cpu", mixed_precision=precision)


def _as_is(batch: Any) -> Any:  # noqa: ANN401 - `_Rows` made the batch already
    return batch


def _note(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _about(data: Sequence[Tensor], config: FitConfig) -> str:
    return fingerprint(list(data), config.epochs, config.batch_size, config.seed, config.about)


def _check(data: Sequence[Tensor], config: FitConfig, validate: Validate | None) -> None:
    lengths = [len(tensor) for tensor in data]
    if not lengths or min(lengths) < 1 or len(set(lengths)) > 1:
        raise ConfigError(f"training data must be tensors of one length >= 1, got {lengths}")
    if config.patience is not None and validate is None:
        raise ConfigError("`patience` needs held-out data to validate on")
