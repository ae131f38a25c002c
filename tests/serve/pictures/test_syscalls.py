"""The filter of calls, run by hand: what is named passes, and everything else does not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.serve.pictures.syscalls import (
    ABSENT,
    ALLOW,
    ARCHITECTURES,
    KILL,
    REFUSE,
    Architecture,
    program,
)

PID = 4_711
MACHINES = st.sampled_from(sorted(ARCHITECTURES)).map(ARCHITECTURES.__getitem__)
WORDS = st.integers(0, 2**64 - 1)


def answer(of: Architecture, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the kernel would do: a machine for the few instructions that are used."""
    given = (*arguments, *(0 for _ in range(6 - len(arguments))))
    data = struct.pack("<IIQ6Q", number, of.audit if audit is None else audit, 0, *given)
    lines = list(struct.iter_unpack("<HBBI", program(of, PID)))
    held, at = 0, 0
    while True:
        operation, yes, no, operand = lines[at]
        at += 1
        if operation == 0x20:  # load a word
            (held,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x06:  # return
            return int(operand)
        else:
            holds = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}
            at += yes if holds[operation] else no


@given(MACHINES, st.integers(0, 600), st.tuples(*[WORDS] * 6))
def test_only_what_is_named_passes(
    of: Architecture, number: int, arguments: tuple[int, ...]
) -> None:
    found = answer(of, number, *arguments)
    if number in of.allowed:
        assert found == ALLOW
    elif number == of.mmap:
        assert found == (REFUSE if arguments[3] & 1 else ALLOW)
    elif number == of.clone:
        assert found == (ALLOW if arguments[0] & 0x10000 else REFUSE)
    elif number == of.tgkill:
        assert found == (ALLOW if arguments[0] % 2**32 == PID else REFUSE)
    elif number == of.prlimit:
        assert found == (REFUSE if arguments[0] % 2**32 else ALLOW)
    else:
        assert found == (REFUSE if number in of.refused else ABSENT)


@given(MACHINES, st.integers(0, 2**32 - 1))
def test_calls_of_another_kind_end_the_process(of: Architecture, number: int) -> None:
    assert answer(of, number, audit=of.audit ^ 1) == KILL
    assert answer(of, number | 0x40000000) == KILL


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_no_call_has_two_answers_and_a_filter_is_short(machine: str) -> None:
    of = ARCHITECTURES[machine]
    every = [*of.allowed, of.mmap, of.clone, of.tgkill, of.prlimit, *of.refused]
    assert len(set(every)) == len(every)
    assert len(program(of, PID)) // 8 < 4_096


def test_both_processors_may_do_the_same_number_of_things() -> None:
    """x86-64 has older calls beside the newer: poll, select, time, and one of its own."""
    x86, arm = ARCHITECTURES["x86_64"], ARCHITECTURES["aarch64"]
    assert len(x86.allowed) == len(arm.allowed) + 4
