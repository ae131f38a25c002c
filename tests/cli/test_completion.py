"""Tab completes commands and options in the three shells, without a network or PyTorch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import PATIENCE

SHELLS = ("bash", "zsh", "fish")


def sfumato(*args: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'sfumato'; from sfumato.cli import main; "
         "main()", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=os.environ | {"HOME": str(home), "ZDOTDIR": str(home)} | environment,
    )  # fmt: skip


def script(shell: str, home: Path) -> subprocess.CompletedProcess[str]:
    return sfumato(home=home, _SFUMATO_COMPLETE=f"source_{shell}")


def completed(shell: str, line: str, home: Path) -> set[str]:
    """Return the words that a shell is offered after a line."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = sfumato(home=home, _SFUMATO_COMPLETE=f"complete_{shell}", **asked)
    assert not done.stderr, done.stderr
    if shell == "zsh":
        return set(re.findall(r'\("([\w-]+)":', done.stdout)) | set(
            re.findall(r'^"([\w-]+)":', done.stdout, re.M)
        )
    # fish's help of a word may go over several lines; a word begins one and ends at a tab.
    lines = done.stdout.splitlines()
    if shell == "fish":
        return {line.split("\t")[0] for line in lines if "\t" in line}
    return set(lines)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sfumato fi", {"filter", "fit"}),
        ("sfumato audit --pro", {"--protector"}),
        ("sfumato fit an", {"anonymizer"}),
    ],
)
def test_the_right_words_are_offered(
    shell: str, line: str, words: set[str], tmp_path: Path
) -> None:
    assert completed(shell, line, tmp_path) == words


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_asks_this_program(shell: str, tmp_path: Path) -> None:
    done = script(shell, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"_SFUMATO_COMPLETE=complete_{shell}" in done.stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.stdout, text=True, check=False)
        assert checked.returncode == 0


def test_installing_writes_into_the_home_folder_alone(tmp_path: Path) -> None:
    # Which shell is running, typer asks the process tree, of which a test knows nothing.
    done = sfumato(
        "--install-completion",
        "bash",
        home=tmp_path,
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert done.returncode == 0, done.stderr
    written = tmp_path / ".bash_completions" / "sfumato.sh"
    assert "complete_bash" in written.read_text()
    assert str(written) in (tmp_path / ".bashrc").read_text()


def test_bash_itself_completes_a_command(tmp_path: Path) -> None:
    """The script at work in a shell: what the function puts before the reader of the line."""
    program = tmp_path / "sfumato"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'sfumato'\n"
        "from sfumato.cli import main\nmain()\n"
    )
    program.chmod(0o755)
    code = f"""{script("bash", tmp_path).stdout}
COMP_WORDS=(sfumato re); COMP_CWORD=1
_sfumato_completion {program}
echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert set(done.stdout.split()) == {"release", "report"}, done.stderr
