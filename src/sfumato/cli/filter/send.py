"""`sfumato filter send`: an enrollment file from this device to a service."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from sfumato.cli.options import AsJson, finish
from sfumato.errors import ConfigError, InputError

TOKEN: Final = "SFUMATO_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_BYTES: Final = 1 << 16
IN_THE_CLEAR: Final = (
    "warning: {url} is no https: whoever is between here and there reads the token and what is sent"
)


def send(
    file: Annotated[Path, typer.Argument(help="What 'filter enroll' wrote.")],
    service: Annotated[str, typer.Option(help="The service's address, as https://HOST.")],
    token_file: Annotated[
        Path | None,
        typer.Option(help=f"File that holds the account's token; by default ${TOKEN} is it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send an enrollment to a service; it is on the service's disk when this ends."""
    from sfumato.files import read_limited
    from sfumato.filter.enrollment import LIMIT_BYTES
    from sfumato.serve.clients.filter import FilterClient

    url = _address(service)
    content = read_limited(file, limit_bytes=LIMIT_BYTES)
    token = _token(token_file)
    with FilterClient(url, token) as client:
        answer = client.send_enrollment(content)
    text = f"{answer.id}  {answer.status}: {answer.reason}"
    finish(answer.model_dump(), text, as_json=as_json)


def _address(url: str) -> str:
    """Return a service's address, checked; warn where it is not safe to use."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"`service`: expected an address as https://HOST, got {url!r}")
    if parts.scheme == "http" and not _is_here(parts.hostname):
        typer.echo(IN_THE_CLEAR.format(url=url), err=True)
    return url


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(file: Path | None) -> str:
    from sfumato.files import read_limited

    # Never an argument: every user of the machine can list those.
    if file is None:
        token = os.environ.get(TOKEN, "")
    else:
        token = read_limited(file, limit_bytes=_TOKEN_BYTES).decode(errors="replace")
    if not token.strip():
        raise InputError(
            f"expected the account's token in ${TOKEN} or in `token_file`, got none; whoever runs "
            "the service has it"
        )
    return token.strip()
