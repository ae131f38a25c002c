"""The web application around one service."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from sfumato._version import __version__
from sfumato.serve.http import moderation, routes, sessions
from sfumato.serve.http.bodies import Arriving
from sfumato.serve.http.deps import known_query, problems
from sfumato.serve.http.docs import install_docs
from sfumato.serve.http.guarding import Guarding
from sfumato.serve.http.problems import install_problems
from sfumato.serve.service import FilterService
from sfumato.serve.web import pages


def create_app(service: FilterService) -> FastAPI:
    """Return the ASGI app that answers for `service`, which must have loaded its bank."""
    app = FastAPI(
        title="Sfumato upload filter",
        version=__version__,
        description="Blocks uploads of pictures that others enrolled, without holding pictures.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guarding)
    install_docs(app)
    app.state.service = service
    app.state.arriving = Arriving(max(1, service.settings.concurrency // 4))
    install_problems(app)
    # Every route may find a request malformed; the framework would name a document of its own.
    for router in (routes.uploads, routes.router, sessions.router, moderation.router):
        app.include_router(router, responses=problems(422), dependencies=[Depends(known_query)])
    app.include_router(pages.router)
    return app
