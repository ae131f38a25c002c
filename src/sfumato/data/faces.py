"""Cut the one face out of each picture of a folder, so that all lie at one place and size.

Prototypes are means of aligned faces, and face matchers see nothing but the face. Pictures without
a face, with several, or with one that the edge cuts are left out by name and with the reason.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.decoding.decode import Box, encode_png
from sfumato.data.folder import Rows, decode_files, offered
from sfumato.data.leftout import FILE_COLUMN, as_text, table_of
from sfumato.data.metadata import METADATA
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from sfumato.extras import needs
from sfumato.files import swap_folder, write_bytes
from sfumato.outputs import refuse_inside, refuse_taken
from sfumato.progress import track

SKIPPED = "skipped.csv"
"""Lists what was left out, and why."""

Finder = Callable[[UInt8[Tensor, "three h w"]], Sequence[Box]]
"""Returns a box for every face of an RGB picture; a box may reach beyond the picture."""
Scorer = Callable[[UInt8[Tensor, "three h w"]], list[tuple[Box, float]]]
"""Returns each box with how sure the detector is: above 0."""

_AT_ONCE = 16  # pictures decoded at a time: they come at full size
_LONGEST = 800
# A detector keeps its picture while it looks, and dlib lets other threads run meanwhile.
_kept = threading.local()
_VISIBLE = 0.9  # share of a face that must lie inside its picture


@dataclass(frozen=True, slots=True, kw_only=True)
class FacesCut:
    """What was written, and why each file that was not is missing."""

    folder: Path
    count: int
    skipped: Mapping[str, str]

    def reasons(self) -> dict[str, int]:
        """Return how many files were left out for which reason."""
        reasons = sorted(self.skipped.values())
        return {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}


def frontal_faces() -> Finder:
    """Return what finds the boxes of small faces as well, as `scored_faces` does.

    Raises:
        UnavailableError: dlib is not installed.
    """
    look = scored_faces(small=True)
    return lambda picture: [box for box, _ in look(picture)]


def scored_faces(*, small: bool) -> Scorer:
    """Return dlib's detector of upright faces that look at the camera; many threads may call it.

    Pictures longer than 800 pixels are looked at in that size. There the least face has 80 pixels,
    or 40 with `small`, which enlarges a picture before it looks and takes four times as long.

    Raises:
        UnavailableError: dlib is not installed.
    """
    needs("faces", "finding faces", "dlib")
    import dlib

    def look(picture: UInt8[Tensor, "three h w"]) -> list[tuple[Box, float]]:
        if not hasattr(_kept, "detector"):
            _kept.detector = dlib.get_frontal_face_detector()
        scale = min(1.0, _LONGEST / max(picture.shape[1:]))
        shrunk = (
            picture
            if scale == 1
            else _resized(picture, [round(s * scale) for s in picture.shape[1:]])
        )
        pixels = shrunk.permute(1, 2, 0).contiguous().numpy()
        found, scores, _ = _kept.detector.run(pixels, int(small))
        edges = [(f.left(), f.top(), f.right() + 1, f.bottom() + 1) for f in found]
        boxes = [cast("Box", tuple(round(edge / scale) for edge in box)) for box in edges]
        return list(zip(boxes, scores, strict=True))

    return look


def cut_faces(
    source: Path,
    out: Path,
    *,
    size: int,
    margin: float = 0.0,
    largest: bool = False,
    find: Finder | None = None,
) -> FacesCut:
    """Write the face of every picture below `source` as a square PNG of `size` pixels.

    `margin` is added on every side, as a share of the face's; beyond the picture's edge its
    last pixels are repeated. Faces are not turned. Of several faces, `largest` takes the largest
    instead of leaving the picture out. Labels are carried over; `skipped.csv` lists what is
    missing.

    Raises:
        DataError: the folder cannot be read, or no picture in it shows one face.
        InputError: `out` exists already, or lies in `source`.
        UnavailableError: `find` is not given and dlib is not installed.
    """
    refuse_taken(out, "the faces")
    refuse_inside(out, source)
    find = find or frontal_faces()
    offer = offered(source)
    rows = offer.rows
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what an interrupted run left
    skipped = dict(offer.left_out)
    written: list[str] = []
    for file, found in _faces(source, sorted(rows), find, margin, size, largest=largest):
        if isinstance(found, str):
            skipped[file] = found
        else:
            target = part / _name(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(target, encode_png(found))
            written.append(file)
    cut = FacesCut(folder=out, count=len(written), skipped=dict(sorted(skipped.items())))
    if not written:
        raise DataError(f"no picture in {source} shows one face: {_counted(cut)}")
    _write_tables(part, rows, sorted(written), cut.skipped)
    swap_folder(part, out)
    return cut


def _faces(
    source: Path, order: list[str], find: Finder, margin: float, size: int, *, largest: bool
) -> Iterator[tuple[str, Tensor | str]]:
    """Yield every file with its face, or with why there is none."""
    batches = [order[i : i + _AT_ONCE] for i in range(0, len(order), _AT_ONCE)]
    for some in track(batches, "looking for faces"):
        pictures, refused = decode_files(source, some, SourceOptions(channels=3))
        yield from refused
        for file, picture in pictures.items():
            box = _the_face(find(picture), picture, largest=largest)
            yield file, box if isinstance(box, str) else _cut(picture, box, margin, size)


def _the_face(faces: Sequence[Box], picture: Tensor, *, largest: bool) -> Box | str:
    """Return the box of the one face, or why there is none."""
    if not faces:
        return "no face found"
    if len(faces) > 1 and not largest:
        return f"{len(faces)} faces found"
    left, top, right, bottom = face = max(faces, key=lambda box: box[2] - box[0])
    height, width = picture.shape[1:]
    seen = (min(right, width) - max(left, 0)) * (min(bottom, height) - max(top, 0))
    if seen < _VISIBLE * (right - left) * (bottom - top):
        return "the face is cut by the picture's edge"
    return face


def _cut(
    picture: UInt8[Tensor, "three h w"], face: Box, margin: float, size: int
) -> UInt8[Tensor, "three s s"]:
    left, top, right, bottom = face
    side = round(max(right - left, bottom - top) * (1 + 2 * margin))
    across, down = (left + right - side) // 2, (top + bottom - side) // 2
    height, width = picture.shape[1:]
    columns = torch.arange(across, across + side).clamp(0, width - 1)
    rows = torch.arange(down, down + side).clamp(0, height - 1)
    return _resized(picture[:, rows][:, :, columns], [size, size])


def _resized(picture: UInt8[Tensor, "three _ _"], size: list[int]) -> UInt8[Tensor, "three _ _"]:
    # In bytes: floats of a photograph would take hundreds of megabytes.
    resized = F.interpolate(
        picture[None], size, mode="bilinear", antialias=True, align_corners=False
    )
    return resized[0]


def _name(file: str) -> str:
    # With the old ending: a.jpg and a.png are two pictures. As text: the table names the file.
    return f"{as_text(file)}.png"


def _write_tables(
    part: Path,
    rows: Rows,
    written: Sequence[str],
    skipped: Mapping[str, str],
) -> None:
    labels = list(rows[written[0]])
    table = [[_name(file), *(rows[file][label] for label in labels)] for file in written]
    missing = [(FILE_COLUMN, "reason"), *skipped.items()]
    write_bytes(part / METADATA, table_of([[FILE_COLUMN, *labels], *table]))
    write_bytes(part / SKIPPED, table_of(missing))


def _counted(cut: FacesCut) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in cut.reasons().items()) or "no files"
