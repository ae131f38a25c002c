"""One film: searched for faces, linked, and written anew with every face protected."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.files import replacing
from sfumato.filter.oneclass import one_thread
from sfumato.photo.blend import protect_faces
from sfumato.photo.choice import Chooser
from sfumato.photo.config import FaceConfig
from sfumato.photo.find.box import Face, merged
from sfumato.photo.find.finder import MAYBE, FaceFinder, Passes
from sfumato.photo.video.film import Film, film_of, full_frames, rewrite, small_frames
from sfumato.photo.video.tracks import Track, link, protected_boxes
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
_BEYOND: Final = 0.25  # seconds that it is protected before and after


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What was found in a film."""

    frames: int
    tracks: tuple[Track, ...]
    film: Film

    def boxes(self) -> dict[int, list[Face]]:
        """Return what is protected, by frame."""
        beyond = round(_BEYOND * self.film.rate) + _EVERY
        return protected_boxes(self.tracks, beyond=beyond, frames=self.frames)


def watch(path: Path, find: FaceFinder, config: FaceConfig) -> Watched:
    """Search a film for faces and link them; a track counts where one of its boxes is sure.

    Raises:
        ImageError: it is no film, or malformed.
        UnavailableError: PyAV is not installed.
    """
    film = film_of(path)
    found: dict[int, list[Face]] = {}
    count = 0
    for picture, factor in track(
        small_frames(path, LONGEST), f"{path.name}: faces", total=film.frames or None
    ):
        if count % _EVERY == 0:
            passes = _ALL if count % _ROTATED == 0 else _UPRIGHT
            faces = find(picture, least=min(MAYBE, config.sure), passes=passes)
            found[count] = merged(face.scaled(factor) for face in faces)
        count += 1
    patience = max(_ROTATED, round(_PATIENCE * film.rate)) + 1
    tracks = [one for one in link(found, patience=patience) if one.score >= config.sure]
    return Watched(frames=count, tracks=tuple(tracks), film=film)


def minutes_for(frames: int) -> float:
    """Return about how long so many frames take here, by the time of one search."""
    if not frames:
        return 0.0
    find, plain = FaceFinder(), torch.zeros(3, LONGEST * 9 // 16, LONGEST, dtype=torch.uint8)
    start = time.perf_counter()
    find(plain, passes=_UPRIGHT)
    rotated = 5 / _ROTATED  # passes of a search in all rotations, upright ones not counted
    return frames * (time.perf_counter() - start) * (1 / _EVERY + rotated) / 60


def chosen(path: Path, watched: Watched, chooser: Chooser) -> Watched:
    """Return what is protected of a film, where only some people are: asked on each track's best.

    Raises:
        ImageError: the film is malformed.
    """
    asked: dict[int, list[Track]] = {}
    for one in watched.tracks:
        for frame in sorted(one.seen, key=lambda f: -one.seen[f].score)[:_ASKED]:
            asked.setdefault(frame, []).append(one)
    answers: dict[int, list[bool]] = {id(one): [] for one in watched.tracks}
    for number, picture in enumerate(full_frames(path)):
        tracks = asked.get(number, [])
        faces = [one.seen[number] for one in tracks]
        for one, answer in zip(tracks, chooser(picture, faces) if faces else (), strict=True):
            answers[id(one)].append(answer)
    kept = [one for one in watched.tracks if chooser.of_track(answers[id(one)])]
    return replace(watched, tracks=tuple(kept))


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
    done = iter(track(range(watched.frames), f"{path.name}: writing"))

    def change(number: int, pixels: UInt8[Tensor, "3 h w"]) -> UInt8[Tensor, "3 h w"] | None:
        next(done, None)
        faces = boxes.get(number)
        if not faces:
            return None
        return protect_faces(protector, pixels, faces, grow=config.grow, secret=secret)

    # Faces are small: more threads wait for each other longer than they compute.
    with replacing(target) as part, one_thread():
        rewrite(path, part, change, mute=mute)
