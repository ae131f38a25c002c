"""The commands' way to a bank: they open the database without a service.

Services may run on the same database; they apply a change within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sfumato.data.decoding.decode import ImageLimits, decode_views
from sfumato.errors import BankError, EnrollmentError, InputError
from sfumato.features.backbone import Backbone
from sfumato.features.policy import Policy
from sfumato.files import read_limited
from sfumato.filter.enrollment import Enrollment, read_enrollment
from sfumato.serve.bank.admission import Admission, check_terms
from sfumato.serve.bank.decide import Question, decide_each
from sfumato.serve.bank.extract import see
from sfumato.serve.bank.follow import Follower
from sfumato.serve.bank.memory import BankState
from sfumato.serve.bank.vetting import check_itself
from sfumato.serve.database.db import open_database
from sfumato.serve.database.url import database_url, is_sqlite
from sfumato.serve.records.audit_log import COMMAND_LINE
from sfumato.serve.records.auth import Account, account_named, add_account
from sfumato.serve.records.decisions import STRANGER, Decision
from sfumato.serve.records.erasures import erase, finish
from sfumato.serve.records.store import Entry, Store, Terms

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
    if not create and is_sqlite(url) and not Path(str(url.database)).is_file():
        raise BankError(
            f"no database at {url.database}; adding an account or an enrollment creates one"
        )
    store = Store(open_database(url))
    try:
        yield store
    finally:
        store.engine.dispose()


def add_files(
    database: str, files: list[Path], account: str, *, policy: Policy | None = None
) -> list[Entry]:
    """Check, screen and store enrollment files of an account.

    All are checked before the first is stored. A new database or account is created. `policy` is
    the backbone's, whose public pictures screen them too.

    Raises:
        EnrollmentError: a file is malformed, forged or does not fit the bank.
        InputError: a file cannot be read.
    """
    contents, enrollments = zip(*map(read_enrollment, files), strict=True)
    first = enrollments[0]
    own = Terms(backbone=first.backbone, dim=first.dim, hidden=first.hidden)
    _check(files, enrollments, check_itself)
    _check(files, enrollments, partial(check_terms, terms=own))
    with opened(database, create=True) as store:
        terms = store.terms()
        if terms is None:
            terms = own
            store.fix_terms(terms)
        _check(files, enrollments, partial(check_terms, terms=terms))
        owning = _account(store, account)
        admission = admission_of(store, terms, policy)
        return [admission.enroll(owning, content) for content in contents]


def _check(
    files: Sequence[Path], enrollments: Sequence[Enrollment], check: Callable[[Enrollment], None]
) -> None:
    """Check every file's enrollment; what is refused is named by its file."""
    for file, enrollment in zip(files, enrollments, strict=True):
        try:
            check(enrollment)
        except EnrollmentError as error:
            raise EnrollmentError(f"{file}: {error}") from error


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
            raise BankError(f"{database} has no enrollment yet; add one first")
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


def admission_of(store: Store, terms: Terms, policy: Policy | None) -> Admission:
    """Return what lets enrollments of this bank count, without the limits of a service."""
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
    try:
        return account_named(store.engine, name)
    except InputError:
        return add_account(store.engine, name, with_token=False)[0]
