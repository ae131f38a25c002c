"""The trial as one page for an engineer: it opens from disk, has no script and asks no network."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch.nn.functional as F
from jaxtyping import UInt8
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.decoding.decode import decode_image, encode_png, png_url
from sfumato.errors import ImageError
from sfumato.filter.calibrate.report import promise, table, warnings
from sfumato.serve.records.decisions import Decision
from sfumato.serve.tryout.run import Tried, strangers

SHOWN: Final = 120
"""Pictures on the page, nearest first; the table of decisions has all."""
_SIDE = 112
_LEAST = 1e-4  # a share that strangers' pictures are too few to tell from smaller ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One upload as the page shows it."""

    file: str
    blocked: bool
    near: str
    picture: str
    """As a data URL; empty where it cannot be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What became of one subfolder of the uploads."""

    name: str
    judged: int
    blocked: int
    unreadable: int

    @property
    def share(self) -> float:
        """How many of the judged were blocked."""
        return self.blocked / self.judged if self.judged else 0.0


def draw(tried: Tried, *, command: str, seconds: float) -> str:
    """Return the page. It shows the uploads: whoever has it has them."""
    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("sfumato.serve.tryout"), PackageLoader("sfumato.audit.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
    )
    environment.filters["counted"] = counted
    nearest = sorted(tried.decisions, key=_order)
    return environment.get_template("tryout.html.j2").render(
        tried=tried,
        parts=parts(tried),
        cards=[_card(tried.folders.uploads, *one) for one in nearest[:SHOWN]],
        judged=len(tried.decisions),
        promise=promise(tried.calibration),
        table=table(tried.calibration),
        warnings=warnings(tried.calibration),
        command=command,
        seconds=seconds,
    )


def parts(tried: Tried) -> list[Part]:
    """Return what became of each subfolder of the uploads, those that were blocked most first."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for file, found in tried.judged:
        name = file.split("/")[0] if "/" in file else ""
        state = "unreadable" if isinstance(found, str) else found.verdict
        counts[name][state] += 1
    made = [
        Part(
            name=name,
            judged=states["share"] + states["block"],
            blocked=states["block"],
            unreadable=states["unreadable"],
        )
        for name, states in counts.items()
    ]
    return sorted(made, key=lambda part: (-part.share, part.name))


def _order(one: tuple[str, Decision]) -> tuple[bool, float, str]:
    file, found = one
    share = strangers(found)
    return not found.blocked, 1.0 if share is None else share, file


def _card(folder: Path, file: str, found: Decision) -> Card:
    share = strangers(found)
    near = "shows no face" if found.faceless else "a near copy"
    if share is not None:
        near = f"{_percent(share)} of strangers fit as well"
    return Card(file=file, blocked=found.blocked, near=near, picture=_thumbnail(folder / file))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share >= _LEAST else f"under {100 * _LEAST:g} %"


def _thumbnail(path: Path) -> str:
    try:
        picture: UInt8[Tensor, "c h w"] = decode_image(path.read_bytes())
    except (ImageError, OSError):  # of an animation, say, whose frames are judged one by one
        return ""
    factor = _SIDE / max(picture.shape[1:])
    if factor < 1:
        size = [max(1, round(factor * side)) for side in picture.shape[1:]]
        small = F.interpolate(picture[None].float(), size, mode="bilinear", antialias=True)
        picture = small[0].round().clamp(0, 255).byte()
    return png_url(encode_png(picture))
