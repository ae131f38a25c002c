"""What a process that decodes pictures gives away before it sees the first one.

Then it has one pipe, the memory that a picture may take, and a processor; no file, no network, no
other process and no secret of the service. On Linux (x86-64 and arm64) a `seccomp` filter sees to
that. On macOS there are limits alone, and on Windows nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from sfumato.serve.pictures.syscalls import ARCHITECTURES, program

ROOM_BYTES: Final = 4 << 30
"""Memory that pictures may take beside what the process has when it starts: three times the most
that was measured, 1.4 GB for a WebP of 64 million pixels. Decoders of others take 0.5 to 0.9."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SECCOMP_FILTER, _EVERY_THREAD = 1, 1
_SIGKILL: Final = 9


def end_with_parent() -> None:
    """Have the kernel end this process with the one that started it, also while it is stopped."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def forget_secrets() -> None:
    """Empty the environment and the command line, which may name tokens and databases."""
    os.environ.clear()
    sys.argv[:] = [""]


def confine(pipe: int) -> str:
    """Give away everything that computing does not need; all threads of this process do.

    `pipe` is the descriptor that stays open.

    Returns:
        What the system has no means to take away, in words; empty where nothing is left.
    """
    if sys.platform == "win32":
        return "Windows: it may do what the service's user may"
    _close_all_but(pipe)
    if sys.platform != "linux":
        _limit()
        return f"{sys.platform}: it may read files and use the network as the service's user may"
    with suppress(OSError):  # the kernel ends this process before the one that has the bank
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    _limit()
    _prctl(_PR_SET_DUMPABLE, 0)  # no other process of this user reads its memory
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return filter_calls()


def _close_all_but(pipe: int) -> None:
    # Nothing that this process says reaches the service's log: what it took over could write there.
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, pipe)
    os.closerange(pipe + 1, _most_files())


def _most_files() -> int:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY), default=65_536)


def _limit() -> None:
    import resource

    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):  # a core would hold pictures
        resource.setrlimit(kind, (0, 0))
    if sys.platform != "linux":
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # counts no threads, as Linux would
        return
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    taken = next(int(line.split()[1]) for line in lines if line.startswith("VmData:"))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = (taken << 10) + ROOM_BYTES
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # beside those that are open


def filter_calls() -> str:
    """Install the filter of calls, on every thread; return why that is not possible."""
    machine = ARCHITECTURES.get(platform.machine())
    if machine is None or sys.maxsize < 2**32:
        return f"no list of calls for {platform.machine()}: it may do what the service's user may"
    lines = program(machine, os.getpid())
    size = 8  # of an instruction
    held = ctypes.create_string_buffer(lines, len(lines))
    found = _Program(len(lines) // size, ctypes.cast(held, ctypes.c_void_p))
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    failed = call(
        ctypes.c_long(machine.seccomp),
        ctypes.c_long(_SECCOMP_FILTER),
        ctypes.c_long(_EVERY_THREAD),
        ctypes.byref(found),
    )
    if failed:
        why = os.strerror(ctypes.get_errno()) if failed < 0 else "a thread has another filter"
        return f"the system has no filter of calls (seccomp: {why}): it may do what the user may"
    return ""


class _Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process; one that the system lacks stays as it is."""
    call = ctypes.CDLL(None, use_errno=True).prctl
    call(ctypes.c_int(option), *(ctypes.c_ulong(number) for number in (value, 0, 0, 0)))
