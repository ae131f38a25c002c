"""The feature service over loopback: only who asks can read, and hostile requests get an error."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import math
import os
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image
from torch import nn

from sfumato.cipher.header import Suite
from sfumato.cipher.request import Kem, RequestKey, seal_answer
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, EnvelopeError, RequestError, ServiceError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.preprocess import Preprocess
from sfumato.serve.clients.features import FeatureClient
from sfumato.serve.features import FeatureService, FeatureSettings, create_feature_app
from sfumato.serve.http.listening import listening
from sfumato.serve.pictures import pictureprocess
from tests.serve import poison
from tests.waiting import PATIENCE, wait_until

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(10**6))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def backbone() -> Backbone:
    return open_backbone("raw:1x8x8")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    settings = FeatureSettings(
        suite=Suite.AES_256_GCM_SHUFFLEBITS, image_limit_bytes=1 << 20, workers=1
    )
    service = FeatureService(backbone(), settings)
    service.looking.wait()
    app = create_feature_app(service)
    with listening("127.0.0.1", 0) as sock:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=PATIENCE)
    service.close()


def post(url: str, content: bytes, public: bytes | str | None) -> httpx.Response:
    if isinstance(public, bytes):
        public = base64.urlsafe_b64encode(public).decode()
    headers = {} if public is None else {"Sfumato-Public-Key": public}
    return httpx.post(f"{url}/v1/features", content=content, headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize("kem", Kem)
def test_client_and_server_agree_on_the_features(url: str, kem: Kem) -> None:
    with FeatureClient(url, kem=kem) as client:
        features = client.features(png(PIXELS))
    expected = backbone()(torch.from_numpy(PIXELS)[None, None])[0]
    assert torch.equal(features, expected)


def test_no_plaintext_leaves_and_nothing_is_kept(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    key = RequestKey.draw()
    with caplog.at_level(logging.DEBUG):
        answer = post(url, png(PIXELS), key.public)
    features = key.open(answer.content)
    plain = features.numpy().tobytes()
    assert all(plain[i : i + 16] not in answer.content for i in range(0, len(plain), 16))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["sfumato-backbone"] == backbone().fingerprint
    assert list(tmp_path.iterdir()) == []
    logged = caplog.text
    assert "tensor(" not in logged
    assert f"{float(features.max()):.4f}" not in logged
    with pytest.raises(EnvelopeError):
        RequestKey.draw().open(answer.content)
    assert post(url, png(PIXELS), key.public).content != answer.content


HOSTILE_KEYS = {
    "no key": (None, 400, "never answered in the clear"),
    "an empty key": (b"", 422, "expected a public key"),
    "no base64": ("*?", 422, "base64url"),
    "a short key": (b"\x01" * 20, 422, "expected a public key"),
    "low order": (b"\x01" + bytes(32), 422, "low order"),
    "low order inside the hybrid": (RequestKey.draw().public[:-32] + bytes(32), 422, "low order"),
}


@pytest.mark.parametrize("name", HOSTILE_KEYS)
def test_a_request_without_a_usable_key_is_refused(url: str, name: str) -> None:
    public, status, message = HOSTILE_KEYS[name]
    answer = post(url, png(PIXELS), public)
    assert answer.status_code == status
    assert message in answer.json()["detail"]


HOSTILE_IMAGES = {
    "no image": (b"", 400),
    "text": (b"hello", 422),
    "a truncated image": (png(PIXELS)[:60], 422),
    "an image bomb": (bomb(), 422),
    "too many bytes": (bytes((1 << 20) + 1), 413),
}


@pytest.mark.parametrize("name", HOSTILE_IMAGES)
def test_a_hostile_image_is_refused_and_the_service_lives_on(url: str, name: str) -> None:
    content, status = HOSTILE_IMAGES[name]
    with FeatureClient(url) as client:
        with pytest.raises(RequestError) as caught:
            client.features(content)
        assert caught.value.status == status
        assert len(str(caught.value)) > 20
        assert len(client.features(png(PIXELS))) == 64
    assert httpx.get(f"{url}/livez", timeout=PATIENCE).json() == {"status": "alive"}


def test_a_client_refuses_what_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def answering(content: bytes, status: int = 200) -> FeatureClient:
        client = FeatureClient("http://service")
        transport = httpx.MockTransport(lambda _: httpx.Response(status, content=content))
        client.http = httpx.Client(base_url="http://service", transport=transport)
        return client

    with pytest.raises(EnvelopeError):
        answering(b"features").features(b"image")
    with pytest.raises(RequestError, match="without a reason"):
        answering(b"<html>", 502).features(b"image")
    key = RequestKey.draw()
    monkeypatch.setattr("sfumato.serve.clients.features.RequestKey.draw", lambda _: key)
    for wrong in (torch.zeros(64), torch.zeros(2, 64), torch.zeros(1, 64, dtype=torch.int32)):
        with pytest.raises(ServiceError, match="float32 features of one picture"):
            answering(seal_answer(wrong, key.public)).features(b"image")
    with pytest.raises(ServiceError, match="is the service running"):
        FeatureClient("http://127.0.0.1:1").features(b"image")


def test_a_failure_inside_gives_nothing_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(features: torch.Tensor, *_: object, **__: object) -> bytes:
        raise RuntimeError(str(features.tolist()))

    monkeypatch.setattr("sfumato.serve.features.seal_answer", failing)
    service = FeatureService(backbone(), FeatureSettings(workers=0))
    with TestClient(create_feature_app(service), raise_server_exceptions=False) as client:
        key = base64.urlsafe_b64encode(RequestKey.draw().public).decode()
        headers = {"Sfumato-Public-Key": key}
        answer = client.post("/v1/features", content=png(PIXELS), headers=headers)
    service.close()
    assert answer.status_code == 500
    assert "0." not in answer.text


def animation() -> bytes:
    stream = io.BytesIO()
    frames = [Image.fromarray(PIXELS ^ number) for number in range(3)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


@pytest.mark.parametrize("workers", [0, 1])
def test_processes_answer_as_this_one_would(workers: int) -> None:
    service = FeatureService(backbone(), FeatureSettings(workers=workers))
    wide = np.tile(PIXELS, (256, 256))  # a large one
    for pixels in (PIXELS, wide):
        seen = service.ask(png(pixels)).result(PATIENCE)
        expected = backbone()(torch.from_numpy(pixels)[None, None])
        assert torch.equal(seen.features, expected)
    assert "a still picture" in str(service.ask(animation()).exception(PATIENCE))
    service.close()
    with pytest.raises(ServiceError, match="ends"):
        service.ask(png(PIXELS))


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_file_that_ends_every_process_is_refused_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictureprocess, "main", poison.main)
    service = FeatureService(backbone(), FeatureSettings(workers=1))
    client = TestClient(create_feature_app(service))
    key = RequestKey.draw()
    headers = {"Sfumato-Public-Key": base64.urlsafe_b64encode(key.public).decode()}
    for content, status in ((poison.MARK, 422), (png(PIXELS), 200), (poison.MARK, 422)):
        answer = client.post("/v1/features", content=content, headers=headers)
        assert answer.status_code == status
    assert "twice" in answer.json()["detail"]
    assert client.get("/readyz").status_code == 200
    service.looking.workers[0].end()  # type: ignore[attr-defined]  # they are processes
    assert client.get("/readyz").status_code == 503
    service.close()


def test_a_backbone_without_a_scaler_is_refused() -> None:
    preprocess = Preprocess(size=(8, 8), channels=1)
    unscaled = Backbone.wrap(nn.Flatten(), name="unscaled", preprocess=preprocess)
    with pytest.raises(ConfigError, match="no scaler"):
        FeatureService(unscaled)


def test_a_network_that_no_file_holds_is_for_this_process_alone(blobs: ImageSet) -> None:
    preprocess = Preprocess(size=(8, 8), channels=1)
    wrapped = Backbone.wrap(nn.Flatten(), name="mine", preprocess=preprocess).fit(blobs)
    with pytest.raises(ConfigError, match="`workers` must be 0"):
        FeatureService(wrapped)
    service = FeatureService(wrapped, FeatureSettings(workers=0))
    assert service.ask(png(PIXELS)).result(PATIENCE).features.shape == (1, 64)
    service.close()


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with (
            pytest.raises(ServiceError, match="choose another `port`"),
            listening("127.0.0.1", taken.getsockname()[1]),
        ):
            pass
    with pytest.raises(ConfigError, match="`host`"), listening("no such host", 80):
        pass


def test_answers_leave_at_once() -> None:
    """An answer's last part does not wait until what came before it is acknowledged: 40 ms."""

    async def accepted(sock: socket.socket) -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
            found.set_result(writer.get_extra_info("socket").getsockopt(*option))
            writer.close()

        async with await asyncio.start_server(connected, sock=sock):
            _, writer = await asyncio.open_connection(*sock.getsockname())
            writer.close()
            return await asyncio.wait_for(found, PATIENCE)

    with listening("127.0.0.1", 0) as sock:
        assert asyncio.run(accepted(sock))


@pytest.mark.parametrize(
    "setting",
    [
        {"image_limit_bytes": 0},
        {"image_limit_pixels": 0},
        {"workers": -1},
        {"workers": 10_000},
        {"body_seconds": 0.0},
        {"body_seconds": math.nan},
        {"body_seconds": math.inf},
    ],
)
def test_settings_are_checked(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"`{next(iter(setting))}` must be"):
        FeatureSettings(**setting)
