"""The routes of users and uploaders.

Each reads a request, calls the service in a worker thread, and returns the answer.
"""

from __future__ import annotations

import asyncio
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sfumato.serve.http.arrival import BoundedRoute, file_of
from sfumato.serve.http.conditional import unchanged
from sfumato.serve.http.deps import (
    Anybody,
    Appellant,
    Enroller,
    Id,
    Named,
    Service,
    Uploader,
    binary_body,
    problems,
)
from sfumato.serve.http.schemas import (
    AccountAnswer,
    AppealBody,
    PolicyAnswer,
)
from sfumato.serve.http.sessions import answer_of
from sfumato.serve.http.uploading import UploadRoute
from sfumato.serve.records import decisions, erasures
from sfumato.serve.records.auth import check_may_name
from sfumato.serve.wire import UPLOADS_PATH, EnrollmentAnswer, ErasureAnswer, UploadAnswer

router = APIRouter(route_class=BoundedRoute)


@router.get("/v1/account", responses=problems(401))
def own_account(account: Anybody) -> AccountAnswer:
    """The account of the request's token."""
    return answer_of(account)


@router.get("/v1/policy")
async def policy(filters: Service) -> PolicyAnswer:
    """What a device must know before it enrolls."""
    return PolicyAnswer(**filters.enrolling())


@router.get("/v1/backbone", response_class=Response)
def backbone(request: Request, filters: Service) -> Response:
    """The provider's public backbone file; its ETag is its fingerprint."""
    tag = f'"{filters.backbone.fingerprint}"'
    headers = {"ETag": tag, "Cache-Control": "public, no-cache"}
    if unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(filters.backbone_file, media_type="application/octet-stream", headers=headers)


@router.post(
    "/v1/enrollments",
    status_code=201,
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 507),
    openapi_extra=binary_body("An enrollment file, as `sfumato filter enroll` writes it."),
)
async def enroll(request: Request, account: Enroller, filters: Service) -> EnrollmentAnswer:
    """Check, screen and keep an enrollment. It is on disk before this answers.

    Whether it counts shows later; see its status.
    """
    content = await file_of(
        request, account, filters, what="an enrollment", limit=filters.enrollment_limit_bytes
    )
    entry = await filters.admissions.run(account.id, partial(filters.enroll, account, content))
    return filters.shown(entry)


@router.get("/v1/enrollments", responses=problems(401, 403))
def enrollments(account: Enroller, filters: Service) -> list[EnrollmentAnswer]:
    """The account's own enrollments."""
    return [filters.shown(entry) for entry in filters.store.entries(account_id=account.id)]


@router.delete(
    "/v1/enrollments/{enrollment_id}",
    status_code=204,
    responses=problems(401, 403, 404, 507)
    | {202: {"model": ErasureAnswer, "description": "Erased; its bytes will be gone soon."}},
)
async def erase(enrollment_id: Id, account: Enroller, filters: Service) -> Response:
    """Erase one of the account's enrollments, for good: from memory and from disk.

    It decides nothing any more when this answers. 202 says that the database's files still hold
    bytes of it, which the service gets rid of by itself; see `/v1/erasures`. Asking again is
    harmless.
    """
    left = await filters.changes.run(account.id, partial(filters.erase, account, enrollment_id))
    if left is None:
        return Response(status_code=204)
    return JSONResponse(_erasure(left).model_dump(), status_code=202)


@router.get("/v1/erasures", responses=problems(401, 403))
def erasures_of(account: Enroller, filters: Service) -> list[ErasureAnswer]:
    """The account's erasures, and when no byte was left of each; the last one first."""
    return [_erasure(one) for one in erasures.erasures(filters.store, account.id)]


uploads = APIRouter(route_class=UploadRoute)
"""In a router of its own, because only a router says what its routes are."""


@uploads.post(
    UPLOADS_PATH,
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 507),
    openapi_extra=binary_body("An image file."),
)
async def upload(
    request: Request,
    account: Uploader,
    filters: Service,
    person: Named = None,
) -> UploadAnswer:
    """Decide whether the account may share an image. The image is not kept."""
    content = await file_of(
        request, account, filters, what="an image", limit=filters.image_limits.max_bytes
    )
    return await asyncio.wrap_future(filters.ask(account, content, person))


@router.post(
    "/v1/decisions/{decision_id}/appeal",
    status_code=204,
    responses=problems(400, 401, 403, 404, 408, 409, 413, 422, 507),
)
async def appeal(
    decision_id: Id,
    body: AppealBody,
    account: Appellant,
    filters: Service,
    person: Named = None,
) -> None:
    """Ask a moderator to look again at an upload of the account that was blocked.

    The person for whom a platform's uploader sent it may, and the uploader for them.
    """
    if person is not None:
        check_may_name(account)
    change = partial(
        decisions.appeal,
        filters.changing,
        decision_id,
        account_id=account.id,
        actor=account.name,
        note=body.note,
        person=person,
    )
    await filters.changes.run(account.id, change)


@router.get("/livez", response_class=PlainTextResponse)
async def livez() -> str:
    """Whether the process runs."""
    return "ok"


@router.get("/readyz", response_class=PlainTextResponse, responses=problems())
def readyz(filters: Service) -> str:
    """Whether uploads can be decided and enrollments kept."""
    filters.check_ready()
    return "ok"


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(filters: Service) -> Response:
    """Counts and durations for Prometheus."""
    return Response(generate_latest(filters.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _erasure(found: erasures.Erasure) -> ErasureAnswer:
    return ErasureAnswer(id=found.id, requested=found.requested, done=found.done)
