"""A film's sound, copied as it is: tracks in formats that can be, and nothing that is told of them.

Vorbis keeps titles, names and places among what a decoder needs; they are taken out.
"""

from __future__ import annotations

from typing import Any, Final

from sfumato.errors import ImageError

_LACED: Final = 2  # byte that begins three headers whose lengths are summed bytes
_PLAIN: Final = b"\x00\x1e"  # begins the same with lengths in two bytes: the first header's is 30
_COMMENT: Final = b"\x03vorbis" + bytes(8) + b"\x01"  # of nobody, and none


def copied_sound(container: Any, out: Any) -> dict[int, Any]:  # noqa: ANN401 - PyAV's containers
    """Return the new streams by the number of the track that goes there.

    Of several tracks those are left out whose format is unknown, as players do.

    Raises:
        ImageError: no track can be copied.
    """
    tracks = list(container.streams.audio)
    known = [track for track in tracks if track.codec_context is not None]
    if tracks and not known:
        raise ImageError("its sound has a format that is unknown here; leave sound out (`mute`)")
    return {track.index: _copy(track, out) for track in known}


def _copy(track: Any, out: Any) -> Any:  # noqa: ANN401
    codec = track.codec_context.name
    try:
        stream = out.add_stream_from_template(track)
    except ValueError as error:
        raise ImageError(
            f"its sound ({codec}) does not fit a {out.format.name} file; leave sound out (`mute`)"
        ) from error
    if codec == "vorbis":
        stream.codec_context.extradata = without_comments(track.codec_context.extradata or b"")
    return stream


def without_comments(headers: bytes) -> bytes:
    """Return the three headers of Vorbis, of which the second says nothing.

    Raises:
        ImageError: they are malformed.
    """
    try:
        first, _, last = _headers(headers)
    except (IndexError, ValueError) as error:
        raise ImageError("its Vorbis sound is malformed; leave sound out (`mute`)") from error
    return bytes((_LACED, len(first), len(_COMMENT))) + first + _COMMENT + last


def _headers(content: bytes) -> list[bytes]:
    sizes: list[int] = []
    if content.startswith(_PLAIN):
        place, found = 0, []
        for _ in range(3):
            size = int.from_bytes(content[place : place + 2])
            found.append(content[place + 2 : place + 2 + size])
            place += 2 + size
        return found
    if content[0] != _LACED:
        raise ValueError("neither form of headers")
    place = 1
    for _ in range(2):
        size = 0
        while content[place] == 255:
            size, place = size + 255, place + 1
        sizes.append(size + content[place])
        place += 1
    second = place + sizes[0]
    third = second + sizes[1]
    return [content[place:second], content[second:third], content[third:]]
