"""Progress on stderr with rate and time left, silent where nobody watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

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
