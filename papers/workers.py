"""Independent parts of a recipe side by side: a process a core, one thread each.

Two threads of one small training are hardly faster than one; two trainings at once are. Every part
keeps its own result on disk (`papers.stages`), so nothing but their names travels.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any

import torch

from sfumato.progress import track

Job = tuple[str, ...]
"""A method's name, and its arguments."""

_work: Any = None


def do_ahead(make: Callable[[], Any], phases: Iterable[Sequence[Job]]) -> None:
    """Do the jobs of every phase, one phase after the other, on what `make` makes in each process.

    It takes as many processes as torch would take threads. With one, or with an accelerator that
    they would only share, it does nothing: whoever needs a part makes it then.
    """
    processes = torch.get_num_threads()
    if processes == 1 or torch.accelerator.is_available():
        return
    # A forked child would inherit locks of threads that it does not have.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (make,))
    try:
        for jobs in phases:
            under_way = [pool.submit(_do, job) for job in jobs]
            for done in track(as_completed(under_way), "recipe", total=len(jobs)):
                done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(make: Callable[[], Any]) -> None:
    global _work
    torch.set_num_threads(1)
    # Progress of several trainings at once would write over each other.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    _work = make()


def _do(job: Job) -> None:
    getattr(_work, job[0])(*job[1:])
