from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.errors import ConfigError, DataError
from sfumato.protect.pretrained import open_pretrained

_DATA = ("--data", "characters:8", "--count", "96", "--device", "cpu")


def test_what_is_fitted_is_released(tmp_path: Path) -> None:
    out = tmp_path / "made"
    settings = ("--size", "16", "--epochs", "1", "--ensemble", "2", "--channels", "3")
    arguments = ["fit", "san", *_DATA, *settings, "--private", "glasses", "-o", str(out), "--json"]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(done.stdout.splitlines()[-1])["images"] == 96
    made = open_pretrained(out)
    assert (made.shape, made.private) == ((3, 16, 16), ("glasses",))
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    released = tmp_path / "released"
    arguments = ["release", str(out), "--data", "characters:8", "--count", "6", "-o", str(released)]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert len(list(released.glob("*.png"))) == 6


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (("--private", "hair", "--size", "16"), DataError, "16 values"),
        (("--private", "glasses", "--size", "18"), ConfigError, "multiples of 4"),
        (("--private", "glasses", "--size", "16", "--bound", "2"), ConfigError, "bound"),
        (("--private", "glasses", "--size", "16", "--match-share", "0"), ConfigError, "share"),
        (("--private", "glasses", "--size", "16", "--learning-rate", "0"), ConfigError, "rate"),
    ],
)
def test_what_cannot_be_hidden_is_said_before_anything_trains(
    tmp_path: Path, settings: tuple[str, ...], error: type[Exception], message: str
) -> None:
    arguments = ["fit", "san", *_DATA, *settings, "-o", str(tmp_path / "made")]
    with pytest.raises(error, match=message):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert not list(tmp_path.iterdir())
