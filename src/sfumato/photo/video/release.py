"""One film: searched for faces, linked, and written anew with every face protected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.leftout import as_text
from sfumato.errors import ImageError
from sfumato.files import replacing
from sfumato.filter.oneclass import one_thread
from sfumato.photo.blend import protect_faces
from sfumato.photo.choice import Chooser
from sfumato.photo.config import FaceConfig
from sfumato.photo.find.box import Face, merged
from sfumato.photo.find.finder import MAYBE, FaceFinder, Passes
from sfumato.photo.track import Track
from sfumato.photo.video.film import film_of, frames_of
from sfumato.photo.video.link import Linked, link
from sfumato.photo.video.watched import Watched
from sfumato.photo.video.writing import rewrite
from sfumato.progress import track
from sfumato.types import Protector

LONGEST: Final = 960
"""Pixels of a frame's longer side in which faces are looked for."""
_EVERY: Final = 2  # frames between two searches for upright faces
_ROTATED: Final = 24  # frames between two searches for rotated ones, and in a smaller size
_UPRIGHT: Final = Passes(sides=(None,), quarters=(0,))
_ALL: Final = Passes(sides=(None, 320))
_PATIENCE: Final = 0.8  # seconds that a face may be unseen within its track; no less than _ROTATED
_ASKED: Final = 5  # frames of a track on which it is asked who it is
_BEYOND: Final = 250  # milliseconds that it is protected before and after


def watch(
    path: Path, find: FaceFinder, config: FaceConfig, chooser: Chooser | None = None
) -> Watched:
    """Search a film for faces and link them; one counts where the detector was sure of it once.

    Raises:
        ImageError: it is no film, or malformed.
        UnavailableError: PyAV is not installed.
    """
    film = film_of(path)
    found: dict[int, list[Face]] = {}
    sizes: list[tuple[int, int]] = []
    times: list[int] = []
    for frame in track(frames_of(path), f"{path.name}: faces", total=film.frames or None):
        times.append(frame.ms)
        sizes.append(frame.size)
        if frame.number % _EVERY == 0:
            passes = _ALL if frame.number % _ROTATED == 0 else _UPRIGHT
            picture = frame.pixels(LONGEST)
            faces = find(picture, least=min(MAYBE, config.sure), passes=passes)
            factor = frame.size[0] / picture.shape[-1]
            found[frame.number] = merged(face.scaled(factor) for face in faces)
    size = _largest(sizes)
    found = {number: _brought(faces, sizes[number], size) for number, faces in found.items()}
    linked = link(found, patience=max(_ROTATED, round(_PATIENCE * film.rate)) + 1)
    linked.sort(key=lambda one: one.first)
    protect = [one.score >= config.sure for one in linked]
    if chooser is not None:
        chosen = _chosen(path, size, linked, chooser)
        protect = [one and other for one, other in zip(protect, chosen, strict=True)]
    tracks = [
        one.track(times, beyond=_BEYOND, frames=_EVERY, name=f"{number}", protect=answer)
        for number, (one, answer) in enumerate(zip(linked, protect, strict=True), 1)
    ]
    return _watched(sizes, times, tracks)


def timed(path: Path, tracks: Sequence[Track]) -> Watched:
    """Return the film with tracks that a person gave.

    Raises:
        ImageError: it is no film, or malformed.
        UnavailableError: PyAV is not installed.
    """
    film = film_of(path)
    frames = track(frames_of(path), f"{path.name}: times", total=film.frames or None)
    sizes: list[tuple[int, int]] = []
    times: list[int] = []
    for frame in frames:
        times.append(frame.ms)
        sizes.append(frame.size)
    return _watched(sizes, times, tracks)


def _watched(
    sizes: Sequence[tuple[int, int]], times: Sequence[int], tracks: Sequence[Track]
) -> Watched:
    return Watched(size=_largest(sizes), times=tuple(times), tracks=tuple(tracks))


def _largest(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the size that all frames are brought to: recordings of calls have several."""
    if not sizes:
        raise ImageError("expected a film, got one without a frame")
    return max(sizes, key=lambda size: size[0] * size[1])


def _brought(faces: Sequence[Face], own: tuple[int, int], size: tuple[int, int]) -> list[Face]:
    return [face.scaled(size[0] / own[0], size[1] / own[1]) for face in faces]


def minutes_for(frames: int) -> float:
    """Return about how long so many frames take here, by the time of one search."""
    if not frames:
        return 0.0
    find, plain = FaceFinder(), torch.zeros(3, LONGEST * 9 // 16, LONGEST, dtype=torch.uint8)
    start = time.perf_counter()
    find(plain, passes=_UPRIGHT)
    rotated = 5 / _ROTATED  # passes of a search in all rotations, upright ones not counted
    return frames * (time.perf_counter() - start) * (1 / _EVERY + rotated) / 60


def _chosen(
    path: Path, size: tuple[int, int], linked: Sequence[Linked], chooser: Chooser
) -> list[bool]:
    """Return whether each face is protected, where only some people are: asked on its best frames.

    Raises:
        ImageError: the film is malformed.
    """
    asked: dict[int, list[int]] = {}
    for place, one in enumerate(linked):
        for number in sorted(one.seen, key=lambda f: -one.seen[f].score)[:_ASKED]:
            asked.setdefault(number, []).append(place)
    answers: list[list[bool]] = [[] for _ in linked]
    for frame in frames_of(path, size):
        places = asked.get(frame.number, [])
        faces = [linked[place].seen[frame.number] for place in places]
        given = chooser(frame.pixels(), faces) if faces else ()
        for place, answer in zip(places, given, strict=True):
            answers[place].append(answer)
    return [chooser.of_track(some) for some in answers]


def write_film(
    protector: Protector,
    path: Path,
    target: Path,
    watched: Watched,
    config: FaceConfig,
    *,
    secret: bytes,
    mute: bool = False,
) -> None:
    """Write the film with every face of its tracks protected, whole or not at all.

    Raises:
        ImageError: the film is malformed.
        InputError: it cannot be written.
    """
    boxes = watched.boxes()
    done = iter(track(range(len(watched.times)), f"{path.name}: writing"))

    def change(number: int, pixels: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"] | None:
        next(done, None)
        faces = boxes.get(number)
        if not faces:
            return None
        return protect_faces(
            protector, pixels, [*faces.values()], grow=config.grow, secret=secret,
            whose=[as_text(f"{path.name}/{name}") for name in faces],
        )  # fmt: skip

    # Faces are small: more threads wait for each other longer than they compute.
    with replacing(target) as part, one_thread():
        count = rewrite(path, part, change, size=watched.size, mute=mute)
        if count != len(watched.times):  # a frame that was not searched would be clear
            raise ImageError(
                f"expected {len(watched.times):,} frames as when it was searched, got {count:,}"
            )
