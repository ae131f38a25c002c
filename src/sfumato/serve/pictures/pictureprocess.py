"""A process that decodes pictures and computes features, for a service that never does.

It loads its backbone, tries it once, and then gives away all that computing does not need
(`confine`). It ends with its pipe, or with who started it, so that nobody is left behind where a
service is killed.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Final, NoReturn

import torch

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import SfumatoError
from sfumato.features.backbone import Backbone
from sfumato.serve.pictures.confine import confine, end_with_parent, forget_secrets
from sfumato.serve.pictures.extract import Pictures
from sfumato.serve.pictures.lanes import NICE
from sfumato.serve.pictures.seenbytes import pack_answer, unpack_question
from sfumato.serve.pictures.warming import warm

READY: Final = b"ready"
"""Begins what a process says once it takes pictures; what it could not give away follows."""
FAILED: Final = b"error"
"""Begins what it says where it cannot; why not follows."""
REPORT_BYTES: Final = 4_000
"""Of either, at most."""
SMALL_SECONDS: Final = 30  # of the processor, for a picture that takes 50 ms
LARGE_SECONDS: Final = 600  # 400 frames of faces take two minutes
_NO_MEMORY: Final = 3  # exit code


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is for."""

    limits: ImageLimits
    gives_way: bool
    """Whether it has large pictures, and so a lower priority."""
    one: bool
    """Whether a file must be a still picture of one feature."""


def main(pipe: Connection, task: Task) -> NoReturn:
    """Receive a backbone's file, say `READY`, and answer questions until the pipe closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's, which ends this
    forget_secrets()
    with suppress(EOFError, OSError):
        _answer_all(pipe, task)
    os._exit(0)  # what would be put away at an end is closed already


def _answer_all(pipe: Connection, task: Task) -> None:
    try:
        pictures = _loaded(pipe.recv_bytes(), task)
        asked: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_receive, args=(pipe, asked), daemon=True).start()
        held_back = confine(pipe.fileno())
    except Exception as error:
        pipe.send_bytes(
            (FAILED + str(error or repr(error)).encode(errors="replace"))[:REPORT_BYTES]
        )
        if isinstance(error, SfumatoError):
            return
        raise  # its traceback goes to the service's log
    pipe.send_bytes(READY + held_back.encode())
    while True:
        pipe.send_bytes(answer(pictures, asked.get()))


def _loaded(file: bytes, task: Task) -> Pictures:
    torch.set_num_threads(1)
    if task.gives_way and hasattr(os, "nice"):
        os.nice(NICE)
    pictures = Pictures(Backbone.from_bytes(file), task.limits, one=task.one)
    warm(pictures)
    return pictures


def _receive(pipe: Connection, asked: SimpleQueue[bytes]) -> None:
    """Take questions as they come: who asks never waits for an answer that nobody takes yet."""
    while True:
        try:
            asked.put(pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # at once, also from within a decoder


def answer(pictures: Pictures, question: bytes) -> bytes:
    """Return the answer to one question; a fault of ours is one, too."""
    number, content, large, hashes = unpack_question(question)
    _limit_seconds(LARGE_SECONDS if large else SMALL_SECONDS)
    look = pictures.all if large else pictures.small
    try:
        return number + pack_answer(look(content, hashes=hashes))
    except SfumatoError as error:
        return number + pack_answer(error)
    except Exception as error:
        return failed(number, error)


def failed(number: bytes, error: Exception) -> bytes:
    """Return the answer where computing failed; without memory there is none, and no process."""
    if _is_of_memory(error):
        os._exit(_NO_MEMORY)  # what it holds is worth nothing, and another one begins anew
    return number + pack_answer(RuntimeError("".join(traceback.format_exception(error))))


def _is_of_memory(error: Exception) -> bool:
    # Torch has no kind of its own for memory of the processor.
    return isinstance(error, MemoryError) or "allocate memory" in str(error)


def _limit_seconds(more: int) -> None:
    """End this process where it computes for longer than so many seconds from now."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = math.ceil(used.ru_utime + used.ru_stime) + more
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))
