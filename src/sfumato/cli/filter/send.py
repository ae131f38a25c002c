"""`sfumato filter send`: an enrollment file from this device to a service."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sfumato.cli.options import AsJson, finish, warn_if_others_can_read
from sfumato.errors import InputError

if TYPE_CHECKING:
    import httpx

TOKEN: Final = "SFUMATO_TOKEN"  # noqa: S105 - a variable's name
_TOKEN_BYTES: Final = 1 << 16
IN_THE_CLEAR: Final = (
    "warning: {url} is no https: whoever is between here and there reads the token and what is sent"
)


def send(
    file: Annotated[Path, typer.Argument(help="What 'filter enroll' wrote.")],
    url: Annotated[str, typer.Option("--service", help="The service's address, as https://HOST.")],
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

    content = read_limited(file, limit_bytes=LIMIT_BYTES)
    token = _token(token_file)
    with FilterClient(url, token) as client:
        _warn_in_the_clear(client.http.base_url)
        answer = client.send_enrollment(content)
    text = f"{answer.id}  {answer.status}: {answer.reason}"
    finish(answer.model_dump(), text, as_json=as_json)


def _warn_in_the_clear(url: httpx.URL) -> None:
    if url.scheme == "http" and not _is_here(url.host):
        typer.echo(IN_THE_CLEAR.format(url=url), err=True)


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
        warn_if_others_can_read(file)
    if not token.strip():
        raise InputError(
            f"expected the account's token in ${TOKEN} or in `token_file`, got none; whoever runs "
            "the service has it"
        )
    return token.strip()
