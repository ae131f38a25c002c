"""Work on many items, and its progress on stderr, silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Protocol, TypeVar, runtime_checkable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")


@runtime_checkable
class Executor(Protocol):
    """How a function is applied to many items: in this process, or on many machines."""

    def __call__(self, function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """Yield the results in the order of the items, as they are there."""
        ...


def sequential(function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """Apply a function to one item after the other, each when its result is asked for."""
    yield from map(function, items)


def progress_bar() -> Progress:
    """Return a progress display; use it as a context manager.

    It draws only on a terminal, so that logs and pipes stay clean.
    """
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        disable=not console.is_terminal,
    )


def track(items: Iterable[T], title: str, *, total: int | None = None) -> Iterator[T]:
    """Yield `items` while a progress bar with this title advances."""
    with progress_bar() as bar:
        size = len(items) if total is None and isinstance(items, Sized) else total
        task = bar.add_task(title, total=size, note="")
        for item in items:
            yield item
            bar.advance(task)
