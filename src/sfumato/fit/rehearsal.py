"""A training up to its first batches: what it would do and how long an epoch takes.

All trainings go through one loop. While a training is rehearsed that loop tries two batches, and
then stops whoever called it. So everything before the first batch is checked by the code that
checks it in earnest, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, NoReturn

_rehearsing: Final[ContextVar[bool]] = ContextVar("rehearsing", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The first training that a command would run."""

    title: str
    rows: int
    """Pictures, or maps, that it would learn from."""
    epochs: int
    done: int
    """Epochs that an interrupted run has done already."""
    batches: int
    """Of an epoch."""
    epoch_seconds: float
    """By the time that one batch and one validation took here."""

    @property
    def minutes(self) -> float:
        """Return the time that its epochs take; less where it stops early."""
        return (self.epochs - self.done) * self.epoch_seconds / 60


class _Stopped(BaseException):
    """Ends a rehearsed training; nobody who handles errors takes it for one."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage


def rehearsed(train: Callable[[], object]) -> Stage:
    """Run a training up to its first batches.

    Raises:
        SfumatoError: what the training itself would raise before it starts.
        RuntimeError: it trains nothing.
    """
    token = _rehearsing.set(True)
    try:
        train()
    except _Stopped as stopped:
        return stopped.stage
    finally:
        _rehearsing.reset(token)
    raise RuntimeError("expected a training, and nothing was trained")


def is_rehearsal() -> bool:
    """Return whether the loop must stop after its first batches."""
    return _rehearsing.get()


def stop(stage: Stage) -> NoReturn:
    """End the training that is rehearsed."""
    raise _Stopped(stage)
