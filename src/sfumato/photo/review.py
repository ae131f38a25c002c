"""`review.html`: every box of every photograph, the least certain first, for a person.

The page shows originals. It opens from disk, asks no network for anything, and runs its own script
alone: a box is switched by a click, drawn by a drag, and saved as a new `boxes.csv`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.files import replacing
from sfumato.photo.boxes import Box
from sfumato.photo.original import LIMITS
from sfumato.photo.progress import Seen
from sfumato.progress import track

_LONGEST: Final = 720  # pixels of a photograph on the page
_SMALL: Final = ImageLimits(max_bytes=LIMITS.max_bytes, kept_pixels=2_000_000)
_SURE_OF_NOTHING: Final = 2.0  # behind every score


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A photograph on the page."""

    file: str
    url: str
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    doubt: float
    """How far the score of its least certain box lies from the threshold."""

    def places(self) -> list[dict[str, Any]]:
        """Return the boxes as the page's script takes them."""
        return [
            {
                "box": [box.face.left, box.face.top, box.face.right, box.face.bottom],
                "score": round(box.face.score, 3),
                "protect": box.protect,
            }
            for box in self.boxes
        ]


def write_review(path: Path, source: Path, seen: Sequence[Seen], sure: float) -> None:
    """Write the page, readable by its owner alone."""
    order = sorted(seen, key=lambda one: (doubt(one, sure), one.file))
    environment = Environment(
        loader=PackageLoader("sfumato.photo"), autoescape=True, undefined=StrictUndefined
    )
    script = environment.get_template("review.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    boxes = [box for one in seen for box in one.boxes]
    stream = environment.get_template("review.html.j2").stream(
        photos=_shown(source, order, sure),
        count=len(seen),
        protected=sum(box.protect for box in boxes),
        clear=sum(not box.protect for box in boxes),
        empty=sum(not one.boxes for one in seen),
        sure=sure,
        script=script,
        digest=digest,
    )
    with replacing(path, mode=0o600) as part, part.open("w", encoding="utf-8") as file:
        file.writelines(stream)  # a photograph at a time


def doubt(seen: Seen, sure: float) -> float:
    """Return how far the least certain box lies from the threshold; without any, far."""
    return min((abs(box.face.score - sure) for box in seen.boxes), default=_SURE_OF_NOTHING)


def _shown(source: Path, order: Sequence[Seen], sure: float) -> Iterator[Shown]:
    for seen in track(order, "writing the review"):
        yield Shown(
            file=seen.file,
            url=_thumbnail(source / seen.file),
            size=seen.size,
            boxes=seen.boxes,
            doubt=doubt(seen, sure),
        )


def _thumbnail(path: Path) -> str:
    pixels = decode_image(path.read_bytes(), limits=_SMALL, channels=3)
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((_LONGEST, _LONGEST))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
