"""A release of photographs that is under way: its folder, and what was found so far.

The folder `.NAME.part` holds what was written so far, and beside it lie the notes: what the release
is made of, and a line for each file that was looked at. The same command goes on from there.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sfumato.errors import InputError
from sfumato.files import MALFORMED, make_empty, resumable_writes, swap_folder, write_bytes
from sfumato.photo.boxes import Box
from sfumato.photo.find.box import Face
from sfumato.photo.video.watched import Watched, watched_of
from sfumato.protect.release.noise import SECRET_BYTES, fresh_secret

_STATE: Final = ".state.json"
_SEEN: Final = ".seen.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known of one file: the faces that were found, or why it is left out."""

    file: str
    name: str = ""
    """What it is called in the release, before numbers take its place; of a file that is left out
    before anything is written it is empty."""
    size: tuple[int, int] = (0, 0)
    """Width and height of the upright photograph or film."""
    boxes: tuple[Box, ...] = ()
    """Of a photograph."""
    film: Watched | None = None
    """What a film shows; of a photograph None."""
    left_out: str = ""

    def line(self) -> bytes:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> Seen:
        """Return what `line` wrote.

        Raises:
            ValueError, and others of `MALFORMED`: it is no such line.
        """
        document = json.loads(line)
        boxes = tuple(
            Box(face=Face(**box["face"]), protect=box["protect"]) for box in document.pop("boxes")
        )
        width, height = document.pop("size")
        film = document.pop("film")
        watched = None if film is None else watched_of(film)
        return cls(**document, boxes=boxes, size=(width, height), film=watched)


@dataclass(frozen=True, slots=True)
class Part:
    """The folder, what draws order and noise, and what was seen in earlier runs."""

    folder: Path
    secret: bytes
    seen: dict[str, Seen]

    @classmethod
    def begin(cls, out: Path, made_of: Mapping[str, str]) -> Part:
        """Go on with a release of the same, or start one.

        Raises:
            InputError: something else is there, or the folder cannot be written.
        """
        found = cls.under_way(out, made_of)
        return cls._new(out.with_name(f".{out.name}.part"), made_of) if found is None else found

    @classmethod
    def under_way(cls, out: Path, made_of: Mapping[str, str]) -> Part | None:
        """Return an interrupted release of the same; None where there is none.

        Raises:
            InputError: one of something else is there.
        """
        folder = out.with_name(f".{out.name}.part")
        state = _state(folder)
        if state is None:
            return None
        changed = [key for key, value in made_of.items() if state["made_of"].get(key) != value]
        if changed:
            raise InputError(
                f"{folder} is an interrupted release of something else: {' and '.join(changed)} "
                "changed. Delete that folder to start anew, or bring back what it was made of"
            )
        return cls(folder, bytes.fromhex(state["secret"]), dict(_read_seen(folder / _SEEN)))

    @classmethod
    def _new(cls, folder: Path, made_of: Mapping[str, str]) -> Part:
        make_empty(folder)
        secret = fresh_secret()
        document = {"made_of": dict(made_of), "secret": secret.hex()}
        write_bytes(folder / _STATE, json.dumps(document).encode(), mode=0o600)
        write_bytes(folder / _SEEN, b"", mode=0o600)  # names are private
        return cls(folder, secret, {})

    def note(self, seen: Seen) -> None:
        """Keep what was seen of one file.

        Raises:
            InputError: it cannot be written.
        """
        with resumable_writes(self.folder), (self.folder / _SEEN).open("ab") as stream:
            stream.write(seen.line())
        self.seen[seen.file] = seen

    def finish(self, out: Path, written: Sequence[str]) -> None:
        """Put the release in its place, with nothing in it but what was written.

        All files get one time: those at which they were written tell their originals' order.
        """
        kept = {self.folder / name for name in written}
        there = sorted(self.folder.rglob("*"), reverse=True)  # a folder after what is in it
        now = time.time_ns()
        for path in sorted(there, key=lambda path: path.name == _STATE):  # without it all is lost
            if path in kept or (path.is_dir() and any(path.iterdir())):
                os.utime(path, ns=(now, now))
            elif path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        swap_folder(self.folder, out)

    def give_up(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _state(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, *MALFORMED):
        state = json.loads((folder / _STATE).read_bytes())
        if len(bytes.fromhex(state["secret"])) == SECRET_BYTES and state["made_of"] is not None:
            return dict(state)
    return None


def _read_seen(path: Path) -> Iterator[tuple[str, Seen]]:
    """Yield what was noted; a line that an interruption cut is dropped from the file too."""
    if not path.exists():
        return
    whole = 0
    with path.open("rb") as stream:
        for line in stream:
            try:
                seen = Seen.of_line(line)
            except MALFORMED:
                break
            whole += len(line)
            yield seen.file, seen
    os.truncate(path, whole)
