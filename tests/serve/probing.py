"""A process that decodes pictures and does what a file names, as one that was taken over would."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from sfumato.errors import ImageError
from sfumato.serve.pictures import confine, pictureprocess
from sfumato.serve.pictures.seenbytes import NUMBER_BYTES, pack_answer, unpack_question

MARK = b"do "
"""Begins a file whose rest is the name of an attempt."""
HELD: list[bytearray] = []


def _call(name: str, *arguments: object) -> object:
    library = ctypes.CDLL(None, use_errno=True)
    found = getattr(library, name)(*arguments)
    if found < 0:
        raise OSError(ctypes.get_errno(), name)
    return found


def _started() -> str:
    done = threading.Event()
    thread = threading.Thread(target=done.set)
    thread.start()
    thread.join()
    return str(done.is_set())


def _taken() -> None:
    while True:
        HELD.append(bytearray(64 << 20))


def _taken_by_torch() -> None:
    import torch

    HELD.append(torch.ones(64 << 30, dtype=torch.uint8))  # type: ignore[arg-type]


_PTRACE_ATTACH, _PR_SET_DUMPABLE = 16, 4
REFUSED: dict[str, Callable[[], object]] = {
    "read a file": lambda: Path("/etc/passwd").read_bytes(),
    "read its memory's map": lambda: Path("/proc/self/maps").read_bytes(),
    "list a folder": lambda: os.listdir("/"),
    "ask for a file's size": lambda: Path("/etc/passwd").stat(),
    "write a file": lambda: Path(tempfile.gettempdir(), "written").write_bytes(b"x"),
    "remove a file": lambda: Path("/nowhere/at/all").unlink(),
    "change folder": lambda: os.chdir("/"),
    "name what is open": lambda: os.readlink("/proc/self/fd/2"),
    "open a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "make a pair of sockets": socket.socketpair,
    "make a pipe": os.pipe,
    "double a descriptor": lambda: os.dup(0),
    "start a program": lambda: subprocess.run(["/bin/true"], check=True),
    "become a program": lambda: os.execv(sys.executable, [sys.executable, "-V"]),
    "fork": os.fork,
    "signal who started it": lambda: os.kill(os.getppid(), 0),
    "signal everybody": lambda: os.kill(-1, 0),
    "signal by a descriptor": lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
    "trace who started it": lambda: _call("ptrace", _PTRACE_ATTACH, os.getppid(), None, None),
    "limit who started it": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1)),
    "slow who started it": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    "pin who started it": lambda: os.sched_setaffinity(os.getppid(), {0}),
    "take memory that is not counted": lambda: mmap.mmap(-1, 1 << 20),
    "keep memory in a file": lambda: os.memfd_create("x"),
    "be readable again": lambda: _call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0),
    "lift its limit of files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
}
"""Whatever is beyond computing. All but the last are refused to root as well."""
OTHERS: dict[str, Callable[[], object]] = {
    "start a thread": _started,
    "name the environment": lambda: sorted(os.environ),
    "name the command line": lambda: sys.argv,
    "wait for ever": lambda: time.sleep(1e6),
    "take all memory": _taken,
    "take all memory by torch": _taken_by_torch,
}


def main(pipe: Connection, task: pictureprocess.Task) -> None:
    """Do as `pictureprocess.main` does, and what a file names."""
    answer = pictureprocess.answer

    def doing(pictures: object, question: bytes) -> bytes:
        number, content, _, _ = unpack_question(question)
        if not content.startswith(MARK):
            return answer(pictures, question)  # type: ignore[arg-type]
        name = content.removeprefix(MARK).decode()
        if name == "answer twice":
            pipe.send_bytes(number + pack_answer(ImageError("one")))
            return number + pack_answer(ImageError("two"))
        if name == "answer for another":
            return bytes(NUMBER_BYTES) + pack_answer(ImageError("of another"))
        if name == "answer by half":
            os.write(pipe.fileno(), b"\0\0\1\0half")
            time.sleep(1e6)
        try:
            return number + pack_answer(ImageError(f"did it: {(REFUSED | OTHERS)[name]()}"))
        except OSError as error:
            return number + pack_answer(ImageError(f"refused: {type(error).__name__}: {error}"))
        except MemoryError:
            HELD.clear()
            raise

    def guarded(pictures: object, question: bytes) -> bytes:
        try:
            return doing(pictures, question)
        except Exception as error:
            return pictureprocess.failed(question[:NUMBER_BYTES], error)

    confine.ROOM_BYTES = 512 << 20  # type: ignore[misc]
    pictureprocess.answer = guarded
    pictureprocess.main(pipe, task)


def stops_once(marker: Path, pipe: Connection, task: pictureprocess.Task) -> None:
    """Start, and stop before that is done where the marker is still there."""
    with suppress(FileNotFoundError):
        marker.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    pictureprocess.main(pipe, task)
