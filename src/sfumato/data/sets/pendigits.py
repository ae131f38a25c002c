"""`pendigits`: pen recordings of digits with their writers (UCI), drawn at any size.

The files are UNIPEN text, as published in Unix `compress` format (.Z) or unpacked. Each digit is
`.SEGMENT DIGIT`, `.COMMENT <digit> <writer> <number>`, then strokes of points, y upwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sfumato.data.assemble import conform, pick
from sfumato.data.cache import cached_images, content_key
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from sfumato.extras import needs
from sfumato.files import read_limited

_FILES = {"train": "pendigits-orig.tra", "test": "pendigits-orig.tes"}
_WRITERS = {"train": 30, "test": 14}
_SIDE = 20
_MAX_BYTES = 2**23  # of a packed file; the larger published one has 1 MB
_OVER = 8  # drawn so many times larger in each direction, then averaged
_PEN = 0.09  # width of the pen as a share of the side: about 2 pixels of 20
_DRAWING = 1  # raise it when pictures change, so that no cache keeps the old ones

Stroke = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """One digit as it was written: strokes of (x, y) points, y upwards."""

    digit: int
    writer: int
    strokes: tuple[Stroke, ...]


def load_pendigits(options: SourceOptions) -> ImageSet:
    """Return the digits as light strokes on black, 20x20, with labels `digit` and `writer`.

    The writers of the test file are other people than those of the training file, although both
    are numbered from 1: they are named `train-01`.. and `test-01`... Each digit fills the picture
    in its longer direction and keeps its proportions.

    Raises:
        DataError: a file is missing, or is not such a recording.
    """
    splits = tuple(_FILES) if options.split == "all" else (options.split,)
    paths = [_path(options.data_dir, split) for split in splits]
    recordings: list[Recording] = []
    writers: list[int] = []
    names: list[str] = []
    for split, path in zip(splits, paths, strict=True):
        part = read_unipen(path, writers=_WRITERS[split])
        recordings += part
        writers += [len(names) + recording.writer - 1 for recording in part]
        names += [f"{split}-{i + 1:02}" for i in range(_WRITERS[split])]
    size = (_SIDE, _SIDE) if options.box or not options.shape else options.shape
    key = content_key(paths, size, _DRAWING)
    shape = (len(recordings), 1, *size)
    images = cached_images("pendigits", key, shape, _fill(recordings, size), cache=options.cache)
    index = pick(len(recordings), options, "pendigits")
    return ImageSet(
        name="pendigits",
        images=conform(images if options.count is None else images[index], options),
        labels={
            "digit": torch.tensor([recordings[i].digit for i in index]),
            "writer": torch.tensor([writers[i] for i in index]),
        },
        classes={"digit": tuple("0123456789"), "writer": tuple(names)},
        split=options.split,
    )


def pendigits_splits(data_dir: Path | None) -> tuple[str, ...]:
    """Return the splits whose recordings are there."""
    if data_dir is None:
        return ()
    there = [split for split in _FILES if _find(data_dir / "pendigits", split)]
    return ("all", *there) if len(there) == len(_FILES) else tuple(there)


def read_unipen(path: Path, *, writers: int) -> list[Recording]:
    """Read every digit of a recording, packed (.Z) or not, in the file's order.

    Raises:
        DataError: the file cannot be unpacked, or a digit, writer or point is malformed.
    """
    text = _unpacked(path)
    recordings = []
    for number, segment in enumerate(text.split(".SEGMENT DIGIT")[1:], 1):
        try:
            recording = _recording(segment)
        except (ValueError, IndexError) as error:
            raise DataError(f"{path}: digit {number} is malformed: {error}") from error
        if not (0 <= recording.digit <= 9 and 1 <= recording.writer <= writers):
            raise DataError(
                f"{path}: digit {number} is a {recording.digit} by writer {recording.writer}; "
                f"expected 0 to 9 by writer 1 to {writers}"
            )
        recordings.append(recording)
    if not recordings:
        raise DataError(f"{path}: expected UNIPEN text with '.SEGMENT DIGIT' lines, found none")
    return recordings


def draw_strokes(strokes: Sequence[Stroke], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the strokes as a picture (height, width): 255 is ink, antialiased by averaging."""
    height, width = (side * _OVER for side in size)
    pen = max(1.0, _PEN * min(height, width))
    points = np.array([point for stroke in strokes for point in stroke], np.float64)
    low, high = points.min(0), points.max(0)
    room = np.array([width, height]) - 2 * pen
    scale = (room / np.maximum(high - low, 1)).min()
    middle = (low + high) / 2
    canvas = Image.new("L", (width, height))
    brush = ImageDraw.Draw(canvas)
    for stroke in strokes:
        placed = (np.array(stroke, np.float64) - middle) * scale * (1, -1)
        path = [(x + width / 2, y + height / 2) for x, y in placed.tolist()]
        brush.line(path, fill=255, width=round(pen), joint="curve")
        for x, y in (path[0], path[-1]):  # round ends; a dot is nothing else
            brush.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return np.asarray(canvas.reduce(_OVER))


def _fill(
    recordings: Sequence[Recording], size: tuple[int, int]
) -> Callable[[NDArray[np.uint8]], None]:
    def fill(target: NDArray[np.uint8]) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            drawn = pool.map(lambda recording: draw_strokes(recording.strokes, size), recordings)
            for i, picture in enumerate(drawn):
                target[i, 0] = picture

    return fill


def _recording(segment: str) -> Recording:
    head, *blocks = segment.split(".PEN_DOWN")
    digit, writer = head.split(".COMMENT", 1)[1].split()[:2]
    strokes = []
    for block in blocks:
        numbers = [float(value) for value in block.split("\n.", 1)[0].split()]
        if len(numbers) % 2 or not np.isfinite(numbers).all():
            raise ValueError("a point needs two finite numbers")
        if numbers:
            strokes.append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if not strokes:
        raise ValueError("it has no points")
    return Recording(int(digit), int(writer), tuple(strokes))


def _find(folder: Path, split: str) -> Path | None:
    places = (folder / f"{_FILES[split]}.Z", folder / _FILES[split])
    return next((path for path in places if path.is_file()), None)


def _path(data_dir: Path | None, split: str) -> Path:
    if data_dir is None:
        raise DataError(
            "pendigits is read from local files: give the data folder, with "
            f"{' and '.join(f'pendigits/{file}.Z' for file in _FILES.values())} in it"
        )
    path = _find(data_dir / "pendigits", split)
    if path is None:
        raise DataError(
            f"pendigits has no {split} split in {data_dir / 'pendigits'}; "
            f"expected {_FILES[split]}.Z, the original recordings"
        )
    return path


def _unpacked(path: Path) -> str:
    if path.suffix == ".Z":
        needs("data", f"unpacking {path.name}", "unlzw3")
    content = read_limited(path, limit_bytes=_MAX_BYTES, error=DataError)
    try:
        return (_unlzw(content) if path.suffix == ".Z" else content).decode("ascii")
    except (ValueError, IndexError) as error:
        raise DataError(f"cannot read {path}: {error}; copy the file again") from error


def _unlzw(content: bytes) -> bytes:
    from unlzw3 import unlzw

    unpacked: bytes = unlzw(content)
    return unpacked
