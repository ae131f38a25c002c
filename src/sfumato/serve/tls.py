"""The certificate that a service speaks HTTPS with, and what may be wrong with it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificates

from sfumato.errors import ConfigError, InputError
from sfumato.files import read_limited

_LIMIT_BYTES: Final = 1 << 20
_CERTIFICATE, _KEY = "CERTIFICATE", "PRIVATE KEY"
_OF_ANOTHER: Final = "KEY_VALUES_MISMATCH"


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its private key, both in PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise a ConfigError unless this is a certificate in force, and its own key."""
        chain = _read("tls_certificate", self.certificate, "a certificate", _CERTIFICATE)
        _read("tls_key", self.key, "a private key", _KEY)
        _check_dates(self.certificate, chain)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password=_nobody_to_ask)
        except ssl.SSLError as error:
            of_another = error.reason == _OF_ANOTHER
            wrong = "it is of another certificate" if of_another else f"it is damaged: {error}"
            raise ConfigError(
                f"`tls_key`: expected in {self.key} the key of {self.certificate}; {wrong}"
            ) from error


def _read(field: str, path: Path, what: str, label: str) -> bytes:
    try:
        content = read_limited(path, limit_bytes=_LIMIT_BYTES)
    except InputError as error:
        raise ConfigError(f"`{field}`: {error}") from error
    if f"{label}-----".encode() not in content:
        others = (_CERTIFICATE, "a certificate"), (_KEY, "a private key")
        got = next((name for other, name in others if f"{other}-----".encode() in content), "none")
        raise ConfigError(f"`{field}`: expected {what} in PEM in {path}, got {got}")
    return content


def _check_dates(path: Path, chain: bytes) -> None:
    """Refuse a certificate that no client accepts any more, or yet."""
    try:
        own = load_pem_x509_certificates(chain)[0]
        first, last = own.not_valid_before_utc, own.not_valid_after_utc
    except ValueError as error:
        raise ConfigError(f"`tls_certificate`: {path} is damaged: {error}") from error
    now = datetime.now(UTC)
    if not first <= now <= last:
        when = f"ended on {last:%Y-%m-%d}" if now > last else f"begins on {first:%Y-%m-%d}"
        raise ConfigError(
            f"`tls_certificate`: expected one in force, that in {path} {when}; renew it, or set "
            "this machine's clock"
        )


def _nobody_to_ask() -> str:
    # OpenSSL would ask on the terminal, and a service has none.
    raise ConfigError("`tls_key`: expected a key without a passphrase; keep it mode 0600")
