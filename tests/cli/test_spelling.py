"""The library names settings, and the command line its flags: none that does not exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sfumato.cli.main import app
from sfumato.cli.spelling import running, spelled
from sfumato.errors import ConfigError
from tests.waiting import PATIENCE

_SOURCE = Path(__file__).parents[2] / "src" / "sfumato"
_FLAG = re.compile(r"(?<![-\w])--[a-z][a-z-]*(?<!-)(?![-\w])")
_OTHERS = ("pip install", "ray start")  # commands of others, quoted whole
_ROOT: Any = typer.main.get_command(app)


def _strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _flags(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for sub in getattr(command, "commands", {}).values():
        yield from _flags(sub)


KNOWN = {*_flags(_ROOT), "--help"}
LIBRARY = sorted(p for p in _SOURCE.rglob("*.py") if p.relative_to(_SOURCE).parts[0] != "cli")
COMMANDS = sorted((_SOURCE / "cli").rglob("*.py"))


def test_the_library_names_no_flag() -> None:
    """Except in a whole command line, whose flags then exist."""
    for path in LIBRARY:
        for text in _strings(path):
            quoted = _FLAG.findall(text)
            if quoted and not any(command in text for command in _OTHERS):
                assert "`sfumato " in text, f"{path}: {text}"
                assert set(quoted) <= KNOWN, f"{path}: {text}"


def test_every_flag_that_a_command_quotes_exists() -> None:
    for path in COMMANDS:
        for text in _strings(path):
            assert set(_FLAG.findall(text)) <= KNOWN, f"{path}: {text}"


def test_both_are_looked_for_where_there_are_some() -> None:
    assert len(LIBRARY) > 100
    assert sum(len(_FLAG.findall(text)) for path in COMMANDS for text in _strings(path)) > 30


@pytest.mark.parametrize(
    ("words", "message", "expected"),
    [
        ("fit obfuscator --data digits", "`map_channels` is 0", "--map-channels is 0"),
        ("fit obfuscator", "`reconstructors`, not `width`", "--reconstructor, not `width`"),
        ("fit anonymizer", "`k` must be 2", "--k must be 2"),
        ("release made --data digits", "`protector` or `out`", "PROTECTOR or --out"),
        ("audit", "`fail_above` is 0.2", "--fail-above is 0.2"),
        ("", "`lam`", "`lam`"),
    ],
)
def test_a_message_is_spelled_for_the_command_that_runs(
    words: str, message: str, expected: str
) -> None:
    assert spelled(message, running(_ROOT, words.split())) == expected


def test_an_error_knows_the_settings_that_it_names() -> None:
    error = ConfigError("`hidden` and `quota` must be at least 1, got `1`")
    assert error.fields == ("hidden", "quota")


def test_who_runs_a_command_reads_its_flags() -> None:
    words = ["fit", "san", "--data", "digits", "--private", "x", "-o", "y", "--match-share", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "sfumato", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert done.stderr == "error: --match-share must be above 0 and at most 1, got 0\n"
