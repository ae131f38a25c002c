"""The feature service: it answers an image with features sealed to the sender's public key.

Features in the clear live in one request's memory. They are not logged, cached or written, and
neither is the picture.
"""

from __future__ import annotations

import base64
import binascii
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Header, Request, Response
from jaxtyping import Float
from starlette.concurrency import run_in_threadpool
from torch import Tensor

from sfumato._version import __version__
from sfumato.cipher.header import Suite
from sfumato.cipher.request import check_public, seal_answer
from sfumato.data.decoding.decode import ImageLimits, decode_image, open_picture
from sfumato.errors import ConfigError, InputError, RequestError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import feature_of
from sfumato.serve.http.bodies import read_body
from sfumato.serve.http.docs import install_docs
from sfumato.serve.http.guarding import Guarding
from sfumato.serve.http.listening import listening, run_app, warn_in_the_clear
from sfumato.serve.http.problems import install_problems
from sfumato.serve.pictures.lanes import SMALL_BYTES, SMALL_PIXELS, large_lane, small_pool
from sfumato.serve.waiting.lane import Lane
from sfumato.serve.wire import BACKBONE_HEADER, FEATURES_PATH, PUBLIC_KEY_HEADER


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What one feature service runs with."""

    suite: Suite = Suite.AES_256_GCM
    """Cipher of the answers."""
    image_limit_bytes: int = 16 << 20
    """Largest image file that is read."""
    image_limit_pixels: int = 50_000_000
    """Most pixels that are decoded, whatever the file's size."""
    body_seconds: float = 30.0
    """Time in which a request's body must have arrived."""

    def __post_init__(self) -> None:
        if self.image_limit_bytes < 1 or self.image_limit_pixels < 1 or self.body_seconds <= 0:
            raise ConfigError("limits of images and of time must be positive")


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Where small pictures are looked at, and large ones."""

    small: Executor
    large: Lane


def create_feature_app(backbone: Backbone, settings: FeatureSettings | None = None) -> FastAPI:
    """Return the ASGI app that answers `POST /v1/features` with this backbone's features.

    Raises:
        ConfigError: the backbone's scaler was never fitted.
    """
    if backbone.scaler is None:
        raise ConfigError(
            f"backbone {backbone.name} has no scaler to [0, 1]; fit it on public images first"
        )
    settings = settings or FeatureSettings()
    app = FastAPI(
        title="Sfumato features",
        version=__version__,
        description="Features of a picture, sealed to the key of whoever asks.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guarding)
    install_docs(app)
    install_problems(app)
    lanes = _Lanes(small_pool(), large_lane())

    @app.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.post(FEATURES_PATH, response_class=Response)
    async def features(
        request: Request,
        sfumato_public_key: Annotated[
            str | None, Header(description="The request's public key, base64url.")
        ] = None,
    ) -> Response:
        """Answer the features of the picture in the body: float32 (1, D), sealed."""
        public = _public_key(sfumato_public_key)
        content = await read_body(
            request,
            what="an image",
            limit_bytes=settings.image_limit_bytes,
            seconds=settings.body_seconds,
        )
        answer = await run_in_threadpool(_answer, backbone, settings, content, public, lanes)
        headers = {BACKBONE_HEADER: backbone.fingerprint}
        return Response(answer, media_type="application/octet-stream", headers=headers)

    return app


def serve_features(backbone: Backbone, settings: FeatureSettings, *, host: str, port: int) -> None:
    """Serve until told to stop by SIGINT or SIGTERM; announce the address on stdout.

    Raises:
        ConfigError: the host is wrong, or the backbone's scaler was never fitted.
        ServiceError: the port is in use.
    """
    app = create_feature_app(backbone, settings)
    with listening(host, port) as sock:
        warn_in_the_clear(sock, None)
        host, port = sock.getsockname()[:2]
        words = f"serving {backbone.dim} features on http://{host}:{port}"
        run_app(app, sock, ready=partial(print, words, flush=True))


def _public_key(encoded: str | None) -> bytes:
    """Return the client's key, checked before its picture is looked at."""
    if encoded is None:
        raise RequestError(
            400,
            f"expected the request's public key in the header {PUBLIC_KEY_HEADER}: "
            "features are never answered in the clear",
        )
    try:
        public = base64.b64decode(encoded.encode(), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise InputError(f"expected base64url in the header {PUBLIC_KEY_HEADER}") from error
    check_public(public)
    return public


def _answer(
    backbone: Backbone,
    settings: FeatureSettings,
    content: bytes,
    public: bytes,
    lanes: _Lanes,
) -> bytes:
    limits = ImageLimits(
        max_bytes=settings.image_limit_bytes, max_pixels=settings.image_limit_pixels
    )

    def features() -> Float[Tensor, "1 d"]:
        return feature_of(backbone, decode_image(content, limits=limits))

    large = len(content) > SMALL_BYTES
    if large or open_picture(content, limits=limits).pixels > SMALL_PIXELS:
        found = lanes.large.submit(None, features).result()
    else:
        found = lanes.small.submit(features).result()
    return seal_answer(found, public, suite=settings.suite)
