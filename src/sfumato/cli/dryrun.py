"""`--dry-run`: what a command would read, leave out, do and write; one way for all commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from sfumato.cli.options import finish
from sfumato.counted import counted

if TYPE_CHECKING:
    from jaxtyping import Int64
    from torch import Tensor

    from sfumato.data.imageset import ImageSet
    from sfumato.data.lazy import FolderImages, LoadedImages
    from sfumato.data.leftout import LeftOut

DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be read, left out, done and written, and how long it would take where "
        "that can be measured. Nothing is written, and mistakes are found as without it.",
    ),
]
_NAMED = 10  # files left out that the text names; the JSON has all


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a command would do; the JSON line has the same, and `facts`."""

    reads: str
    does: str
    writes: Sequence[Path]
    left_out: Sequence[LeftOut] = ()
    minutes: float | None = None
    """None where nothing was timed."""
    timed: str = ""
    """What the minutes are of, if not of all."""
    facts: Mapping[str, Any] = field(default_factory=dict)


def tell(plan: Plan, *, as_json: bool) -> NoReturn:
    """Print the plan and end the command."""
    document = {
        "dry_run": True,
        **plan.facts,
        "left_out": [list(one) for one in plan.left_out],
        "writes": [str(path) for path in plan.writes],
        "minutes": plan.minutes,
    }
    finish(document, _text(plan), as_json=as_json)
    raise typer.Exit


def _text(plan: Plan) -> str:
    shown = [f"  {one}" for one in plan.left_out[:_NAMED]]
    more = len(plan.left_out) - _NAMED
    lines = [
        f"would read {plan.reads}",
        *([f"would leave out {counted(len(plan.left_out), 'file')}"] if plan.left_out else []),
        *shown,
        *([f"  and {more:,} more"] if more > 0 else []),
        f"would {plan.does}",
        f"would write {', '.join(map(str, plan.writes))}",
    ]
    if plan.minutes is not None:
        of = f" for {plan.timed}" if plan.timed else ""
        lines.append(f"about {_long(plan.minutes)} on this machine{of}")
    return "\n".join(lines)


def _long(minutes: float) -> str:
    return counted(round(60 * minutes), "second") if minutes < 1 else f"{minutes:.1f} minutes"


def tell_training(
    train: Callable[[], object],
    out: Path,
    *,
    reads: str,
    facts: Mapping[str, Any],
    left_out: Sequence[LeftOut] = (),
    as_json: bool,
) -> NoReturn:
    """Tell what a training would do, by its first batches, which are thrown away."""
    from sfumato.fit import rehearsed

    stage = rehearsed(train)
    ahead = f", of which an interrupted run did {stage.done}" if stage.done else ""
    does = (
        f"train on {stage.rows:,} of them: first {stage.title!r}, {counted(stage.epochs, 'epoch')} "
        f"of {counted(stage.batches, 'batch', 'batches')}{ahead}"
    )
    first = {
        "title": stage.title,
        "rows": stage.rows,
        "epochs": stage.epochs,
        "done": stage.done,
        "batches": stage.batches,
    }
    plan = Plan(
        reads=reads,
        does=does,
        writes=(out,),
        left_out=left_out,
        minutes=stage.minutes,
        timed=f"the epochs of {stage.title!r} by the time of one batch; what follows is not timed",
        facts={**facts, "first_training": first},
    )
    tell(plan, as_json=as_json)


def read_set(images: ImageSet) -> tuple[str, dict[str, Any]]:
    """Return a set in words, and as facts: how many images of which size, and their labels."""
    channels, height, width = images.images.shape[1:]
    size = f"{width}x{height} pixels, {'grey' if channels == 1 else 'RGB'}"
    said, labels = _labels(images.classes, images.labels)
    facts = {"images": len(images), "shape": [channels, height, width], "labels": labels}
    return f"{counted(len(images), 'image')} of {size} in {images.name}; {said}", facts


def read_lazily(images: FolderImages | LoadedImages) -> tuple[str, dict[str, Any]]:
    """Return the same of a set whose pictures have sizes of their own."""
    labels = {name: images.label(name) for name in images.classes}
    said, told = _labels(images.classes, labels)
    return f"{counted(len(images), 'file')} of {images.name}; {said}", {"labels": told}


def _labels(
    classes: Mapping[str, Sequence[str]], labels: Mapping[str, Int64[Tensor, "n"]]
) -> tuple[str, dict[str, Any]]:
    told = {
        name: {"values": len(values), "missing": int((labels[name] < 0).sum())}
        for name, values in classes.items()
    }
    words = [
        f"{name} ({counted(one['values'], 'value')}"
        + (f", {one['missing']:,} without" if one["missing"] else "")
        + ")"
        for name, one in told.items()
    ]
    return f"labels: {', '.join(words) or 'none'}", told
