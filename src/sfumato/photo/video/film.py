"""Films read through PyAV (extra `video`): what a header says, and every frame with its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.errors import ImageError
from sfumato.extras import needs
from sfumato.photo.clock import LATEST

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

_MICROSECONDS: Final = 1e6  # of a container's times


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a film's header says."""

    frames: int
    """About how many, from its length where it does not count them; 0 where nobody knows."""
    rate: float
    """Frames a second, on average."""
    sound: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of a film."""

    number: int
    ms: int
    """When it is shown, in milliseconds since the film starts; each frame's is larger."""
    raw: VideoFrame
    size: tuple[int, int]
    """Its width and height, upright: its own, or what it is brought to."""

    def pixels(self, longest: int | None = None) -> UInt8[Tensor, "3 h w"]:
        """Return it upright, at its size or so long at most."""
        width, height = stored(self.size, self.raw)
        factor = 1.0 if longest is None else max(1.0, max(width, height) / longest)
        sized = (max(1, round(width / factor)), max(1, round(height / factor)))
        small = self.raw.reformat(width=sized[0], height=sized[1], format="rgb24")
        return upright(small.to_ndarray(), self.raw)


def film_of(path: Path) -> Film:
    """Read the header of a film.

    Raises:
        ImageError: it is none, or has no pictures.
        UnavailableError: PyAV is not installed.
    """
    needs("video", "reading and writing films", "av")
    with opened(path) as container:
        stream = moving(container)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        length = (container.duration or 0) / _MICROSECONDS
        frames = stream.frames or round(length * rate)
        return Film(frames=frames, rate=rate, sound=bool(container.streams.audio))


def frames_of(path: Path, size: tuple[int, int] | None = None) -> Iterator[Frame]:
    """Yield every frame of a film, in this size where one is given.

    Recordings of calls change the size of their frames on the way. Times are the film's own. Where
    it has none, or they do not rise, a frame comes a millisecond after the one before.

    Raises:
        ImageError: the film is malformed.
    """
    with opened(path) as container:
        start = (container.start_time or 0) / _MICROSECONDS
        last = -1
        for number, raw in enumerate(_decoded(container)):
            time = 0 if raw.time is None else round(1000 * min(raw.time - start, LATEST / 1000))
            last = max(time, last + 1)
            own = stored((raw.width, raw.height), raw)
            yield Frame(number=number, ms=last, raw=raw, size=size or own)


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a film.

    Raises:
        ImageError: it is none, or has no pictures.
    """
    import av

    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"expected a film: {reason(error)}") from error
    with container:
        moving(container).thread_type = "AUTO"
        yield container


def moving(container: InputContainer) -> VideoStream:
    """Return a film's pictures; a cover may come before them.

    Raises:
        ImageError: it has none.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise ImageError("expected a film, got a file without pictures that move")


def reason(error: Exception) -> str:
    """Return what FFmpeg says, without its numbers and paths."""
    return str(getattr(error, "strerror", None) or error)


def upright(pixels: UInt8[np.ndarray, "h w 3"], frame: VideoFrame) -> UInt8[Tensor, "3 h2 w2"]:
    """Return a frame's pixels as viewers show them."""
    rotated = np.rot90(pixels, quarters(frame))
    return torch.from_numpy(np.ascontiguousarray(rotated)).permute(2, 0, 1)


def stored(size: tuple[int, int], frame: VideoFrame) -> tuple[int, int]:
    """Return width and height as a frame is stored, of those that it has upright; or back."""
    return size[::-1] if quarters(frame) % 2 else size


def quarters(frame: VideoFrame) -> int:
    """Return by how many right angles viewers rotate a frame, against the clock."""
    # Of a matrix that no camera writes, FFmpeg says a number far beyond a circle.
    return round(frame.rotation / 90) % 4 if abs(frame.rotation) <= 360 else 0


def _decoded(container: InputContainer) -> Iterator[VideoFrame]:
    import av

    try:
        yield from container.decode(moving(container))
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"expected a whole film: {reason(error)}") from error
