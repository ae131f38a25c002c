"""`/docs`: what a service answers, as a page without scripts, from the service itself.

The framework's own page loads scripts of another host, which could read whatever this origin keeps.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_TEMPLATES: Final = Environment(
    loader=PackageLoader("sfumato.serve.http", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE: Final = _TEMPLATES.get_template("docs.css.j2").render()
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route as the page shows it."""

    method: str
    path: str
    words: str
    parameters: tuple[tuple[str, str, str], ...]
    """Name, where it is, and what it means."""
    body: str
    answers: tuple[tuple[str, str], ...]
    """Status, and what it means."""


def install_docs(app: FastAPI) -> None:
    """Add the page, and leave the framework's own out."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        document = app.openapi()
        page = _TEMPLATES.get_template("docs.html.j2").render(
            info=document["info"], operations=list(operations(document)), style=_STYLE
        )
        return Response(page, media_type="text/html", headers=_HEADERS)


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Yield the routes of an OpenAPI document in its order."""
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method not in methods:
                continue
            found = methods[method]
            yield Operation(
                method=method.upper(),
                path=path,
                words=found.get("description", found.get("summary", "")),
                parameters=tuple(
                    (p["name"], p["in"], p.get("description", ""))
                    for p in found.get("parameters", ())
                ),
                body=_body(found.get("requestBody", {}), schemas),
                answers=tuple(
                    (status, answer["description"]) for status, answer in found["responses"].items()
                ),
            )


def _body(body: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return what is sent, in words: a file, or the fields of a JSON object."""
    for kind, content in body.get("content", {}).items():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        fields = ", ".join(schemas.get(name, {}).get("properties", ()))
        return f"{kind}: {fields}" if fields else f"{kind}. {body.get('description', '')}"
    return ""
