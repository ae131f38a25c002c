"""The commands' way to a bank: they open the database without a service.

Services may run on the same database; they apply a change within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL

from sfumato.data.decoding.decode import ImageLimits, decode_views
from sfumato.errors import BankError, EnrollmentError, InputError
from sfumato.features.backbone import Backbone
from sfumato.features.stored import Stored
from sfumato.files import read_limited
from sfumato.filter.enrollment import Enrollment, read_enrollment, signed_id
from sfumato.serve.bank.admission import Admission, check_terms
from sfumato.serve.bank.decide import Question, decide_each
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.memory import BankState
from sfumato.serve.bank.vetting import check_itself
from sfumato.serve.database.db import open_database
from sfumato.serve.database.url import database_url, is_sqlite, shown
from sfumato.serve.pictures.extract import see
from sfumato.serve.records.audit_log import COMMAND_LINE
from sfumato.serve.records.auth import Account, account_named, add_account, check_name, find_account
from sfumato.serve.records.decisions import STRANGER, Decision
from sfumato.serve.records.erasures import erase, finish
from sfumato.serve.records.store import Entry, Store, Terms

T = TypeVar("T")

_NO_LIMIT = 1 << 31

Judge = Callable[[Path], Decision]
"""Decides about an image file; raises an ImageError of one that is no picture, and an InputError
of one that cannot be read."""


@contextmanager
def opened(database: str, *, create: bool = False) -> Iterator[Store]:
    """Open a database for a `with` block; `create` makes one where there is none.

    Raises:
        ConfigError: `database` is neither a file's path nor a URL.
        BankError: there is no database, or it is damaged.
    """
    url = database_url(database)
    if not (create or _is_there(url)):
        raise BankError(
            f"no database at {url.database}; adding an account or an enrollment creates one"
        )
    store = Store(open_database(url))
    try:
        yield store
    finally:
        store.engine.dispose()


def add_files(
    database: str, files: list[Path], account: str, *, backbone: Stored | None = None
) -> list[Entry]:
    """Check, screen and store enrollment files of an account.

    All are checked before anything is stored. A new database or account is created. The public
    pictures of the `backbone`'s policy screen them too.

    Raises:
        EnrollmentError: a file is malformed, forged, does not fit the bank, or somebody else
            enrolled it.
        BankError: `backbone` is not the bank's.
        InputError: a file cannot be read, or no account may have this name.
    """
    check_name(account)
    contents, enrollments = zip(*map(read_enrollment, files), strict=True)
    terms = _terms(database) or _terms_of(enrollments[0])
    _check(files, enrollments, partial(check_terms, terms=terms))
    _check(files, enrollments, check_itself)
    check_backbone(terms, backbone)
    with opened(database, create=True) as store:
        _check(files, contents, partial(_check_whose, store, account))
        store.fix_terms(terms)
        owning = _account(store, account)
        admission = admission_of(store, terms, backbone)
        return [admission.enroll(owning, content) for content in contents]


def _is_there(url: URL) -> bool:
    return not is_sqlite(url) or Path(str(url.database)).is_file()


def _terms(database: str) -> Terms | None:
    if not _is_there(database_url(database)):
        return None
    with opened(database) as store:
        return store.terms()


def _terms_of(first: Enrollment) -> Terms:
    return Terms(backbone=first.backbone, dim=first.dim, hidden=first.hidden)


def _check(files: Sequence[Path], found: Sequence[T], check: Callable[[T], None]) -> None:
    """Check what was found in every file; what is refused is named by its file."""
    for file, one in zip(files, found, strict=True):
        try:
            check(one)
        except EnrollmentError as error:
            raise EnrollmentError(f"{file}: {error}") from error


def _check_whose(store: Store, account: str, content: bytes) -> None:
    known = store.entry(signed_id(content))
    if known is not None and known.account != account:
        raise EnrollmentError(
            f"expected an enrollment that is nobody else's, got one of {known.account!r}; name "
            "that account, or enroll again"
        )


def check_backbone(terms: Terms, backbone: Stored | None) -> None:
    """Raise a BankError where a backbone is not the one of a bank with these terms."""
    if backbone is not None and backbone.fingerprint != terms.backbone:
        raise BankError(
            f"expected `backbone` to be {terms.backbone[:12]}..., for which these enrollments were "
            f"made, got {backbone.fingerprint[:12]}...; give the file that they were made with"
        )


def remove(database: str, enrollment_id: str) -> tuple[Entry, bool]:
    """Erase an enrollment, given the first 8 or more digits of its id.

    Returns:
        What it was, and whether no byte of it is left. Where some are, because somebody reads the
        database as it was before, a service gets rid of them, or `filter db purge`.

    Raises:
        InputError: no enrollment, or more than one, has such an id.
    """
    with opened(database) as store:
        found = [e for e in store.entries() if e.id.startswith(enrollment_id)]
        if len(found) != 1 or len(enrollment_id) < 8:
            raise InputError(
                f"expected 8 or more digits of one enrollment's id, {enrollment_id!r} fits "
                f"{len(found)}; 'sfumato filter bank list' shows them"
            )
        erase(store, found[0].id, actor=COMMAND_LINE)
        return found[0], finish(store)


@contextmanager
def judging(
    database: str, backbone: Path, account: str | None, *, reach: float | None = None
) -> Iterator[Judge]:
    """Yield what decides whether an image file may be uploaded by an account, or by a stranger.

    With the `reach` of a service's shortlist it decides as that service does; without, the whole
    bank is asked.

    Raises:
        BankError: there is no bank, or it is for another backbone.
        InputError: no account has this name.
    """
    with opened(database) as store:
        opened_backbone = Backbone.load(backbone)
        found = store.terms()
        if found is None:
            raise BankError(f"{shown(database)} has no enrollment yet; add one first")
        terms = Terms(
            backbone=opened_backbone.fingerprint, dim=opened_backbone.dim, hidden=found.hidden
        )
        store.fix_terms(terms)
        account_id = STRANGER if account is None else account_named(store.engine, account).id
        state = BankState.load(store, terms, policy=opened_backbone.policy, reach=reach)

        def judge(image: Path) -> Decision:
            content = read_limited(image, limit_bytes=ImageLimits().max_bytes)
            asked = Question(
                seen=see(opened_backbone, decode_views(content), hashes=state.asks_hashes),
                account_id=account_id,
                account_name=account,
                now=store.clock.now(),
            )
            return decide_each(state, [asked])[0]

        yield judge


def admission_of(store: Store, terms: Terms, backbone: Stored | None) -> Admission:
    """Return what lets enrollments of this bank count, without the limits of a service.

    Raises:
        BankError: `backbone` is not the bank's.
    """
    check_backbone(terms, backbone)
    policy = backbone.policy if backbone is not None else None
    seen = store.last_change()  # before the bank: a change that it has already does no harm
    state = BankState.load(store, terms, policy=policy)
    return Admission(
        store=store,
        state=state,
        follower=Follower(store, state, seen=seen),
        quota=_NO_LIMIT,
        flood=_NO_LIMIT,
    )


def _account(store: Store, name: str) -> Account:
    found = find_account(store.engine, name)
    return found or add_account(store.engine, name, with_token=False)[0]
