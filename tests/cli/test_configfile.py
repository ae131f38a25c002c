from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from sfumato.cli.configfile import Config


def test_a_file_from_a_windows_editor_is_read(tmp_path: Path) -> None:
    app = typer.Typer()

    @app.command()
    def show(seeds: int = 3, config: Config = None) -> None:
        typer.echo(f"{seeds} {config is not None}")

    file = tmp_path / "c.toml"
    file.write_bytes(b"\xef\xbb\xbfseeds = 4\r\n")
    assert CliRunner().invoke(app, ["--config", str(file)]).output == "4 True\n"


def test_a_path_at_home_is_expanded_as_a_shell_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    app = typer.Typer()

    @app.command()
    def show(
        out: Annotated[Path, typer.Option()],
        made: Annotated[list[str], typer.Option()],
        config: Config = None,
    ) -> None:
        typer.echo(f"{out} {' '.join(made)} {config is not None}")

    file = tmp_path / "c.toml"
    file.write_text('out = "~/report"\nmade = ["~/made", "blur:2", "a~b"]\n')
    result = CliRunner().invoke(app, ["--config", str(file)])
    assert result.output == f"{tmp_path}/report {tmp_path}/made blur:2 a~b True\n"
