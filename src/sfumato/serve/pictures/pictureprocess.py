"""A process that decodes pictures and computes features, for a service that never does.

It ends when its pipe closes, so that nobody is left behind where a service is killed. What a file
may take is limited where the system can: processor time, memory, and who goes first when the
machine has none left. It leaves no copy of its memory behind when it fails.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Final

import torch

from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import SfumatoError
from sfumato.features.backbone import Backbone
from sfumato.serve.pictures.extract import Pictures
from sfumato.serve.pictures.lanes import NICE
from sfumato.serve.pictures.seenbytes import pack_answer, unpack_question

READY: Final = b"ready"
_SMALL_SECONDS: Final = 60  # of the processor, for a picture that takes 50 ms
_LARGE_SECONDS: Final = 600  # 400 frames of faces take two minutes
_ROOM_BYTES: Final = 4 << 30  # that pictures may take; the limits of decoding keep them below 1
_log = logging.getLogger("sfumato.serve")


def main(pipe: Connection, limits: ImageLimits, gives_way: bool) -> None:
    """Receive a backbone's file, say `READY`, and answer questions until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's, which ends this
    torch.set_num_threads(1)
    if gives_way and hasattr(os, "nice"):
        os.nice(NICE)
    with suppress(EOFError, OSError):
        pictures = Pictures(Backbone.from_bytes(pipe.recv_bytes()), limits)
        _limit_memory()
        asked: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_receive, args=(pipe, asked), daemon=True).start()
        pipe.send_bytes(READY)
        while True:
            pipe.send_bytes(answer(pictures, asked.get()))


def _receive(pipe: Connection, asked: SimpleQueue[bytes]) -> None:
    """Take questions as they come: who asks never waits for an answer that nobody takes yet."""
    while True:
        try:
            asked.put(pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)  # at once, also from within a decoder


def answer(pictures: Pictures, question: bytes) -> bytes:
    """Return the answer to one question; a fault of ours is one, too."""
    content, large, hashes = unpack_question(question)
    _limit_seconds(_LARGE_SECONDS if large else _SMALL_SECONDS)
    look = pictures.all if large else pictures.small
    try:
        return pack_answer(look(content, hashes=hashes))
    except SfumatoError as error:
        return pack_answer(error)
    except Exception as error:
        _log.exception("a picture was not looked at")
        return pack_answer(error)


def _limit_seconds(more: int) -> None:
    """End this process where it computes for longer than so many seconds from now."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime) + more)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    _lower(resource.RLIMIT_CORE, 0)  # it would hold pictures
    if sys.platform != "linux":
        return
    with suppress(OSError):  # the kernel ends this process before the one that has the bank
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    taken = next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))
    _lower(resource.RLIMIT_DATA, (taken << 10) + _ROOM_BYTES)


def _lower(kind: int, limit: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
