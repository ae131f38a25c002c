"""Small films for tests: a bright square on grey, with sound, a title and a place."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs the extra `video`")
SIDE, RATE = (96, 128), 25
TIMES = (0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13)
"""In twenty-fifths of a second: not all alike, as phones film."""


def write_film(
    path: Path,
    codec: str = "libx264",
    sound: str = "aac",
    *,
    start: int = 0,
    tracks: int = 1,
    **options: str,
) -> Path:
    """Write twelve frames, in which a square goes to the right by four pixels each.

    They begin at `start` twenty-fifths of a second.
    """
    with av.open(str(path), "w", options=options) as out:
        out.metadata.update({"title": "private", "comment": "at home"})
        stream = out.add_stream(codec, rate=RATE)
        stream.height, stream.width = SIDE
        stream.pix_fmt = "yuv420p"
        layout = "stereo" if sound == "vorbis" else "mono"
        voices = [
            out.add_stream(sound, rate=48000, layout=layout, options=options) for _ in range(tracks)
        ]
        for number, time in enumerate(TIMES):
            frame = av.VideoFrame.from_ndarray(drawn(number), format="rgb24")
            frame.pts, frame.time_base = start + time, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        for voice in voices:
            hum(out, voice, start * 48000 // RATE)
        out.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> None:
    """Write a file of half a second of sound."""
    with av.open(str(path), "w") as out:
        hum(out, out.add_stream("aac", rate=48000), 0)


def hum(out: Any, voice: Any, first: int) -> None:
    for start in range(first, first + 24000, 960):
        wave = np.sin(np.arange(start, start + 960) / 10).astype(np.float32)[None]
        layout = voice.codec_context.layout
        waves = np.repeat(wave, layout.nb_channels, 0)
        heard = av.AudioFrame.from_ndarray(waves, format="fltp", layout=layout.name)
        heard.sample_rate, heard.pts, heard.time_base = 48000, start, Fraction(1, 48000)
        out.mux(voice.encode(heard))
    out.mux(voice.encode(None))


def drawn(number: int) -> np.ndarray:
    picture = np.full((*SIDE, 3), 90, np.uint8)
    left = 20 + 4 * number
    picture[30:60, left : left + 30 : 2] = 250  # stripes, which protection wipes out
    return picture


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as film:
        return [round(frame.time, 4) for frame in film.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        if not film.streams.audio:
            return []
        return [bytes(packet) for packet in film.demux(audio=0) if packet.size]


def rotated(path: Path, degrees: int | None) -> Path:
    """Have a film's header say that it is shown rotated clockwise; None is a broken matrix."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    across, down = {90: (0, 1), 180: (-1, 0), 270: (0, -1), None: (0, 0)}[degrees]
    matrix = (across << 16, down << 16, 0, -down << 16, across << 16, 0, 0, 0, 1 << 30)
    content[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


def write_sizes(path: Path, sizes: tuple[tuple[int, int], ...]) -> Path:
    """Write stripes in frames of several sizes, twelve of each, as calls are recorded."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libvpx", rate=RATE)
        stream.height, stream.width = sizes[0]
        stream.pix_fmt = "yuv420p"
        for part, (height, width) in enumerate(sizes):
            codec = stream.codec_context if part == 0 else av.CodecContext.create("libvpx", "w")
            codec.height, codec.width, codec.pix_fmt = height, width, "yuv420p"
            codec.time_base, codec.framerate = Fraction(1, RATE), RATE
            stripes = np.full((height, width, 3), 90, np.uint8)
            stripes[:, (np.arange(width) * 16 // width) % 2 == 1] = 250
            frames: list[Any] = [None]
            for number in range(12):
                frame = av.VideoFrame.from_ndarray(stripes, format="rgb24")
                frame.pts, frame.time_base = 12 * part + number, Fraction(1, RATE)
                frames.insert(-1, frame)
            for packet in (packet for frame in frames for packet in codec.encode(frame)):
                packet.stream, packet.time_base = stream, Fraction(1, RATE)
                out.mux(packet)
    return path
