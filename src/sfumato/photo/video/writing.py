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
from sfumato.photo.video.film import opened, quarters, reason, upright

if TYPE_CHECKING:
    from av import VideoFrame

_WEB: Final = ".webm"
_X264: Final = {"crf": "20", "preset": "veryfast"}
_IN_ORDER: Final = {"bf": "0"}
_VP9: Final = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6"}
_BT709: Final = 1
_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_HD: Final = 720  # lines from which films without a note have the colours of HD

Changed = Callable[[int, UInt8[Tensor, "3 h w"]], UInt8[Tensor, "3 h w"] | None]
"""Given a frame's number and its upright pixels, returns other pixels, or None to leave it."""


def rewrite(path: Path, target: Path, change: Changed, *, mute: bool = False) -> int:
    """Write a film whose frames `change` has seen, and return how many they are.

    Raises:
        ImageError: the film is malformed, or its sound does not fit the file's format.
        OSError: the disk is full, or fails.
    """
    import av

    try:
        with opened(path) as container, av.open(str(target), "w", format=_format(path)) as out:
            return _copied(container, out, path, change, mute=mute)
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, av.FFmpegError) and error.errno in _DISK:
            raise OSError(error.errno, error.strerror) from error
        raise ImageError(f"expected a whole film: {reason(error)}") from error


def _copied(container: Any, out: Any, path: Path, change: Changed, *, mute: bool) -> int:  # noqa: ANN401
    source = container.streams.video[0]
    sounds = [] if mute else list(container.streams.audio)
    copies = {sound.index: out.add_stream_from_template(sound) for sound in sounds}
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
                changed = _changed(frame, count, change)
                stream = stream or _stream(out, path, source, changed)
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


def _changed(frame: VideoFrame, number: int, change: Changed) -> VideoFrame:
    import av

    space = "itu709" if _is_hd(frame) else "itu601"
    rgb = frame.reformat(format="rgb24", src_colorspace=space, dst_colorspace=space)
    pixels = change(number, upright(rgb.to_ndarray(), frame))
    if pixels is None:
        if not quarters(frame) and frame.format.name == "yuv420p":
            return frame
        pixels = upright(rgb.to_ndarray(), frame)
    array = pixels[:, : pixels.shape[1] // 2 * 2, : pixels.shape[2] // 2 * 2]
    made = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(array.permute(1, 2, 0).numpy()), format="rgb24"
    )
    return made.reformat(format="yuv420p", src_colorspace=space, dst_colorspace=space)


def _stream(out: Any, path: Path, source: Any, first: VideoFrame) -> Any:  # noqa: ANN401
    web = path.suffix.lower() == _WEB
    options = _VP9 if web else _X264 | (_IN_ORDER if path.suffix.lower() == ".avi" else {})
    stream = out.add_stream(
        "libvpx-vp9" if web else "libx264", rate=source.average_rate, options=options
    )
    stream.width, stream.height = first.width // 2 * 2, first.height // 2 * 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = source.time_base
    stream.time_base = source.time_base
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(stream.codec_context, name, getattr(source.codec_context, name))
    return stream


def _is_hd(frame: VideoFrame) -> bool:
    known = int(frame.colorspace)
    return known == _BT709 or (known == 2 and frame.height >= _HD)  # 2: it is not said


def _format(path: Path) -> str:
    formats = {".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".mov": "mov"}
    return formats.get(path.suffix.lower(), "mp4")
