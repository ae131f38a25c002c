"""`sfumato filter check`: decide about a picture, or about every picture of a folder."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.filter.options import (
    DATABASE,
    Beside,
    Database,
    Shortlist,
    backbone_beside,
    stored_of,
)
from sfumato.cli.imports import quick_imports
from sfumato.cli.options import AsJson, finish
from sfumato.errors import InputError
from sfumato.printable import printable

if TYPE_CHECKING:
    from sfumato.serve.local import Judge
    from sfumato.serve.records.decisions import Decision, Match


def check(
    image: Annotated[
        Path,
        typer.Argument(
            help="The picture or animation that somebody wants to upload, or a folder of them."
        ),
    ],
    db: Database = DATABASE,
    backbone: Beside = None,
    account: Annotated[
        str | None, typer.Option(help="Account that uploads it; a stranger by default.")
    ] = None,
    shortlist: Shortlist = None,
    fail_if_blocked: Annotated[
        bool, typer.Option("--fail-if-blocked", help="Exit with status 1 if any is blocked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Decide whether a picture may be shared, and say why. The answer is for the platform alone.

    Of an animation, or of several pages, every frame is judged, and any of them blocks it. The
    decision is the one that `filter serve` takes by the rules as they are now: where `filter rules
    set` leaves uploads unblocked, it is share, and the reason says what would block it. In a
    roll-out to a part of the uploaders, an upload without --account counts as one of that part. A
    service with a shortlist may miss a match: give its `--shortlist` for its decision.

    Of a folder, every file is judged, at any depth: a line each, of JSON with --json, and one at
    the end that counts. What is no usable picture is named and counted, and stops nothing.
    """
    with quick_imports():
        from sfumato.serve.local import judging

    file = backbone_beside(db, backbone)
    policy = stored_of(file).policy
    with judging(db, file, account, reach=shortlist) as judge:
        if os.path.isdir(image):  # of a name that is too long, the reader says so
            blocked = _check_folder(image, judge, calibrated=policy is not None, as_json=as_json)
        else:
            judged = judge(image)
            result = document(judged, calibrated=policy is not None)
            finish(result, told(judged, calibrated=policy is not None), as_json=as_json)
            blocked = int(judged.blocked)
    if blocked and fail_if_blocked:
        raise typer.Exit(1)


def document(judged: Decision, *, calibrated: bool) -> dict[str, Any]:
    """Return a decision as JSON values."""
    match = judged.match
    return {
        "decision": judged.verdict,
        "reason": judged.explanation,
        "would_block": judged.against is not None,
        "enforced": judged.enforced,
        # JSON has no infinity; null where nobody else has an enrollment that counts.
        "margin": match.margin if match.enrollment else None,
        # Null of a near copy, and without a policy.
        "strangers": _strangers(match) if calibrated and match.enrollment else None,
        "enrollment": match.enrollment,
        "frame": judged.frame,
    }


def told(judged: Decision, *, calibrated: bool) -> str:
    """Return a decision in words."""
    match = judged.match
    near = _near(match, judged.frame, calibrated=calibrated) if match.enrollment else ""
    return f"{judged.verdict}: {judged.explanation}{near}"


def _check_folder(folder: Path, judge: Judge, *, calibrated: bool, as_json: bool) -> int:
    """Print a line a file and one that counts; return how many are blocked."""
    from sfumato.serve.tryout.judged import judge_folder

    counts: Counter[str] = Counter(share=0, block=0, unreadable=0)
    for file, judged in judge_folder(folder, judge):
        if isinstance(judged, str):
            counts["unreadable"] += 1
            result: dict[str, Any] = {"file": file, "decision": None, "reason": judged}
            text = f"{printable(file)}: unreadable: {judged}"
        else:
            counts[judged.verdict] += 1
            result = {"file": file, **document(judged, calibrated=calibrated)}
            text = f"{printable(file)}: {told(judged, calibrated=calibrated)}"
        typer.echo(json.dumps(result) if as_json else text)
    if not counts.total():
        raise InputError(f"{folder} is empty; expected pictures that somebody wants to upload")
    total = {
        "files": counts.total(),
        "shared": counts["share"],
        "blocked": counts["block"],
        "unreadable": counts["unreadable"],
    }
    counted = ", ".join(f"{number:,} {name}" for name, number in total.items() if name != "files")
    finish(total, f"{counted} of {total['files']:,}", as_json=as_json)
    return counts["block"]


def _near(match: Match, frame: int | None, *, calibrated: bool) -> str:
    """Return how near the nearest enrollment is, in words."""
    share = _strangers(match) if calibrated else None
    if share is not None:
        how = f"{share:.2g} of strangers' pictures match as well"
    else:
        how = f"margin {match.margin:.3g} {'bits' if match.claim == 'copy' else 'sigma'}"
    which = "" if frame is None else f"frame {frame}, "
    return f" ({which}{how}; nearest enrollment: {match.enrollment})"


def _strangers(match: Match) -> float | None:
    """Return the share of strangers' pictures that the bank matches as well; None of a copy."""
    return None if match.score is None else min(1.0, 10**match.score)
