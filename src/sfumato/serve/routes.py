"""The routes: each reads a request, calls the service in a worker thread, and shapes the answer."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from sfumato.errors import RequestError
from sfumato.serve.answers import (
    EnrollmentAnswer,
    PolicyAnswer,
    QuarantineAnswer,
    UploadAnswer,
    VerdictBody,
)
from sfumato.serve.auth import Caller, authenticate
from sfumato.serve.bodies import read_body
from sfumato.serve.service import FilterService

router = APIRouter()


def _body(description: str) -> dict[str, Any]:
    content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": text, "content": {"application/problem+json": {}}}
    for status, text in {
        401: "No account has this token.",
        413: "The body is too large.",
        422: "The body is not what it should be.",
    }.items()
}


def service(request: Request) -> FilterService:
    """Return the service of this app."""
    found: FilterService = request.app.state.service
    return found


Service = Annotated[FilterService, Depends(service)]


def caller(filters: Service, authorization: Annotated[str | None, Header()] = None) -> Caller:
    """Return the account that sent the request, or refuse it with 401."""
    return authenticate(filters.store.engine, authorization)


Who = Annotated[Caller, Depends(caller)]


def moderator(who: Who) -> Caller:
    """Return the account that sent the request, or refuse it with 403."""
    if not who.moderator:
        raise RequestError(403, "only a moderator may do this; ask for such an account")
    return who


Moderator = Annotated[Caller, Depends(moderator)]


@router.get("/v1/policy")
def policy(filters: Service) -> PolicyAnswer:
    """What a device must know before it enrols."""
    return PolicyAnswer(**filters.policy())


@router.get("/v1/backbone", response_class=Response)
def backbone(filters: Service, if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """The provider's public backbone file; its ETag is its fingerprint."""
    tag = f'"{filters.backbone.fingerprint}"'
    if if_none_match == tag:
        return Response(status_code=304, headers={"ETag": tag})
    headers = {"ETag": tag, "Cache-Control": "public, no-cache"}
    return Response(filters.backbone_file, media_type="application/octet-stream", headers=headers)


@router.post(
    "/v1/enrollments",
    status_code=201,
    responses=_PROBLEMS,
    openapi_extra=_body("An enrollment file, as `sfumato filter enroll` writes it."),
)
async def enroll(request: Request, who: Who, filters: Service) -> EnrollmentAnswer:
    """Check, screen and keep an enrollment. It is on disk before this answers."""
    content = await read_body(
        request,
        what="an enrollment",
        limit_bytes=filters.enrollment_limit_bytes,
        seconds=filters.settings.body_seconds,
    )
    entry = await run_in_threadpool(filters.enroll, who, content)
    return EnrollmentAnswer.model_validate(entry, from_attributes=True)


@router.get("/v1/enrollments", responses={401: _PROBLEMS[401]})
def enrollments(who: Who, filters: Service) -> list[EnrollmentAnswer]:
    """The caller's own enrollments."""
    entries = filters.store.entries(account_id=who.id)
    return [EnrollmentAnswer.model_validate(entry, from_attributes=True) for entry in entries]


@router.delete("/v1/enrollments/{enrollment_id}", status_code=204, responses=_PROBLEMS)
def erase(enrollment_id: str, who: Who, filters: Service) -> None:
    """Erase one of the caller's enrollments, for good: from memory and from disk."""
    filters.erase(who, enrollment_id)


@router.post(
    "/v1/uploads",
    responses=_PROBLEMS,
    openapi_extra=_body("An image file."),
)
async def upload(request: Request, who: Who, filters: Service) -> UploadAnswer:
    """Decide whether the caller may share an image. The image is not kept."""
    content = await read_body(
        request,
        what="an image",
        limit_bytes=filters.image_limits.max_bytes,
        seconds=filters.settings.body_seconds,
    )
    verdict = await run_in_threadpool(filters.decide, who, content)
    return UploadAnswer(id=verdict.id, decision=verdict.decision, reason=verdict.reason)


@router.get("/v1/quarantine", responses={401: _PROBLEMS[401]})
def quarantine(_: Moderator, filters: Service) -> list[QuarantineAnswer]:
    """The enrollments that wait for a moderator."""
    entries = filters.store.entries(status="quarantined")
    return [QuarantineAnswer.model_validate(entry, from_attributes=True) for entry in entries]


@router.post("/v1/quarantine/{enrollment_id}", status_code=204, responses=_PROBLEMS)
def moderate(enrollment_id: str, body: VerdictBody, _: Moderator, filters: Service) -> None:
    """Let a quarantined enrollment count, or erase it."""
    filters.moderate(enrollment_id, admit=body.verdict == "admit")


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> str:
    """Whether the process runs."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse)
def readyz(filters: Service) -> str:
    """Whether uploads can be decided and enrollments kept."""
    filters.check_ready()
    return "ok"


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(filters: Service) -> Response:
    """Counts and durations for Prometheus."""
    return Response(generate_latest(filters.metrics.registry), media_type=CONTENT_TYPE_LATEST)
