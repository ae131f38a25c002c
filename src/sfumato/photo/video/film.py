"""Films through PyAV (extra `video`): frames in, and a film out with the same times and sound.

Frames keep their times, the sound is copied as it is, and everything else of the file goes: tags,
places, chapters, subtitles and data tracks, cover pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.errors import ImageError
from sfumato.extras import needs

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

SUFFIXES: Final = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
_WEB: Final = ".webm"
_X264: Final = {"crf": "20", "preset": "veryfast"}
_VP9: Final = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6"}
_BT709: Final = 1
_HD: Final = 720  # lines from which films without a note have the colours of HD

Changed = Callable[[int, UInt8[Tensor, "3 h w"]], UInt8[Tensor, "3 h w"] | None]
"""Given a frame's number and its upright pixels, returns other pixels, or None to leave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a film's header says."""

    frames: int
    """About how many, from its length where it does not count them; 0 where nobody knows."""
    rate: float
    """Frames a second, on average."""
    sound: bool


def needs_av() -> None:
    """Raise an UnavailableError where PyAV is not installed."""
    needs("video", "reading and writing films", "av")


def is_film(file: str) -> bool:
    """Return whether a file's name says that it is a film."""
    return file.lower().endswith(SUFFIXES)


def film_of(path: Path) -> Film:
    """Read the header of a film.

    Raises:
        ImageError: it is none, or has no pictures.
        UnavailableError: PyAV is not installed.
    """
    needs_av()
    with _opened(path) as container:
        stream = container.streams.video[0]
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        length = (container.duration or 0) / 1e6
        frames = stream.frames or round(length * rate)
        return Film(frames=frames, rate=rate, sound=bool(container.streams.audio))


def small_frames(path: Path, longest: int) -> Iterator[tuple[UInt8[Tensor, "3 h w"], float]]:
    """Yield every frame, upright and at most so long, with how often its full size is longer.

    Raises:
        ImageError: the film is malformed.
    """
    with _opened(path) as container:
        for frame in _decoded(container):
            factor = max(1.0, max(frame.width, frame.height) / longest)
            size = (round(frame.width / factor), round(frame.height / factor))
            small = frame.reformat(width=size[0], height=size[1], format="rgb24")
            yield _upright(small.to_ndarray(), frame), factor


def full_frames(path: Path) -> Iterator[UInt8[Tensor, "3 h w"]]:
    """Yield every frame, upright and at its size.

    Raises:
        ImageError: the film is malformed.
    """
    with _opened(path) as container:
        for frame in _decoded(container):
            yield _upright(frame.reformat(format="rgb24").to_ndarray(), frame)


def rewrite(path: Path, target: Path, change: Changed, *, mute: bool = False) -> int:
    """Write a film whose frames `change` has seen, and return how many they are.

    Raises:
        ImageError: the film is malformed, or its sound does not fit the file's format.
    """
    import av

    try:
        with _opened(path) as container, av.open(str(target), "w", format=_format(path)) as out:
            return _copied(container, out, path, change, mute=mute)
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"expected a whole film: {error}") from error


def _copied(container: Any, out: Any, path: Path, change: Changed, *, mute: bool) -> int:  # noqa: ANN401
    source = container.streams.video[0]
    sounds = [] if mute else list(container.streams.audio)
    copies = {sound.index: out.add_stream_from_template(sound) for sound in sounds}
    stream: Any = None
    waiting: list[Any] = []  # sound before the first frame: the file's head is written with it
    count = 0
    for packet in container.demux([source, *sounds]):
        if packet.stream.index in copies:
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                waiting.append(packet)
        else:
            for frame in packet.decode():
                changed = _changed(frame, count, change)
                stream = stream or _stream(out, path, source, changed)
                changed.pict_type = 0
                changed.pts, changed.time_base = frame.pts, frame.time_base
                out.mux(stream.encode(changed))
                count += 1
        if stream is not None:
            out.mux(waiting)
            waiting = []
    if stream is None:
        raise ValueError("it has no frame")
    out.mux(stream.encode(None))
    return count


def _changed(frame: VideoFrame, number: int, change: Changed) -> VideoFrame:
    import av

    space = "itu709" if _is_hd(frame) else "itu601"
    rgb = frame.reformat(format="rgb24", src_colorspace=space, dst_colorspace=space)
    pixels = change(number, _upright(rgb.to_ndarray(), frame))
    if pixels is None:
        if not frame.rotation and frame.format.name == "yuv420p":
            return frame
        pixels = _upright(rgb.to_ndarray(), frame)
    array = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
    made = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(array.permute(1, 2, 0).numpy()), format="rgb24"
    )
    return made.reformat(format="yuv420p", src_colorspace=space, dst_colorspace=space)


def _stream(out: Any, path: Path, source: Any, first: VideoFrame) -> Any:  # noqa: ANN401
    web = path.suffix.lower() == _WEB
    stream = out.add_stream(
        "libvpx-vp9" if web else "libx264", rate=source.average_rate, options=_VP9 if web else _X264
    )
    stream.width, stream.height = first.width // 2 * 2, first.height // 2 * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = source.time_base
    stream.time_base = source.time_base
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(stream.codec_context, name, getattr(source.codec_context, name))
    return stream


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    import av

    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"expected a film: {error}") from error
    with container:
        if not container.streams.video:
            raise ImageError("expected a film, got a file without pictures")
        container.streams.video[0].thread_type = "AUTO"
        yield container


def _decoded(container: InputContainer) -> Iterator[VideoFrame]:
    import av

    try:
        yield from container.decode(video=0)
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"expected a whole film: {error}") from error


def _upright(pixels: UInt8[np.ndarray, "h w 3"], frame: VideoFrame) -> UInt8[Tensor, "3 h2 w2"]:
    """Return a frame as viewers show it."""
    rotated = np.rot90(pixels, round(frame.rotation / 90) % 4)
    return torch.from_numpy(np.ascontiguousarray(rotated)).permute(2, 0, 1)


def _is_hd(frame: VideoFrame) -> bool:
    known = int(frame.colorspace)
    return known == _BT709 or (known == 2 and frame.height >= _HD)  # 2: it is not said


def _format(path: Path) -> str:
    formats = {".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mov": "mov"}
    return formats.get(path.suffix.lower(), "mp4")
