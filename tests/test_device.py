"""One notion of a device: what is refused by name, what is not there, what every command takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from sfumato.cli.main import app
from sfumato.cli.options import parse_here, parse_somewhere
from sfumato.device import device_of, parse_device, precision_on, resolve_device
from sfumato.errors import ConfigError, UnavailableError


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda")
    )
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps", "xpu:1"])
def test_devices_have_names(text: str) -> None:
    assert parse_device(text) == text


@pytest.mark.parametrize(
    "text",
    ["banana", "", "CPU", "cpu:0", "cuda:", "cuda:01", "cuda:-1", "cuda:0\n", "auto "],
)
def test_anything_else_is_refused(text: str) -> None:
    for parse in (parse_device, resolve_device):
        with pytest.raises(ConfigError, match="expected a device: auto, cpu, cuda"):
            parse(text)


@pytest.mark.usefixtures("two_cards")
def test_what_is_there_is_given() -> None:
    names = ("auto", "cpu", "cuda", "cuda:0", "cuda:1")
    expected = ("cuda", "cpu", "cuda", "cuda:0", "cuda:1")
    assert [resolve_device(name) for name in names] == [torch.device(name) for name in expected]
    for name in ("cuda:2", "mps", "xpu"):
        with pytest.raises(UnavailableError, match=f"'{name}', this machine has 2 of cuda"):
            resolve_device(name)


@pytest.mark.usefixtures("no_card")
def test_what_is_not_there_is_unavailable() -> None:
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(UnavailableError, match="'cuda', this machine has none; take"):
        resolve_device("cuda")


def test_a_network_is_where_its_numbers_are() -> None:
    assert device_of(nn.Linear(1, 1).to("meta")) == torch.device("meta")
    assert device_of(nn.BatchNorm1d(1, affine=False).to("meta")) == torch.device("meta")
    assert device_of(nn.ReLU()) == torch.device("cpu")


def with_device() -> Iterator[tuple[str, object]]:
    """Every command that has the option, and what reads it."""

    def walk(command: object, path: str) -> Iterator[tuple[str, object]]:
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{path} {name}")
        for option in getattr(command, "params", ()):
            if "--device" in option.opts:
                yield path.strip(), option

    yield from walk(typer.main.get_command(app), "")


COMMANDS = dict(with_device())


def test_the_commands_with_a_device_are_known() -> None:
    assert {"audit", "features extract", "fit anonymizer", "fit classifier", "fit san"} < {
        *COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_every_device_is_read_in_one_way(command: str) -> None:
    option = COMMANDS[command]
    parse = parse_somewhere if command == "audit" else parse_here
    assert option.type_descriptor.parameter_info.parser is parse  # type: ignore[attr-defined]


RUNS = {
    "features extract": "digits --backbone raw:1x8x8 -o x.features",
    "audit": "--data digits --protector none --private digit --out report --only",
    "fit obfuscator": "--data digits --utility digit -o made",
    "fit classifier": "--from-release maps --label label -o made",
}


@pytest.mark.parametrize("command", RUNS)
@pytest.mark.usefixtures("no_card")
def test_a_device_that_is_none_or_not_here_ends_a_command(
    command: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    arguments = [*command.split(), *RUNS[command].split()]
    result = CliRunner().invoke(app, [*arguments, "--device", "banana"])
    assert (result.exit_code, "Invalid value for '--device'" in result.stderr) == (2, True)
    assert "expected a device: auto, cpu" in " ".join(result.stderr.replace("│", " ").split())
    result = CliRunner().invoke(app, [*arguments, "--device", "cuda"])
    assert isinstance(result.exception, UnavailableError)


@pytest.mark.parametrize(
    ("device", "capability", "found"),
    [
        ("cpu", "AVX512", "bf16"),
        ("cpu", "AVX2", "no"),
        ("cpu", "DEFAULT", "no"),
        ("cuda", "AVX2", "bf16"),
        ("mps", "DEFAULT", "bf16"),
    ],
)
def test_numbers_of_16_bits_are_taken_only_where_they_are_faster(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: str, found: str
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert precision_on(torch.device(device), "bf16") == found
    assert precision_on(torch.device(device), "no") == "no"
