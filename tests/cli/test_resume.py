from __future__ import annotations

from pathlib import Path

import pytest

from sfumato.cli.resume import resumable


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
