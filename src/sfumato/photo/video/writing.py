"""A film written anew with other pixels, the same times and its sound.

Frames keep their times, the sound is copied as it is, and everything else of the file goes: tags,
places, chapters, subtitles and data tracks, cover pictures.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from sfumato.errors import ImageError
from sfumato.photo.video.film import moving, opened, quarters, reason, stored, upright
from sfumato.photo.video.sound import copied_sound

if TYPE_CHECKING:
    from av import VideoFrame

_WEB: Final = ".webm"
# Else subtitles that lie in the pictures' own data would go along.
_X264: Final = {"crf": "20", "preset": "veryfast", "a53cc": "0"}
_IN_ORDER: Final = {"bf": "0"}
_VP9: Final = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6"}
_BT709, _BT601 = 1, 6
_UNSAID: Final = (0, 2)  # of what is no YUV, and of what does not say it
_LIMITED, _FULL = 1, 2
_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_HD: Final = 720  # lines from which films without a note have the colours of HD

Changed = Callable[[int, UInt8[Tensor, "3 h w"]], UInt8[Tensor, "3 h w"] | None]
"""Given a frame's number and its upright pixels, returns other pixels, or None to leave it."""


def rewrite(
    path: Path,
    target: Path,
    change: Changed,
    *,
    size: tuple[int, int] | None = None,
    mute: bool = False,
) -> int:
    """Write a film whose frames `change` has seen, and return how many they are.

    All frames are brought to one size, where it is given; else to the first one's.

    Raises:
        ImageError: the film is malformed, or its sound does not fit the file's format.
        OSError: the disk is full, or fails.
    """
    import av

    try:
        with opened(path) as container, av.open(str(target), "w", format=_format(path)) as out:
            return _copied(container, out, path, change, size=size, mute=mute)
    except ImageError:
        raise
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.FFmpegError) and error.errno in _DISK:
            raise OSError(error.errno, error.strerror) from error
        raise ImageError(f"expected a whole film: {reason(error)}") from error


def _copied(
    container: Any,  # noqa: ANN401 - PyAV's containers
    out: Any,  # noqa: ANN401
    path: Path,
    change: Changed,
    *,
    size: tuple[int, int] | None,
    mute: bool,
) -> int:
    source = moving(container)
    copies = {} if mute else copied_sound(container, out)
    sounds = [sound for sound in container.streams.audio if sound.index in copies]
    stream: Any = None
    waiting: list[Any] = []  # sound before the first frame: the file's head is written with it
    count, last = 0, -(2**62)
    for packet in container.demux([source, *sounds]):
        if packet.stream.index in copies:
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                waiting.append(packet)
        else:
            for frame in packet.decode():
                size = size or stored((frame.width, frame.height), frame)
                changed = _changed(frame, count, change, size)
                stream = stream or _stream(out, path, source, frame, changed)
                changed.pict_type = 0
                # AVI has no times of its own: those of frames that were reordered do not rise.
                last = max(last + 1, last if frame.pts is None else frame.pts)
                changed.pts, changed.time_base = last, frame.time_base
                out.mux(stream.encode(changed))
                count += 1
        if stream is not None:
            out.mux(waiting)
            waiting = []
    if stream is None:
        raise ValueError("it has no frame")
    out.mux(stream.encode(None))
    return count


def _changed(frame: VideoFrame, number: int, change: Changed, size: tuple[int, int]) -> VideoFrame:
    import av

    width, height = stored(size, frame)
    space = "itu709" if _is_hd(frame) else "itu601"
    rgb = frame.reformat(width, height, "rgb24", src_colorspace=space, dst_colorspace=space)
    pixels = change(number, upright(rgb.to_ndarray(), frame))
    if pixels is None:
        same = (frame.width, frame.height) == (width, height) and not quarters(frame)
        if same and frame.format.name == "yuv420p":
            return frame
        pixels = upright(rgb.to_ndarray(), frame)
    array = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
    made = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(array.permute(1, 2, 0).numpy()), format="rgb24"
    )
    return made.reformat(
        format="yuv420p", src_colorspace=space, dst_colorspace=space,
        dst_color_range=_FULL if _is_full(frame) else _LIMITED,
    )  # fmt: skip


def _stream(out: Any, path: Path, source: Any, first: VideoFrame, changed: VideoFrame) -> Any:  # noqa: ANN401
    web = path.suffix.lower() == _WEB
    options = _VP9 if web else _X264 | (_IN_ORDER if path.suffix.lower() == ".avi" else {})
    stream = out.add_stream(
        "libvpx-vp9" if web else "libx264", rate=source.average_rate, options=options
    )
    stream.width, stream.height = changed.width // 2 * 2, changed.height // 2 * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = source.time_base
    stream.time_base = source.time_base
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(stream.codec_context, name, getattr(source.codec_context, name))
    if first.format.is_rgb:  # what is written is not
        stream.codec_context.colorspace = _BT709 if _is_hd(first) else _BT601
        stream.codec_context.color_range = _LIMITED
    shape = source.sample_aspect_ratio  # of a pixel: cameras of before HD, and discs
    if shape:
        stream.codec_context.sample_aspect_ratio = 1 / shape if quarters(first) % 2 else shape
    return stream


def _is_hd(frame: VideoFrame) -> bool:
    known = int(frame.colorspace)
    return known == _BT709 or (known in _UNSAID and frame.height >= _HD)


def _is_full(frame: VideoFrame) -> bool:
    """Return whether the numbers of its pixels go from 0 to 255, as cameras of phones have them."""
    return int(frame.color_range) == _FULL and not frame.format.is_rgb


def _format(path: Path) -> str:
    formats = {".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mov": "mov"}
    return formats.get(path.suffix.lower(), "mp4")
