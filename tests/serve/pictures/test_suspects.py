"""Files at which a process ended, and their senders, are remembered for a while."""

from __future__ import annotations

import pytest

from sfumato.serve.pictures import suspects
from sfumato.serve.pictures.suspects import SECONDS, Suspects


def test_a_file_and_its_sender_are_held_for_a_while() -> None:
    now = 100.0
    found = Suspects(lambda: now)
    assert not found.holds(b"file", "eve")
    found.add(b"file", "eve")
    assert found.holds(b"file", "ada")
    assert found.holds(b"another", "eve")
    assert not found.holds(b"another", "ada")
    assert not found.holds(b"another", None)  # a gateway that names nobody sends all's
    now += SECONDS - 1
    found.add(b"file", None)  # again: it is held from now on
    now += 2
    assert found.holds(b"file", None)
    assert not found.holds(b"another", "eve")


def test_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suspects, "MOST", 3)
    now = 0.0
    found = Suspects(lambda: now)
    for number in range(5):
        found.add(bytes([number]), None)
    assert [found.holds(bytes([number]), None) for number in range(5)] == [False] * 2 + [True] * 3
    now = SECONDS
    found.add(b"new", None)
    assert len(found) == 1
