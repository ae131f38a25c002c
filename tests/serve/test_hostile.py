"""Hostile and broken requests: each gets one clear problem document, and changes nothing."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import pytest
import torch
from PIL import Image

from sfumato.filter.enrollment import open_enrollment
from tests.serve.conftest import Start, bearer
from tests.serve.world import HIDDEN, World, forged


def resigned(world: World) -> bytes:
    """Statistics changed after signing, under the old signature."""
    content = world.enrollments[0]
    mu = repr(open_enrollment(content).enrollment.mu).encode()
    assert content.count(mu) == 1
    return content.replace(mu, mu[:-1] + (b"1" if mu[-1:] != b"1" else b"2"))


def flipped(world: World) -> bytes:
    content = bytearray(world.enrollments[0])
    content[-5] ^= 1
    return bytes(content)


def lying(world: World, **changes: object) -> bytes:
    return forged(open_enrollment(world.enrollments[0]).enrollment, **changes)


ENROLLMENTS: dict[str, tuple[Callable[[World], bytes], int, str]] = {
    "empty": (lambda w: b"", 400, "got none"),
    "text": (lambda w: b"hello" * 100, 422, "safetensors"),
    "a picture": (lambda w: w.png(0, 0), 422, "safetensors"),
    "truncated": (lambda w: w.enrollments[0][:-100], 422, "safetensors"),
    "cut in its header": (lambda w: w.enrollments[0][:50], 422, "safetensors"),
    "longer": (lambda w: w.enrollments[0] + b"x", 422, "safetensors"),
    "one bit flipped": (flipped, 422, "signature"),
    "statistics changed": (resigned, 422, "signature"),
    "another backbone": (
        lambda w: w.other(backbone="0" * 64),
        422,
        "enroll again with the backbone",
    ),
    "other width": (lambda w: w.other(hidden=HIDDEN - 1), 422, "`hidden` 8"),
    "other dimension": (lambda w: w.other(dim=63), 422, "D = 64"),
    "too large": (lambda w: w.other(dim=8192), 413, "at most"),
    "sigma of 1e-60": (lambda w: lying(w, sigma=1e-60), 422, "mu and sigma"),
    "mu of 1e300": (lambda w: lying(w, mu=1e300), 422, "mu and sigma"),
    "sigma of 1e300": (lambda w: lying(w, sigma=1e300), 422, "mu and sigma"),
    "weights of 3e38": (lambda w: lying(w, decoder=torch.full((64, HIDDEN), 3e38)), 422, "beyond"),
}


@pytest.mark.parametrize("name", ENROLLMENTS)
def test_a_bad_enrollment_is_refused_and_nothing_is_stored(
    start: Start, world: World, name: str
) -> None:
    make, status, detail = ENROLLMENTS[name]
    client, service = start()
    ada = bearer(service, "ada")
    answer = client.post("/v1/enrollments", content=make(world), headers=ada)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert detail in problem["detail"]
    assert "\n" not in problem["detail"]
    assert service.store.entries() == []
    assert len(service.state) == 0


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"IDAT", zlib.compress(b"\0" * 4096)),
            chunk(b"IEND", b""),
        ]
    )


def animation(count: int) -> bytes:
    frames = [Image.new("L", (8, 8), i % 256) for i in range(count)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


IMAGES: dict[str, tuple[Callable[[World], bytes], int, str]] = {
    "empty": (lambda w: b"", 400, "got none"),
    "text": (lambda w: b"hello" * 100, 422, "picture"),
    "truncated": (lambda w: w.png(0, 0)[:40], 422, "picture"),
    "bomb": (lambda w: bomb(50_000, 50_000), 422, "pixels"),
    "larger bomb": (lambda w: bomb(2**31 - 1, 2**31 - 1), 422, ""),
    "short of pixels": (lambda w: bomb(4_000, 4_000), 422, "PNG"),
    "animation of 500 frames": (lambda w: animation(500), 422, "at most 400 frames"),
    "an enrollment": (lambda w: w.enrollments[0], 422, "picture"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_a_bad_image_is_refused(start: Start, world: World, name: str) -> None:
    make, status, detail = IMAGES[name]
    client, service = start()
    ada = bearer(service, "ada")
    answer = client.post("/v1/uploads", content=make(world), headers=ada)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]
    good = client.post("/v1/uploads", content=world.png(0, 0), headers=ada)
    assert good.json()["decision"] == "share"


def test_a_large_body_is_refused_before_it_is_read(start: Start) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    limit = service.image_limits.max_bytes
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 4 * limit:
            sent += 1 << 20
            yield bytes(1 << 20)

    announced = client.post(
        "/v1/uploads", content=b"x", headers=ada | {"Content-Length": str(limit + 1)}
    )
    assert announced.status_code == 413
    assert client.post("/v1/uploads", content=endless(), headers=ada).status_code == 413


def test_a_body_of_json_is_read_of_known_accounts_and_up_to_its_limit(start: Start) -> None:
    """Before: any number of bytes from anybody, into memory, before the token was looked at."""
    client, service = start()
    judge = bearer(service, "judge", role="moderator")
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b" " * 10_000

    routes = 0
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            routes += 1
            assert {"401", "408", "413"} <= operation["responses"].keys()
            for headers, status in ({}, 401), (judge, 413):
                sent = 0
                asked = {"headers": headers | {"Content-Type": "application/json"}}
                answer = client.request(method, path, content=endless(), **asked)
                assert (answer.status_code, sent > 0) == (status, status == 413), path
    assert routes >= 6


def test_a_form_is_refused_with_the_way_to_do_it(start: Start, world: World) -> None:
    client, service = start()
    ada = bearer(service, "ada")
    answer = client.post("/v1/uploads", files={"image": world.png(0, 0)}, headers=ada)
    assert answer.status_code == 415
    assert "as the body" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("PUT", "/v1/uploads", 405),
        ("GET", "/v1/enrollments/../../etc/passwd", 404),
        ("DELETE", "/v1/enrollments/" + "%00" * 40, 404),
    ],
)
def test_unknown_places_are_problems_too(start: Start, method: str, path: str, status: int) -> None:
    client, service = start()
    answer = client.request(method, path, headers=bearer(service, "ada"))
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_fault_of_ours_tells_the_client_nothing(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = start()
    ada = bearer(service, "ada")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(service.state, "decide_each", broken)
    answer = client.post("/v1/uploads", content=world.png(0, 0), headers=ada)
    assert answer.status_code == 500
    assert "secret" not in answer.text
