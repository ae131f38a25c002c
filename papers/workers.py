"""Independent parts of a recipe side by side, a process each.

On the processor there is a process a core: two threads of one small training are hardly faster
than one, two trainings at once are. An accelerator is shared by a process a core as well: one
small training leaves most of it idle. Every part keeps its own result on disk (`papers.stages`),
so that nothing but names travels, and a recipe that was killed goes on from what is kept.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch
from accelerate.utils import patch_environment

from sfumato.device import Device, resolve_device
from sfumato.errors import SfumatoError
from sfumato.progress import progress_bar

Job = tuple[str, ...]
"""A method's name, and its arguments."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def do_ahead(
    make: Callable[[], Any], needs: Mapping[Job, Iterable[Job]], *, device: Device
) -> None:
    """Do each job as soon as those that it needs are done, on what `make` makes in each process.

    Where there is one core, it does nothing: whoever needs a part makes it then.

    Raises:
        SfumatoError: a job failed, or its process ended; the jobs that are done stay done.
    """
    processes = min(processes_on(device), len(needs))
    if processes < 2:
        return
    workers = [_Worker.start(make) for _ in range(processes)]
    try:
        _hand_out(workers, needs)
    finally:
        for worker in workers:
            worker.stop()


def processes_on(device: Device) -> int:
    """Return how many processes share a device."""
    if resolve_device(device).type == "cpu":
        return torch.get_num_threads()
    return os.cpu_count() or 1


@dataclass
class _Worker:
    """A process that does one job after the other."""

    process: BaseProcess
    line: Connection
    job: Job | None = None

    @classmethod
    def start(cls, make: Callable[[], Any]) -> _Worker:
        # A forked child would inherit locks of threads that it does not have.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(make, theirs), daemon=True)
        # Libraries read these when they are loaded: before the child's first line is run.
        with patch_environment(**dict.fromkeys(_THREADS, "1")):
            process.start()
        theirs.close()
        return cls(process, ours)

    def begin(self, job: Job) -> None:
        """Give it a job."""
        self.job = job
        try:
            self.line.send(job)
        except OSError:
            self.end()

    def end(self) -> Job:
        """Return the job that it has done."""
        assert self.job is not None
        job, self.job = self.job, None
        named = " ".join(job)
        try:
            failure = self.line.recv()
        except (EOFError, OSError) as error:
            self.process.join()
            raise SfumatoError(
                f"the process that did the part {named!r} of the recipe ended with exit code "
                f"{self.process.exitcode}, often for want of memory; start the same command "
                "again: it goes on from the parts that are done"
            ) from error
        if failure is not None:
            summary, whole = failure
            print(whole, file=sys.stderr, flush=True)
            raise SfumatoError(
                f"the part {named!r} of the recipe failed: {summary}; when that is mended, the "
                "same command goes on from the parts that are done"
            )
        return job

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.line.close()
        self.process.terminate()
        self.process.join()


def _hand_out(workers: list[_Worker], needs: Mapping[Job, Iterable[Job]]) -> None:
    order = TopologicalSorter(needs)
    order.prepare()
    ready: list[Job] = []
    with progress_bar() as bar:
        task = bar.add_task("parts of the recipe", total=len(needs), note="")
        while order.is_active():
            ready += order.get_ready()
            for worker in [w for w in workers if w.job is None][: len(ready)]:
                worker.begin(ready.pop(0))
            busy = {worker.line: worker for worker in workers if worker.job is not None}
            for line in wait(list(busy)):
                job = busy[cast("Connection", line)].end()
                order.done(job)
                bar.update(task, advance=1, note=" ".join(job))


def _work(make: Callable[[], Any], line: Connection) -> None:
    """Do jobs until the process is ended, and answer each with None or what went wrong."""
    torch.set_num_threads(1)
    # Progress of several trainings at once would write over each other.
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
    made = None
    while True:
        try:
            name, *given = line.recv()
        except EOFError:
            return
        try:
            made = make() if made is None else made
            getattr(made, name)(*given)
        except Exception as error:
            summary = str(error) if isinstance(error, SfumatoError) else repr(error)
            line.send((summary, traceback.format_exc()))
        else:
            line.send(None)
