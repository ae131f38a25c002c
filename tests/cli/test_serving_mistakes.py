"""Mistakes in what a service or its client is told: one line, at once, without a secret in it."""

from __future__ import annotations

import socket
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.errors import (
    ConfigError,
    InputError,
    ServiceError,
    SfumatoError,
    StorageError,
)
from sfumato.serve.limits import Limits
from tests.cli.test_mistakes import entry, failing, run, said
from tests.serve.test_tls import made
from tests.serve.world import World

SECRET = "hunter2"
HOSTS = ("no.such.host.invalid", "", "..", "a" * 300, "\udcff", "http://127.0.0.1", "203.0.113.7")


@pytest.fixture
def here(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SFUMATO_TOKEN", raising=False)
    (tmp_path / "backbone").write_bytes(world.backbone_file.read_bytes())
    return tmp_path


def serving(*options: str | Path) -> list[str | Path]:
    return ["filter", "serve", "--backbone", "backbone", "--port", "0", *options]


@pytest.mark.parametrize("service", ["filter", "features"])
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_is_the_callers_mistake(here: Path, service: str, host: str) -> None:
    words = [service, "serve", "--backbone", "backbone"]
    message = str(run(*words, *(["--host=" + host] if host else ["--host="])).exception)
    assert message.startswith("`host`: expected an address of this machine")
    assert [path.name for path in here.iterdir()] == ["backbone"]


@pytest.mark.parametrize("service", ["filter", "features"])
@pytest.mark.parametrize("port", [-1, 65_536, 70_000, 10**30])
def test_a_port_out_of_range_is_never_another(here: Path, service: str, port: int) -> None:
    words = f"{service} serve --backbone backbone --port {port}"
    assert said(ConfigError, words) == f"`port` must lie in 0..65535, got {port}"


WRONG = {
    "hidden": ("0", "-1", "9" * 24),
    "quota": ("0", "-1", "9" * 24, "9" * 400),
    "flood": ("0", "9" * 24),
    "answer_minutes": ("-1", "nan", "inf", "1e9"),
    "uploads_per_minute": ("0", "9" * 24),
    "enrollments_per_minute": ("-1", "9" * 24),
    "requests_per_minute": ("0", "9" * 24),
    "workers": ("-1", "10000", "9" * 24),
    "concurrency": ("0", "9" * 24),
    "per_address": ("0", "9" * 24),
    "body_seconds": ("0", "nan", "inf", "1e9"),
    "shortlist": ("inf",),
}
FLAGS = {"uploads_per_minute", "enrollments_per_minute", "requests_per_minute"}


@pytest.mark.parametrize("field", WRONG)
def test_a_limit_out_of_range_is_named_with_what_came(here: Path, field: str) -> None:
    flag = "--" + (field.partition("_")[0] if field in FLAGS else field.replace("_", "-"))
    for value in WRONG[field]:
        message = said(ConfigError, *serving(flag, value))
        assert message.startswith(f"`{field}` must be at ") or "must be above" in message
        assert f"got {value}" in message or f"got {float(value):g}" in message
    assert [path.name for path in here.iterdir()] == ["backbone"]


def test_every_limit_is_tried() -> None:
    assert {one.name for one in fields(Limits)} == WRONG.keys() - {"shortlist"}


def test_options_that_would_do_nothing_are_refused(here: Path) -> None:
    assert "give `ray`, too" in said(ConfigError, *serving("--shards", "2"))
    assert "go together" in said(ConfigError, *serving("--tls-key", "x"))


def test_a_key_that_everybody_can_read_is_warned_of(here: Path) -> None:
    tls = made(here)
    tls.key.chmod(0o644)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = serving("--tls-certificate", tls.certificate, "--tls-key", tls.key)
        open_ = run(*words, "--port", str(port))
        tls.key.chmod(0o640)
        closed = run(*words, "--port", str(port))
    assert f"warning: every user of this machine can read {tls.key}" in open_.output
    assert "warning: every user" not in closed.output
    assert isinstance(open_.exception, ServiceError)
    assert isinstance(closed.exception, ServiceError)


DATABASES = (
    f"postgresql://ada:{SECRET}@127.0.0.1:1/x",
    f"postgresql://ada:{SECRET}@127.0.0.1:none/x",
    f"postgresql://127.0.0.1:1/x?password={SECRET}",
    f"postgresql://ada:a@b:{SECRET}@127.0.0.1:1/x",
    f"postgresql:ada:{SECRET}@127.0.0.1/x",
    f"postgres://ada:{SECRET}@127.0.0.1/x",
    f"mysql://ada:{SECRET}@127.0.0.1/x",
    f"sqlite://ada:{SECRET}@127.0.0.1/x",
    f"sqlite:///x.db?key={SECRET}",
    f"://ada:{SECRET}@127.0.0.1/x",
    f"//ada:{SECRET}@127.0.0.1/x",
)


@pytest.mark.parametrize("database", DATABASES)
def test_a_databases_password_is_never_shown(here: Path, database: str) -> None:
    for words in (serving(), ["filter", "moderate", "list"], ["filter", "bank", "list"]):
        result = run(*words, "--db", database)
        assert isinstance(result.exception, SfumatoError), result.exception
        assert SECRET not in result.output + str(result.exception)
    assert [path.name for path in here.iterdir()] == ["backbone"]


@pytest.mark.parametrize("database", ["a" * 300, "/dev/null", "x\0y", "backbone/below.db"])
def test_a_database_that_cannot_be_is_refused(here: Path, database: str) -> None:
    assert "`db`" in said(ConfigError, *serving("--db", database))


def test_a_folder_where_nothing_can_be_made_is_named(here: Path) -> None:
    assert "/proc/x.db" in said(StorageError, *serving("--db", "/proc/x.db"))


TOKENS = {
    "empty": b" \n",
    "binary": bytes(range(256)),
    "two lines": f"{SECRET}\nX-Other: 1".encode(),
    "no ASCII": f"{SECRET}\u20ac".encode(),
    "a zero": f"{SECRET}\0x".encode(),
    "endless": SECRET.encode() * 10_000,
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_is_none_is_not_sent_nor_shown(here: Path, name: str) -> None:
    token = here / "token"
    token.write_bytes(TOKENS[name])
    token.chmod(0o600)
    words = ["filter", "send", "backbone", "--service", "http://127.0.0.1:1", "--token-file"]
    result = run(*words, token)
    assert isinstance(result.exception, InputError), result.exception
    assert SECRET not in result.output + str(result.exception)
    token.chmod(0o644)
    token.write_text(SECRET)
    result = run(*words, token)
    assert f"warning: every user of this machine can read {token}" in result.output
    assert SECRET not in result.output + str(result.exception)


ADDRESSES = (
    f"https://ada:{SECRET}@127.0.0.1:1",
    f"https://127.0.0.1:1/?token={SECRET}",
    f"https://127.0.0.1:1/#{SECRET}",
    "127.0.0.1:8080",
    "file:///etc/passwd",
    "https://",
    "https://..",
    "https://[::1",
    "https://" + "a" * 300,
    "https://\udcff",
    "https://127.0.0.1:none",
    "https://127.0.0.1:-1",
    "https://127.0.0.1:99999",
    "https://127.0.0.1\r\nX: y",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_named_without_its_secrets(here: Path, address: str) -> None:
    token = here / "token"
    token.write_text("token")
    for words in (
        ["filter", "send", "backbone", "--service", address, "--token-file", str(token)],
        ["features", "fetch", address, "backbone", "-o", str(here / "out.features")],
    ):
        message = str(CliRunner().invoke(app, words).exception)
        assert message.startswith("`url`: expected a service's address alone"), message
        assert SECRET not in message
    assert not (here / "out.features").exists()


def test_a_name_that_is_too_long_is_one_line_everywhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = OSError(36, "File name too long", "a" * 300)
    monkeypatch.setattr(entry, "app", failing(fault))
    monkeypatch.setattr(sys, "argv", ["sfumato"])
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: cannot use {'a' * 300}: File name too long\n"
    monkeypatch.setattr(entry, "app", failing(OSError("no file's")))
    with pytest.raises(OSError, match="no file's"):
        entry.main()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_file_without_an_end_is_no_backbone(here: Path) -> None:
    message = said(SfumatoError, "filter serve --backbone /dev/zero --port 0")
    assert "/dev/zero: expected at most" in message
    pytest.importorskip("onnx")
    message = said(SfumatoError, "features serve --backbone onnx:/dev/zero --port 0")
    assert message == "cannot read the ONNX file /dev/zero: it is no file"


@pytest.mark.parametrize("seed", ["-1", "9" * 30])
def test_a_seed_is_one_that_every_library_takes(here: Path, seed: str) -> None:
    result = run(f"features serve --backbone raw:1x8x8 --port 0 --seed {seed}")
    assert result.exit_code == 2
    assert "--seed" in result.output
