"""TLS by the service itself: a certificate and its key, checked before anything is loaded."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its private key, both in PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise a ConfigError where a file is missing or no PEM, or the key is another one's."""
        for field, path in (("tls_certificate", self.certificate), ("tls_key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"`{field}`: cannot read {path}: {error.strerror}") from error
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key, password=_nobody_to_ask)
        except ssl.SSLError as error:
            raise ConfigError(
                f"expected in {self.certificate} a certificate and in {self.key} its own key, "
                f"both in PEM: {error.reason or error}"
            ) from error


def _nobody_to_ask() -> str:
    # OpenSSL would ask on the terminal, and a service has none.
    raise ConfigError("`tls_key`: expected a key without a passphrase; keep it mode 0600")
