"""Signing a browser in: its pages keep the token in a cookie that no script can read."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sfumato.errors import RequestError
from sfumato.serve.http.deps import Anybody, Service, cookie_name, problems, session_header
from sfumato.serve.http.schemas import AccountAnswer, SessionAnswer
from sfumato.serve.records.auth import Account

router = APIRouter()


@router.get("/v1/session")
def session(request: Request, filters: Service) -> SessionAnswer:
    """Whom this browser is signed in as."""
    header = session_header(request)
    try:
        found = filters.tokens.account(header)
    except RequestError:
        return SessionAnswer(account=None)
    return SessionAnswer(account=answer_of(found))


@router.put("/v1/session", responses=problems(401))
def sign_in(request: Request, response: Response, account: Anybody) -> SessionAnswer:
    """Keep the request's token in a cookie, until the browser is closed or signs out."""
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    if token:
        response.set_cookie(
            cookie_name(request),
            token,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
    return SessionAnswer(account=answer_of(account))


@router.delete("/v1/session", status_code=204)
def sign_out(request: Request, response: Response) -> None:
    """Forget the token in this browser."""
    response.delete_cookie(
        cookie_name(request),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def answer_of(account: Account) -> AccountAnswer:
    """Return an account as its token's holder sees it."""
    return AccountAnswer(name=account.name, role=account.role, scopes=sorted(account.scopes))
