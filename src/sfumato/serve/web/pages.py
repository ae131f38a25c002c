"""The service's pages: templates, scripts and styles, all of them from this process.

The pages use the JSON routes only. Their policy forbids inline scripts and requests to other hosts.
The scripts are served as they are written, without a build step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from sfumato._version import __version__
from sfumato.errors import RequestError
from sfumato.features.backbone import Backbone
from sfumato.features.preprocess import Preprocess
from sfumato.filter.enroll import page_settings
from sfumato.filter.oneclass import OneClassConfig
from sfumato.serve.http.conditional import unchanged
from sfumato.serve.http.deps import Service

router = APIRouter(include_in_schema=False)

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
# The worker reads private pictures. A worker obeys the policy of its own script: this one may
# load its modules and can send nothing anywhere.
_WORKER: Final = "worker.js"
_WORKER_HEADERS: Final = _HEADERS | {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'"
}
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    tag: str


def _static() -> dict[str, _File]:
    found = {}
    for entry in files(__package__).joinpath("static").iterdir():
        content, ending = entry.read_bytes(), entry.name[entry.name.rfind(".") :]
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        found[entry.name] = _File(content, _TYPES[ending], tag)
    return found


_FILES: Final = _static()
_EXTRAS: Final = {"face": "faces", "onnx": "onnx"}
"""What a device needs beside the package itself, by the backbone's kind."""
_TEMPLATES: Final = Environment(
    loader=PackageLoader("sfumato.serve.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@router.get("/")
def upload(filters: Service) -> Response:
    """The page that decides a picture, and appeals."""
    return _page("upload", filters)


@router.get("/enroll")
def enroll(filters: Service) -> Response:
    """The page that enrolls; it trains in the browser where that can compute the features."""
    return _page("enroll", filters)


@router.get("/moderate")
def moderate(filters: Service) -> Response:
    """The moderators' page; what it shows comes from routes that ask for their token."""
    return _page("moderate", filters)


@router.get("/web/{name}")
def static(request: Request, name: str) -> Response:
    """A script or a style."""
    file = _FILES.get(name)
    if file is None:
        raise RequestError(404, f"there is no {name[:40]!r}")
    headers = (_WORKER_HEADERS if name == _WORKER else _HEADERS) | {"ETag": file.tag}
    if unchanged(request, file.tag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def runs_in_browser(backbone: Backbone) -> bool:
    """Return whether `static/backbone.js` computes this backbone's features."""
    settings = backbone.preprocess
    plain = Preprocess(size=settings.size, channels=settings.channels)
    known = backbone.kind in ("raw", "gradients") and backbone.scaler is not None
    return known and settings == plain


def _page(name: str, filters: Service) -> Response:
    config = OneClassConfig(hidden=filters.state.terms.hidden).suited(filters.backbone.kind)
    content = _TEMPLATES.get_template(f"{name}.html.j2").render(
        page=name,
        version=__version__,
        backbone=filters.backbone.name,
        in_browser=runs_in_browser(filters.backbone),
        extra=_EXTRAS.get(filters.backbone.kind),
        hidden=config.hidden,
        settings=json.dumps(page_settings(config)),
    )
    return Response(content, media_type="text/html", headers=_HEADERS)
