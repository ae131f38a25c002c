"""The feature service: it answers an image with features sealed to the sender's public key.

Features in the clear live in one request's memory, and in that of the process that computed them.
They are not logged, cached or written, and neither is the picture.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from sfumato._version import __version__
from sfumato.cipher.header import Suite
from sfumato.cipher.request import check_public, seal_answer
from sfumato.config import check_settings, setting
from sfumato.data.decoding.decode import ImageLimits
from sfumato.errors import ConfigError, InputError, RequestError
from sfumato.features.backbone import Backbone
from sfumato.serve.http.bodies import read_file
from sfumato.serve.http.docs import install_docs
from sfumato.serve.http.guarding import Guarding
from sfumato.serve.http.listening import (
    address_of,
    listening,
    run_app,
    warn_in_the_clear,
)
from sfumato.serve.http.problems import install_problems
from sfumato.serve.limits import check_workers
from sfumato.serve.pictures.asking import Asked, Asking
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.pictures.processes import open_looking
from sfumato.serve.wire import BACKBONE_HEADER, FEATURES_PATH, PUBLIC_KEY_HEADER

_log = logging.getLogger("sfumato.serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What one feature service runs with."""

    suite: Suite = Suite.AES_256_GCM
    """Cipher of the answers."""
    image_limit_bytes: int = setting(16 << 20, "Largest image file that is read.", least=1)
    image_limit_pixels: int = setting(
        50_000_000, "Most pixels that are decoded, whatever the file's size.", least=1
    )
    workers: int | None = setting(
        None,
        "Processes that decode pictures and compute their features; one a core by default, and 0 "
        "does it in the service's own. Fewer more take large ones.",
        least=0,
    )
    body_seconds: float = setting(
        30.0, "Seconds in which a request's body must have arrived.", above=0, most=3600
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_workers(self.workers)


class FeatureService:
    """A backbone, and who decodes pictures for it. Safe to use from many threads."""

    def __init__(self, backbone: Backbone, settings: FeatureSettings | None = None) -> None:
        """Start the processes that decode; `wait` returns when they take pictures.

        Raises:
            ConfigError: the backbone's scaler was never fitted, or its network is code that no
                process could load.
        """
        if backbone.scaler is None:
            raise ConfigError(
                f"backbone {backbone.name} has no scaler to [0, 1]; fit it on public images first"
            )
        self.backbone, self.settings = backbone, settings or FeatureSettings()
        self.looking = open_looking(
            backbone,
            backbone.with_policy(None).to_bytes(),
            ImageLimits(
                max_bytes=self.settings.image_limit_bytes,
                max_pixels=self.settings.image_limit_pixels,
            ),
            workers=self.settings.workers,
            one=True,
        )
        self._asking: Asking[Asked[Seen]] = Asking(
            self.looking, ready=lambda asked, seen: asked.answer.set_result(seen), noted=_note_end
        )

    def ask(self, content: bytes) -> Future[Seen]:
        """Have a picture looked at; what comes has one row of features.

        The answer is an `ImageError` where the bytes are no still picture, a too large one, or one
        that has no feature or several; a `RequestError` where too many large ones wait.
        """
        asked: Asked[Seen] = Asked(content)
        self._asking.put(asked)
        return asked.answer

    def close(self) -> None:
        """End the processes, within seconds."""
        self._asking.close()


def create_feature_app(service: FeatureService) -> FastAPI:
    """Return the ASGI app that answers `POST /v1/features` with features of the service."""
    settings = service.settings
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

    @app.get("/livez")
    def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        service.looking.check()
        return {"status": "ready"}

    @app.post(FEATURES_PATH, response_class=Response)
    async def features(
        request: Request,
        sfumato_public_key: Annotated[
            str | None, Header(description="The request's public key, base64url.")
        ] = None,
    ) -> Response:
        """Answer the features of the picture in the body: float32 (1, D), sealed."""
        public = _public_key(sfumato_public_key)
        content = await read_file(
            request,
            what="an image",
            limit_bytes=settings.image_limit_bytes,
            seconds=settings.body_seconds,
        )
        seen = await asyncio.wrap_future(service.ask(content))
        answer = await run_in_threadpool(seal_answer, seen.features, public, suite=settings.suite)
        headers = {BACKBONE_HEADER: service.backbone.fingerprint}
        return Response(answer, media_type="application/octet-stream", headers=headers)

    return app


def serve_features(backbone: Backbone, settings: FeatureSettings, *, host: str, port: int) -> None:
    """Serve until told to stop by SIGINT or SIGTERM; announce the address on stdout.

    Raises:
        ConfigError: the host is wrong, or as `FeatureService`.
        ServiceError: the port is in use, or no process that decodes pictures starts.
    """
    with listening(host, port) as sock:
        warn_in_the_clear(sock, None)
        service = FeatureService(backbone, settings)
        words = f"serving {backbone.dim} features on {address_of(sock, None)}"
        try:
            service.looking.wait()
            # Uvicorn raises it again after a graceful end; for a service it is the way to stop.
            with suppress(KeyboardInterrupt):
                run_app(create_feature_app(service), sock, ready=partial(print, words, flush=True))
        finally:
            service.close()


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


def _note_end(_: Asked[Seen]) -> None:
    _log.warning("a process ended at a picture")
