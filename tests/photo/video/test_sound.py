from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from sfumato.errors import ImageError
from sfumato.photo.video.sound import without_comments
from sfumato.photo.video.writing import rewrite
from tests.photo.video import films

HEADERS = (b"\x01vorbis" + b"i" * 23, b"\x03vorbis" + b"SECRET" * 50, b"\x05vorbis" + b"b" * 300)
SAID_NOTHING = b"\x03vorbis" + bytes(8) + b"\x01"


def laced(first: bytes, second: bytes, third: bytes) -> bytes:
    sizes = (b"\xff" * (len(one) // 255) + bytes((len(one) % 255,)) for one in (first, second))
    return b"\x02" + b"".join(sizes) + first + second + third


def plain(*headers: bytes) -> bytes:
    return b"".join(len(one).to_bytes(2) + one for one in headers)


def test_vorbis_says_nothing_of_its_sound() -> None:
    clean = laced(HEADERS[0], SAID_NOTHING, HEADERS[2])
    for written in (laced(*HEADERS), plain(*HEADERS)):
        assert b"SECRET" in written
        assert without_comments(written) == clean


@pytest.mark.parametrize("content", [b"", b"\x02", b"\x02\xff\xff", b"vorbis"])
def test_malformed_headers_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError, match="Vorbis sound is malformed"):
        without_comments(content)


def commented(path: Path) -> Path:
    """Write a film whose Vorbis has a title, as programs other than FFmpeg leave it there."""
    plain_film = films.write_film(
        path.with_suffix(".plain.mkv"), "mpeg4", sound="vorbis", strict="-2"
    )
    title = b"TITLE=SECRET"
    comment = b"\x03vorbis" + struct.pack("<III", 0, 1, len(title)) + title + b"\x01"
    with films.av.open(str(plain_film)) as film, films.av.open(str(path), "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in film.streams]
        headers = film.streams.audio[0].codec_context.extradata
        assert headers[:3] == bytes((2, 30, len(SAID_NOTHING)))
        first, last = headers[3:33], headers[33 + len(SAID_NOTHING) :]
        copies[1].codec_context.extradata = laced(first, comment, last)
        for packet in film.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    return path


def test_a_film_with_vorbis_loses_its_comments_and_can_be_heard(tmp_path: Path) -> None:
    source = commented(tmp_path / "a.mkv")
    assert b"SECRET" in source.read_bytes()
    rewrite(source, tmp_path / "b.mkv", lambda *_: None)
    assert b"SECRET" not in (tmp_path / "b.mkv").read_bytes()
    assert films.sound_of(tmp_path / "b.mkv") == films.sound_of(source)
    assert heard(tmp_path / "b.mkv") == heard(source) > Fraction(1, 3)


def heard(path: Path) -> Fraction:
    with films.av.open(str(path)) as film:
        return Fraction(sum(frame.samples for frame in film.decode(audio=0)), 48000)


def unknown(path: Path, *, both: bool) -> Path:
    """Write a film with two tracks of sound, the last or both in a format that nobody knows."""
    films.write_film(path, tracks=2)
    content = path.read_bytes()
    starts = [i for i in range(len(content)) if content[i : i + 4] == b"stsd"][1 - both :]
    for start in starts if both else starts[1:]:
        part = content[start : start + 400].replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa")
        content = content[:start] + part + content[start + 400 :]
    path.write_bytes(content)
    return path


def test_a_track_of_an_unknown_format_is_left_out_beside_another(tmp_path: Path) -> None:
    source = unknown(tmp_path / "a.mov", both=False)
    rewrite(source, tmp_path / "b.mov", lambda *_: None)
    with films.av.open(str(tmp_path / "b.mov")) as film:
        assert [one.codec_context.name for one in film.streams.audio] == ["aac"]
    assert films.sound_of(tmp_path / "b.mov") == films.sound_of(source)


def test_sound_that_cannot_be_copied_says_what_helps(tmp_path: Path) -> None:
    source = unknown(tmp_path / "a.mov", both=True)
    with pytest.raises(ImageError, match=r"^its sound has a format that is unknown .*`mute`"):
        rewrite(source, tmp_path / "b.mov", lambda *_: None)
    rewrite(source, tmp_path / "b.mov", lambda *_: None, mute=True)
    wrong = films.write_film(tmp_path / "a.mkv").rename(tmp_path / "a.webm")
    with pytest.raises(ImageError, match=r"^its sound \(aac\) does not fit a webm file"):
        rewrite(wrong, tmp_path / "b.webm", lambda *_: None)
