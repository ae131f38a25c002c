"""The service speaks TLS itself, and says what is wrong with a certificate before it starts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from sfumato.cli import app
from sfumato.errors import ConfigError, ServiceError
from sfumato.serve.clients.filter import FilterClient
from sfumato.serve.settings import ServeSettings
from sfumato.serve.tls import Tls
from tests.serve.live import LiveServer
from tests.serve.world import World


def made(
    folder: Path,
    name: str = "own",
    encryption: KeySerializationEncryption | None = None,
    *,
    days: int = 0,
) -> Tls:
    """A certificate for 127.0.0.1 that its own key signed, in force from so many days on."""
    key = Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC) + timedelta(days=days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    tls = Tls(folder / f"{name}.pem", folder / f"{name}.key")
    tls.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    )
    return tls


class SecureServer(LiveServer):
    tls: Tls

    @property
    def settings(self) -> ServeSettings:
        return replace(super().settings, tls=self.tls)


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[SecureServer]:
    live = SecureServer(world, tmp_path, f"sqlite:///{tmp_path}/bank.db")
    live.tls = made(tmp_path)
    live.start()
    yield live
    live.kill()


def test_it_answers_over_tls_and_to_nobody_else(
    server: SecureServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.url.startswith("https://127.0.0.1:")
    token = server.token("ada")
    with (
        FilterClient(server.url, token) as client,
        pytest.raises(ServiceError, match=r"(?i)certificate"),
    ):
        client.enrollments()  # nobody vouches for this certificate
    with pytest.raises(httpx.HTTPError):
        httpx.get(server.url.replace("https", "http") + "/livez")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.tls.certificate))
    with FilterClient(server.url, token) as client:
        assert client.upload(world.png(0, 0)).decision == "share"
        assert client.send_enrollment(world.enrollments[1]).status == "active"


def test_old_versions_of_tls_are_refused(server: SecureServer) -> None:
    import socket

    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    port = int(server.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    own, other = made(tmp_path), made(tmp_path, "other")
    own.check()
    with pytest.raises(ConfigError, match=r"`tls_key`: .*it is of another certificate"):
        Tls(own.certificate, other.key).check()


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_missing_or_foreign_file_is_named(tmp_path: Path, which: str) -> None:
    own = made(tmp_path)
    with pytest.raises(ConfigError, match=f"`tls_{which}`: cannot read .*absent"):
        replace(own, **{which: tmp_path / "absent"}).check()
    for content, got in ((b"", "none"), (b"no PEM", "none"), (bytes(range(256)), "none")):
        (tmp_path / "foreign").write_bytes(content)
        with pytest.raises(ConfigError, match=f"`tls_{which}`: expected .* in PEM .*, got {got}"):
            replace(own, **{which: tmp_path / "foreign"}).check()


def test_files_that_are_swapped_or_cut_are_told_apart(tmp_path: Path) -> None:
    own = made(tmp_path)
    with pytest.raises(ConfigError, match=r"`tls_certificate`: .*got a private key"):
        Tls(own.key, own.certificate).check()
    with pytest.raises(ConfigError, match=r"`tls_key`: .*got a certificate"):
        Tls(own.certificate, own.certificate).check()
    both = tmp_path / "both.pem"
    both.write_bytes(own.certificate.read_bytes() + own.key.read_bytes())
    Tls(both, both).check()
    for field, path in (("certificate", own.certificate), ("key", own.key)):
        lines = path.read_text().splitlines(keepends=True)
        (tmp_path / "cut").write_text("".join([lines[0], *lines[2:]]))
        with pytest.raises(ConfigError, match=f"`tls_{field}`: .*cut.* damaged|damaged"):
            replace(own, **{field: tmp_path / "cut"}).check()


@pytest.mark.parametrize(("days", "said"), [(-2, "ended on"), (1, "begins on")])
def test_a_certificate_out_of_force_is_refused(tmp_path: Path, days: int, said: str) -> None:
    with pytest.raises(ConfigError, match=f"`tls_certificate`: expected one in force, .* {said}"):
        made(tmp_path, days=days).check()


def test_a_locked_key_is_refused_and_nobody_is_asked(tmp_path: Path) -> None:
    locked = made(tmp_path, encryption=BestAvailableEncryption(b"secret"))
    with pytest.raises(ConfigError, match="without a passphrase"):
        locked.check()


def test_one_of_the_two_alone_is_refused(world: World, tmp_path: Path) -> None:
    arguments = ["filter", "serve", "--backbone", str(world.backbone_file)]
    for half in (["--tls-key", "x"], ["--tls-certificate", "x"]):
        found = CliRunner().invoke(app, [*arguments, *half])
        assert isinstance(found.exception, ConfigError), found.output
        assert "go together" in str(found.exception)
