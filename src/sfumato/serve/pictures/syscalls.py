"""What of Linux a process may still call once it only computes: a filter for `seccomp`.

It may compute, take and free memory, start threads, and read and write what it has open. It may
open no file and no socket, ask for none's name or size, start no process, and signal, trace or
limit no other (`fcntl` would do: F_SETOWN with F_SETSIG). Whatever is not named is refused, calls
of later kernels too.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html. The program is classic BPF, on
`struct seccomp_data`: the number of the call, the architecture, and the arguments.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Architecture:
    """Numbers of one processor's calls."""

    audit: int
    """How the kernel names it: AUDIT_ARCH_* of linux/audit.h."""
    allowed: tuple[int, ...]
    mmap: int
    clone: int
    tgkill: int
    prlimit: int
    refused: tuple[int, ...]
    """Calls that are answered "not permitted"; all others are "not there", on which C libraries
    try what is older."""
    seccomp: int


# fmt: off
X86_64: Final = Architecture(
    audit=0xC000003E,
    allowed=(
        0, 1, 17, 19, 20,            # read, write, pread64, readv, writev
        3, 8,                        # close, lseek
        7, 271, 23, 270,             # poll, ppoll, select, pselect6
        11, 10, 25, 28, 12,          # munmap, mprotect, mremap, madvise, brk
        237, 239,                    # mbind, get_mempolicy
        202, 449, 273, 334, 324, 218, 158,  # futex*, set_robust_list, rseq, membarrier, tid, arch
        60, 231, 13, 14, 15, 131, 219,  # exit*, rt_sig*, sigaltstack, restart_syscall
        24, 204, 309,                # sched_yield, sched_getaffinity, getcpu
        228, 229, 230, 35, 96, 201, 100,  # clock_*, nanosleep, gettimeofday, time, times
        39, 186, 110, 102, 107, 104, 108,  # get*id
        98, 99, 63, 318,             # getrusage, sysinfo, uname, getrandom
    ),
    mmap=9, clone=56, tgkill=234, prlimit=302,
    # open, creat, openat, openat2, socket, socketpair, connect, execve*, fork, vfork, kill, ptrace
    refused=(2, 85, 257, 437, 41, 53, 42, 59, 322, 57, 58, 62, 101),
    seccomp=317,
)
ARM64: Final = Architecture(
    audit=0xC00000B7,
    allowed=(
        63, 64, 67, 65, 66,          # read, write, pread64, readv, writev
        57, 62,                      # close, lseek
        73, 72,                      # ppoll, pselect6
        215, 226, 216, 233, 214,     # munmap, mprotect, mremap, madvise, brk
        235, 236,                    # mbind, get_mempolicy
        98, 449, 99, 293, 283, 96,   # futex*, set_robust_list, rseq, membarrier, tid
        93, 94, 134, 135, 139, 132, 128,  # exit*, rt_sig*, sigaltstack, restart_syscall
        124, 123, 168,               # sched_yield, sched_getaffinity, getcpu
        113, 114, 115, 101, 169, 153,  # clock_*, nanosleep, gettimeofday, times
        172, 178, 173, 174, 175, 176, 177,  # get*id
        165, 179, 160, 278,          # getrusage, sysinfo, uname, getrandom
    ),
    mmap=222, clone=220, tgkill=131, prlimit=261,
    # openat, openat2, socket, socketpair, connect, execve*, kill, ptrace
    refused=(56, 437, 198, 199, 203, 221, 281, 129, 117),
    seccomp=277,
)
# fmt: on
ARCHITECTURES: Final = {"x86_64": X86_64, "aarch64": ARM64}
"""By `platform.machine()`."""

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
REFUSE: Final = _ERRNO | errno.EPERM
ABSENT: Final = _ERRNO | errno.ENOSYS

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4  # places in seccomp_data
_OTHER_ABI: Final = 0x40000000  # x32's calls, which have numbers of their own
_CLONE_THREAD: Final = 0x00010000
_MAP_SHARED: Final = 1  # memory that no limit counts
_INSTRUCTION: Final = struct.Struct("=HBBI")

_Line = tuple[int, int, int, int]  # operation, lines to skip if it holds, if not, operand


def program(of: Architecture, pid: int) -> bytes:
    """Return the filter of a process, as BPF instructions."""
    lines: list[_Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, of.audit),
        _answer(KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _OTHER_ABI),
        _answer(KILL),
    ]
    for number in of.allowed:
        lines += [(_EQUAL, 0, 1, number), _answer(ALLOW)]
    lines += _if_called(of.mmap, 3, _ANY_BIT, _MAP_SHARED, REFUSE, ALLOW)
    lines += _if_called(of.clone, 0, _ANY_BIT, _CLONE_THREAD, ALLOW, REFUSE)
    lines += _if_called(of.tgkill, 0, _EQUAL, pid, ALLOW, REFUSE)  # what `abort` does
    lines += _if_called(of.prlimit, 0, _EQUAL, 0, ALLOW, REFUSE)  # of the process itself
    for number in of.refused:
        lines += [(_EQUAL, 0, 1, number), _answer(REFUSE)]
    lines.append(_answer(ABSENT))
    return b"".join(_INSTRUCTION.pack(*line) for line in lines)


def _answer(action: int) -> _Line:
    return (_RETURN, 0, 0, action)


def _if_called(
    number: int, argument: int, operation: int, operand: int, holds: int, else_: int
) -> list[_Line]:
    """Return lines that answer a call by the lower half of one of its arguments."""
    return [
        (_EQUAL, 0, 4, number),
        (_LOAD, 0, 0, 16 + 8 * argument),  # both processors store the lower half first
        (operation, 0, 1, operand),
        _answer(holds),
        _answer(else_),
    ]
