from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.data.sources import load
from sfumato.errors import ConfigError, DataError

_DATA = ["--data=characters:3", "--count=210", "--size=16", "--grey", "--private=identity"]
_RUN = [*_DATA, "--epochs=1", "--device=cpu", "--json"]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (["--prototypes=2", "--light=0.3"], "prototypes:2"),
        pytest.param(
            ["--prototypes=2", "--target=person-2"], "prototypes:2:person-2", marks=pytest.mark.slow
        ),
        pytest.param(["--method=paper", "--lam=0.5"], "anonymizer:0.5", marks=pytest.mark.slow),
        pytest.param(
            ["--method=paper", "--target=person-2", "--substitute"],
            "anonymizer:2:person-2+substitution",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_was_fitted_releases_a_collection_without_the_label(
    tmp_path: Path, method: list[str], name: str
) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    fitted = CliRunner().invoke(app, ["fit", "anonymizer", *_RUN, *method, f"-o{made}"])
    assert fitted.exit_code == 0, fitted.output
    found = json.loads(fitted.stdout.splitlines()[-1])
    assert (found["protector"], found["private"], found["images"]) == (name, "identity", 210)
    arguments = ["release", str(made), *_DATA[:2], f"-o{out}", "--keep=expression"]
    released = CliRunner().invoke(app, arguments)
    assert released.exit_code == 0, released.output
    read = load(f"folder:{out}")
    assert (len(read), set(read.labels)) == (210, {"expression"})
    kept = CliRunner().invoke(app, [*arguments[:3], f"-o{tmp_path / 'no'}", "--keep=identity"])
    assert isinstance(kept.exception, ConfigError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "out"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--private=writer"], DataError, "no label 'writer'"),
        (["--target=nobody"], DataError, "no value 'nobody'"),
        (["--substitute"], ConfigError, "`substitute` belongs to `method` paper"),
        (["--method=paper", "--substitute"], ConfigError, "needs `target`"),
        (["--prototypes=1"], ConfigError, "`prototypes` must be at least 2"),
        (["--k=1"], ConfigError, "`k` must be at least 2"),
        (["--k=106"], DataError, "at least 212 different pictures"),
        (["--values=4"], ConfigError, "at most the 3 private values"),
        (["--share=0"], ConfigError, "share"),
        (["--light=-1"], ConfigError, "`light` must be at least 0"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, arguments: list[str], error: type[Exception], message: str
) -> None:
    run = ["fit", "anonymizer", *_RUN, f"-o{tmp_path / 'out'}", *arguments]
    result = CliRunner().invoke(app, run)
    assert isinstance(result.exception, error), result.output
    assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []
