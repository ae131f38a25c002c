"""Which parts the demo shows, and running them side by side, one a core."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from threading import Thread
from types import ModuleType
from typing import Protocol, runtime_checkable

import torch
from joblib import Parallel, delayed, parallel_config

from sfumato.demo.section import Section
from sfumato.errors import ConfigError
from sfumato.filter.oneclass import one_thread
from sfumato.progress import progress_bar

SLUGS = ("docl", "shufflebits", "san", "anonymizer", "obfuscator")
"""In the order of the papers."""
PARTS = ("photographs", *SLUGS)
"""All that is shown, in this order; `demo/<part>.py` has `<part>_demo` and `STEPS`."""


@runtime_checkable
class Notes(Protocol):
    """Where parts say how far they are, from any process."""

    def put(self, note: str | None) -> None:
        """Say that a step is done; None after the last one of all."""
        ...

    def get(self) -> str | None:
        """Wait for what is said next."""
        ...


def run_sections(only: Sequence[str] = (), *, seed: int) -> list[Section]:
    """Run the named parts, or all, a process each, under one progress display.

    Every part computes on one thread, so that its figures do not depend on how many cores there
    are.

    Raises:
        ConfigError: no part has this name.
    """
    unknown = [slug for slug in only if slug not in PARTS]
    if unknown:
        raise ConfigError(f"`only` {unknown[0]} is none of: {', '.join(PARTS)}")
    parts = [*dict.fromkeys(only or PARTS)]
    with (
        _progress(sum(_module(slug).STEPS for slug in parts)) as notes,
        parallel_config("loky", inner_max_num_threads=1),
    ):
        processes = min(torch.get_num_threads(), len(parts))
        # The last three take twice as long as the others, so they begin.
        run = Parallel(n_jobs=processes)(delayed(_run)(slug, seed, notes) for slug in parts[::-1])
    return list(run)[::-1]


def _run(slug: str, seed: int, notes: Notes) -> Section:
    part: Callable[..., Section] = getattr(_module(slug), f"{slug}_demo")
    with one_thread():
        return part(seed=seed, advance=notes.put)


def _module(slug: str) -> ModuleType:
    return importlib.import_module(f"sfumato.demo.{slug}")


@contextmanager
def _progress(total: int) -> Iterator[Notes]:
    """Show steps as they are put into what it yields."""
    with get_context("spawn").Manager() as manager, progress_bar() as bar:
        notes: Notes = manager.Queue()
        task = bar.add_task("demo", total=total, note="")

        def show() -> None:
            while (note := notes.get()) is not None:
                bar.update(task, advance=1, note=note)

        shown = Thread(target=show)
        shown.start()
        try:
            yield notes
        finally:
            notes.put(None)
            shown.join()
