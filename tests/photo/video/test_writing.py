from __future__ import annotations

import io
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from sfumato.errors import ImageError
from sfumato.photo.video.film import film_of
from sfumato.photo.video.writing import rewrite
from tests.photo.video import films

COLOURS = ((200, 60, 40), (20, 230, 30), (10, 10, 240), (250, 250, 250))
FULL = 2


def coloured(
    path: Path, codec: str, pixels: str, *, full: bool = False, shape: Fraction | None = None
) -> Path:
    """Write six frames of four colours."""
    with films.av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, pixels
        if full:
            stream.codec_context.color_range = FULL
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        drawn = np.repeat(np.repeat(np.array(COLOURS, np.uint8).reshape(2, 2, 3), 48, 0), 64, 1)
        for number in range(6):
            frame = films.av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            wanted = {"dst_color_range": FULL} if full else {}
            out.mux(stream.encode(frame.reformat(format=pixels, **wanted)))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "full"),
    [
        ("a.mp4", "libx264", "yuvj420p", True),
        ("a.avi", "mjpeg", "yuvj422p", True),
        ("a.webm", "libvpx-vp9", "yuv420p", True),
        ("a.mkv", "libx264rgb", "rgb24", False),
        ("a.mov", "png", "rgb24", False),
        ("a.mkv", "ffv1", "bgr0", False),
        ("a.mp4", "libx264", "yuv444p", False),
    ],
)
def test_colours_stay_in_every_frame(
    tmp_path: Path, name: str, codec: str, pixels: str, full: bool
) -> None:
    source = coloured(tmp_path / name, codec, pixels, full=full)
    out = tmp_path / f"out.{name}"

    def every_second(number: int, picture: Tensor) -> Tensor | None:
        return picture if number % 2 else None

    rewrite(source, out, every_second)
    for before, after in zip(films.frames_of(source), films.frames_of(out), strict=True):
        for place in ((24, 32), (24, 96), (72, 32), (72, 96)):
            assert np.abs(before[place].astype(int) - after[place]).max() <= 6


@pytest.mark.parametrize(("degrees", "shape"), [(None, Fraction(4, 3)), (90, Fraction(3, 4))])
def test_pixels_that_are_no_squares_stay_so(
    tmp_path: Path, degrees: int | None, shape: Fraction
) -> None:
    source = coloured(tmp_path / "a.mp4", "libx264", "yuv420p", shape=Fraction(4, 3))
    if degrees is not None:
        films.rotated(source, degrees)
    rewrite(source, tmp_path / "b.mp4", lambda *_: None)
    with films.av.open(str(tmp_path / "b.mp4")) as film:
        assert film.streams.video[0].sample_aspect_ratio == shape


def captioned(path: Path) -> Path:
    """Write a film whose every frame carries subtitles in its own data, as broadcasts do."""
    raw = path.with_suffix(".h264")
    with films.av.open(str(raw), "w", format="h264") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.height, stream.width = films.SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(6):
            frame = films.av.VideoFrame.from_ndarray(films.drawn(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    said = b"\xb5\x00\x31GA94\x03\x42\xff" + b"\xfc\xd3\xc5\xfc\xc3\xd2" + b"\xff"
    units = re.split(rb"(?=\x00\x00\x00\x01|(?<!\x00)\x00\x00\x01)", raw.read_bytes())
    caption = b"\x00\x00\x00\x01\x06\x04" + bytes((len(said),)) + said + b"\x80"
    pictures = (1, 5)  # kinds of units
    raw.write_bytes(
        b"".join(
            caption + unit if unit and unit.lstrip(b"\0")[1] & 31 in pictures else unit
            for unit in units
        )
    )
    with films.av.open(str(raw), format="h264") as film, films.av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(film.streams.video[0])
        for number, packet in enumerate(one for one in film.demux(video=0) if one.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), stream
            out.mux(packet)
    return path


def subtitles(path: Path) -> int:
    with films.av.open(str(path)) as film:
        return sum(
            one.type.name == "A53_CC" for frame in film.decode(video=0) for one in frame.side_data
        )


def test_subtitles_inside_of_pictures_go(tmp_path: Path) -> None:
    source = captioned(tmp_path / "a.mkv")
    assert subtitles(source) == 6
    rewrite(source, tmp_path / "b.mkv", lambda *_: None)
    assert subtitles(tmp_path / "b.mkv") == 0


def covered(path: Path, film: Path | None) -> Path:
    """Write a film, or none, whose cover comes before it, as some programs order an MP4."""
    cover = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(cover, "JPEG")
    with films.av.open(str(path), "w") as out:
        first = out.add_stream("mjpeg", rate=25)
        first.width, first.height, first.pix_fmt = 64, 64, "yuvj420p"
        first.disposition = films.av.stream.Disposition.attached_pic
        packet = films.av.Packet(cover.getvalue())
        packet.pts, packet.dts, packet.stream, packet.time_base = 0, 0, first, Fraction(1, 25)
        if film is None:
            voice = out.add_stream("aac", rate=48000)
            out.mux(packet)
            films.hum(out, voice, 0)
            return path
        with films.av.open(str(film)) as source:
            copy = out.add_stream_from_template(source.streams.video[0])
            out.mux(packet)
            for one in source.demux(video=0):
                if one.dts is not None:
                    one.stream = copy
                    out.mux(one)
    content = path.read_bytes()
    tracks, notes = content.index(b"trak") - 4, content.index(b"udta") - 4
    end = notes + int.from_bytes(content[notes : notes + 4])
    path.write_bytes(content[:tracks] + content[notes:end] + content[tracks:notes] + content[end:])
    return path


def test_a_cover_before_the_pictures_is_not_the_film(tmp_path: Path) -> None:
    plain = films.write_film(tmp_path / "plain.mp4")
    source = covered(tmp_path / "a.mp4", plain)
    with films.av.open(str(source)) as film:
        assert film.streams.video[0].codec_context.name == "mjpeg"
    assert rewrite(source, tmp_path / "b.mp4", lambda *_: None) == len(films.TIMES)
    assert films.frames_of(tmp_path / "b.mp4")[0].shape == (*films.SIDE, 3)


def test_sound_with_a_cover_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="without pictures that move"):
        film_of(covered(tmp_path / "a.mp4", None))
