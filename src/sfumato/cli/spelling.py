"""Messages of the library name settings; a command writes the flags that it has for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sfumato.errors import FIELD


def running(root: Any, words: Sequence[str]) -> Any:  # noqa: ANN401 - typer has a click of its own
    """Return the command that these words of a command line run."""
    command = root
    for word in words:
        if not hasattr(command, "commands"):
            break
        command = command.commands.get(word, command)
    return command


def spelled(message: str, command: Any) -> str:  # noqa: ANN401
    """Return a message with the command's flags in place of the settings that it names."""
    flags = {parameter.name: _flag(parameter) for parameter in command.params}

    def flag(named: re.Match[str]) -> str:
        return flags.get(named[1], named[0])

    return FIELD.sub(flag, message)


def _flag(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    spellings: list[str] = parameter.opts
    return max(spellings, key=len)
