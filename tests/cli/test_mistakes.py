"""Mistakes that people make with commands: one line says what to do, and nothing is half done."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from sfumato.cli.main import app
from sfumato.cli.options import file_to_write, folder_to_write
from sfumato.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    InputError,
    ServiceError,
    UnavailableError,
)
from sfumato.files import check_file, check_folder
from tests.waiting import PATIENCE, wait_until

SRC = Path(__file__).parents[2] / "src"
entry = sys.modules["sfumato.cli.main"]  # the package has a function of this name


def parts(*words: str | Path) -> list[str]:
    """Split what is typed, but for paths."""
    return [
        part for word in words for part in (word.split() if isinstance(word, str) else [str(word)])
    ]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, parts(*words))


def said(kind: type[Exception], *words: str | Path) -> str:
    """Run a command that fails in one line, and return what it says."""
    result = run(*words)
    assert isinstance(result.exception, kind), (result.exception, result.output)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def commands() -> Iterator[tuple[str, Any]]:
    def below(name: str, group: Any) -> Iterator[tuple[str, Any]]:
        for word, command in getattr(group, "commands", {}).items():
            yield f"{name} {word}".strip(), command
            yield from below(f"{name} {word}".strip(), command)

    yield from below("", typer.main.get_command(app))


def test_every_out_is_tried_before_the_work() -> None:
    found = [
        (name, option)
        for name, command in commands()
        for option in command.params
        if "--out" in option.opts
    ]
    assert len(found) >= 20
    for name, option in found:
        # Typer wraps what it calls: the function's own name is kept.
        assert option.callback is not None, f"{name} --out"
        assert option.callback.__name__ in (file_to_write.__name__, folder_to_write.__name__), name


TRAININGS = (
    "fit obfuscator --data digits --utility digit",
    "fit anonymizer --data digits --private digit",
    "fit san --data digits --private digit",
    "audit --data digits --private digit --protector none",
    "demo --only docl",
    "paper docl --recipe mnist --quick",
    "release blur:1 --data digits",
)
FILES = (
    "fit classifier --from-release maps --label digit",
    "classify labels --maps maps",
    "export protector",
    "features extract digits --backbone raw:1x8x8",
    "filter backbone --spec raw:1x8x8",
    "data show digits",
)


@pytest.mark.parametrize("words", TRAININGS + FILES)
def test_a_place_that_cannot_be_written_is_refused_first(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    taken = "file" if words in TRAININGS else "folder"
    for place in (taken, "file/below", "/proc/none/below"):
        assert str(tmp_path / place) in said(InputError, words, "--out", tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="a superuser may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"):
        check_file(tmp_path / "a")
    with pytest.raises(InputError, match="Permission denied"):
        check_folder(tmp_path / "a")


def test_trying_a_place_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    for path in (tmp_path / "there", tmp_path / "new", tmp_path / "a" / "b" / "new"):
        check_file(path)
    for path in (tmp_path, tmp_path / "new", tmp_path / "a" / "b"):
        check_folder(path)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "old"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_memory_that_ran_out_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(entry, "app", failing(error))
    monkeypatch.setattr(sys, "argv", ["sfumato"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: this takes more memory than there is; take fewer pictures")
    assert len(printed.splitlines()) == 1


def test_a_torchvision_for_another_torch_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = RuntimeError("operator torchvision::nms does not exist")
    monkeypatch.setattr(entry, "app", failing(error))
    monkeypatch.setattr(sys, "argv", ["sfumato"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == UnavailableError.exit_code
    assert capsys.readouterr().err == (
        "error: expected a torchvision that was built for this torch, got another one; "
        "install torch and torchvision again, both at once and from one place\n"
    )


def failing(error: Exception) -> typer.Typer:
    """A command line whose only command raises this."""
    made = typer.Typer(pretty_exceptions_enable=False)

    @made.command()
    def fails() -> None:
        raise error

    return made


def test_a_fault_of_ours_is_no_matter_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("quantile() input tensor must be non-empty")
    monkeypatch.setattr(entry, "app", failing(error))
    monkeypatch.setattr(sys, "argv", ["sfumato"])
    with pytest.raises(RuntimeError, match="quantile"):
        entry.main()


def test_a_folder_that_is_no_release_of_maps_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file"):
        words = ["fit", "classifier", "--from-release", place, "--label", "x", "-o", tmp_path / "c"]
        assert "expected a folder of maps that `sfumato release` wrote" in said(
            ArtifactError, *words
        )


def test_too_few_pictures_for_an_obfuscator_are_counted(tmp_path: Path) -> None:
    words = "fit obfuscator --data digits --utility digit --epochs 1 --count 9"
    assert "at least 10 images" in said(DataError, words, "-o", tmp_path / "o")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["docll", "docl/", ".", "..", "../papers/docl", "docl/recipes"])
def test_what_is_no_paper_is_named_with_those_there_are(slug: str) -> None:
    assert "there are: anonymizer, docl" in said(ConfigError, "paper", slug)


def test_a_label_to_hide_and_to_keep_is_named_as_such(tmp_path: Path) -> None:
    words = "audit --data digits --protector none --private digit --utility digit"
    message = said(ConfigError, words, "--out", tmp_path / "a")
    assert message.startswith("`private` and `utility` are both 'digit'")


def test_a_cluster_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        # It is held, and nobody listens: else somebody might by now.
        address = f"127.0.0.1:{held.getsockname()[1]}"
        words = "audit --data digits --count 60 --private digit --protector none --only"
        message = said(ServiceError, words, "--out", tmp_path / "a", "--ray", address)
    assert "expected a Ray cluster at `ray` 127.0.0.1" in message


def test_ids_that_nothing_has_are_the_users_mistake(tmp_path: Path) -> None:
    db = ("--db", tmp_path / "bank.db")
    assert run("filter", "user", "add", "ada", *db).exit_code == 0
    assert "moderate appeals" in said(InputError, "filter", "moderate", "confirm", "x", *db)
    words = ("filter", "rules", "enrollment", "x", "--disable-hours", "1", *db)
    assert "bank list" in said(InputError, *words)


def test_a_small_file_is_never_taken_for_a_new_database(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("x")
    for words in ("bank list", "user add ada", "moderate list", "db check", f"db restore {note}"):
        result = run("filter", words, "--db", note)
        assert "expected a bank's database" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    assert note.read_text() == "x"


def test_a_restore_of_nothing_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "long").write_bytes(b"no database" * 100)
    for name in ("empty", "long", "none"):
        result = run("filter", "db", "restore", tmp_path / name, "--db", tmp_path / "new.db")
        assert result.exit_code != 0
        assert str(tmp_path / name) in str(result.exception)
    assert not list(tmp_path.glob("new.db*"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_ctrl_c_leaves_nothing_half_written_and_keeps_what_was_learned(tmp_path: Path) -> None:
    # A checkpoint comes after 20 seconds, in which a fast machine does hundreds of epochs.
    words = "fit obfuscator --data digits --utility digit --count 20 --epochs 99999 --scale 0.05 -o"
    command = [sys.executable, "-m", "sfumato", *parts(words, tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"}

    def kept() -> list[Path]:
        return list(tmp_path.glob(".out-*.training"))

    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: bool(kept()) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, printed[-2000:]
    assert "Traceback" not in printed
    assert [*tmp_path.iterdir()] == kept()
