"""`--config FILE.toml`: a command's own options, by their names, from a file."""

from __future__ import annotations

import inspect
import shlex
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sfumato.errors import ConfigError


def _configured(context: Any, path: Path | None) -> Path | None:  # noqa: ANN401 - typer's own click
    """Make the file's values the defaults of this call: what is given as a flag goes before."""
    if path is None:
        return None
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read --config {path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"--config {path} is no TOML: {error}") from error
    known = {_flag(option): option for option in _options(context)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"--config {path}: {name!r} is none of {', '.join(sorted(known))}")
        if isinstance(value, list) != known[name].multiple or isinstance(value, dict):
            kind = "a list" if known[name].multiple else "one value"
            raise ConfigError(f"--config {path}: {name} takes {kind}, got {value!r}")
    context.default_map = {known[name].name: _at_home(value) for name, value in values.items()}
    return path


def _at_home(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Expand a path's `~`, as a shell does with what is typed."""
    from sfumato.files import at_home

    if isinstance(value, list):
        return [_at_home(entry) for entry in value]
    return str(at_home(value)) if isinstance(value, str) and value.startswith("~") else value


def _options(context: Any) -> list[Any]:  # noqa: ANN401
    unnamed = {"config", "help"}
    return [p for p in context.command.params if p.name not in unnamed]


def _flag(option: Any) -> str:  # noqa: ANN401 - typer has a click of its own
    name: str = max(option.opts, key=len)
    return name.lstrip("-")


def command_line(
    name: str, command: Callable[..., None], given: Mapping[str, Any], *, without: tuple[str, ...]
) -> str:
    """Return the command that gives these arguments, wherever they came from.

    Of a data folder it names no path: that is another one elsewhere.
    """
    words = ["sfumato", *name.split()]
    for option in inspect.signature(command).parameters.values():
        value = given[option.name]
        if option.name in without or value is None or value == option.default:
            continue
        for entry in value if isinstance(value, list) else [value]:
            words.append("--" + option.name.replace("_", "-"))
            if entry is not True:
                words.append("DATA" if option.name == "data_dir" else str(entry))
    return shlex.join(words)


Config = Annotated[
    Path | None,
    typer.Option(
        callback=_configured,
        is_eager=True,
        help="TOML file with these options by name (lists for repeated ones); flags go before it.",
    ),
]
