from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.errors import ConfigError, DataError
from sfumato.protect.pretrained import open_pretrained


def _fit(*more: str) -> list[str]:
    return ["fit", "obfuscator", "--data=digits", "--count=120", "--scale=0.07", "--epochs=1",
            "--device=cpu", *more]  # fmt: skip


def test_an_obfuscator_is_fitted_and_can_be_opened(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    result = CliRunner().invoke(app, _fit("--utility=digit", f"-o{out}", "--json"))
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout.splitlines()[-1])
    assert record["map"] == [8, 2, 2]
    nats = record["nats"]
    assert 0 < nats["mean"] <= nats["p95"] <= nats["worst"] <= nats["most"] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["maps"], "no checkpoint is left behind"
    made = open_pretrained(out)
    assert made.name == "obfuscator:rate"
    assert made.shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--utility=writer"], DataError, "has no label 'writer'; it has: digit"),
        (["--utility=digit", "--size=28"], ConfigError, "at least 32x32"),
        (
            ["--utility=digit", "--cut=30"],
            ConfigError,
            "`cut` must be at least 1 and at most 17",
        ),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    result = CliRunner().invoke(app, _fit(*arguments, f"-o{tmp_path / 'maps'}"))
    assert isinstance(result.exception, error)
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []
