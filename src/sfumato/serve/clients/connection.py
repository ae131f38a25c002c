"""The connection that the clients of both services share; it turns refusals into errors."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TypeVar

import httpx

from sfumato.errors import ConfigError, RequestError, ServiceError
from sfumato.printable import without_secrets
from sfumato.serve.limits import LAST_PORT

# Not typing.Self, which the checks of the tests cannot read outside a decorated class.
Client = TypeVar("Client", bound="Connection")


class Connection:
    """One service at the other end of HTTP; a context that closes its connections.

    Raises:
        ConfigError: the URL is no address of a service.

    Raises, from every method that asks:
        RequestError: the service refused; `status` and the message are its own.
        ServiceError: the service cannot be reached.
    """

    def __init__(
        self, url: str, *, timeout_seconds: float, headers: Mapping[str, str] | None = None
    ) -> None:
        self.http = httpx.Client(base_url=_address(url), headers=headers, timeout=timeout_seconds)

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a request and return its answer.

        Raises:
            ServiceError: the service can't be reached.
            RequestError: it refused the request.
        """
        try:
            answer = self.http.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"cannot reach {self.http.base_url}: {error}; is the service running?"
            ) from error
        if answer.is_error:
            raise RequestError(answer.status_code, _detail(answer))
        return answer


def _address(url: str) -> httpx.URL:
    """Return a service's address, checked: no request would say what is wrong with it."""
    try:
        found = httpx.URL(url)
        host = found.raw_host.decode("ascii")
        host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _no_address(url) from error
    whole = found.scheme in ("http", "https") and host and 0 < (found.port or 1) <= LAST_PORT
    if not whole or found.userinfo or found.query or found.fragment:
        raise _no_address(url)
    return found


def _no_address(url: str) -> ConfigError:
    return ConfigError(
        f"`url`: expected a service's address alone, as https://HOST or https://HOST:PORT, got "
        f"{without_secrets(url)!r}"
    )


def _detail(answer: httpx.Response) -> str:
    try:
        found = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        found = None
    if isinstance(found, str):
        return found
    return f"HTTP {answer.status_code} without a reason; is this the service's address?"
