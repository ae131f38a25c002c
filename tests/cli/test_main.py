"""The root command ends as promised."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import PATIENCE


def sfumato(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sfumato", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def test_version_and_help() -> None:
    assert sfumato("--version").stdout.strip() == "0.1.0"
    assert "Usage" in sfumato("--help").stdout


def test_an_unknown_command_is_one_clear_line() -> None:
    result = sfumato("protekt")
    assert result.returncode == 2
    assert "No such command 'protekt'" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, sfumato.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
