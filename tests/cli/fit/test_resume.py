from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.cli.fit.resume import resumable


def test_the_same_command_finds_its_checkpoints_and_another_does_not(tmp_path: Path) -> None:
    out = tmp_path / "made"

    def killed() -> None:
        with resumable(out, [1.0, "x"]) as path:
            path.write_text("state")
            path.with_suffix(".training.rounds").write_text("more")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    with resumable(out, [2.0, "x"]) as other:
        assert not other.exists()
        other.mkdir()
    assert not other.exists()
    with resumable(out, [1.0, "x"]) as again:
        assert again.read_text() == "state"
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_are_told_by_content_and_not_by_how_it_prints(tmp_path: Path) -> None:
    def place(*made_of: object) -> Path:
        with resumable(tmp_path / "made", made_of) as path:
            return path

    long = torch.zeros(5000)
    other = long.clone()
    other[2500] = 1  # which no print of it shows
    assert repr(long) == repr(other)
    assert place(long) == place(long.clone()) != place(other)
