"""How fast a film is protected: ours and `deface`, the same film of 640x360, in alternation.

Both search, protect by mosaic, and write H.264 with the sound. Counted are core seconds of the
whole command, which waiting for a busy machine does not raise, and seconds. `--film FILE` takes a
film of your own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch.nn.functional as F
from jaxtyping import UInt8

_FRAMES: Final = 250
_SIDE: Final = (360, 640)
_RATE: Final = 25


def make_film(path: Path, frames: int) -> None:
    """Write a film in which one face goes to and fro: a real one, in the public domain."""
    import av
    import skimage.data
    import torch

    portrait = torch.from_numpy(skimage.data.astronaut()[10:230, 120:330].copy()).permute(2, 0, 1)
    face = F.interpolate(portrait[None], (94, 90), mode="bilinear", antialias=True)[0]
    plain = F.interpolate(
        torch.from_numpy(skimage.data.coffee().copy()).permute(2, 0, 1)[None],
        _SIDE,
        mode="bilinear",
    )[0]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=_RATE)
        stream.height, stream.width = _SIDE
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            picture = plain.clone()
            left = round(260 + 240 * np.sin(number / 25))
            top = round(130 + 80 * np.sin(number / 17))
            picture[:, top : top + 94, left : left + 90] = face
            out.mux(stream.encode(_frame(picture.permute(1, 2, 0).contiguous().numpy(), number)))
        out.mux(stream.encode(None))


def _frame(pixels: UInt8[np.ndarray, "h w 3"], number: int) -> Any:  # noqa: ANN401
    import av

    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = number, Fraction(1, _RATE)
    return frame


def _core_seconds(command: Sequence[str]) -> tuple[float, float]:
    """Return core seconds of a command, and seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - start


def main() -> None:
    """Run both commands on one film, twice, and print the better of each."""
    parser = argparse.ArgumentParser(prog="benchmarks.video", description=__doc__)
    parser.add_argument("--film", type=Path)
    parser.add_argument("--frames", type=int, default=_FRAMES)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        film = folder / "in" / f"film{asked.film.suffix if asked.film else '.mp4'}"
        if asked.film:
            film.write_bytes(asked.film.read_bytes())
        else:
            make_film(film, asked.frames)
        figures: dict[str, list[tuple[float, float]]] = {"sfumato": [], "deface": []}
        for number in range(asked.rounds):
            ours = [sys.executable, "-m", "sfumato", "release", "pixelate:14", "--faces"]
            ours += [f"--data=folder:{film.parent}", f"-o{folder / f'ours{number}'}"]
            theirs = [sys.executable, "-m", "deface.deface", str(film), "--replacewith", "mosaic"]
            theirs += ["--keep-audio", "-o", str(folder / f"theirs{number}{film.suffix}")]
            for kind, command in (("sfumato", ours), ("deface", theirs)):
                figures[kind].append(_core_seconds(command))
    best = {name: tuple(map(min, zip(*some, strict=True))) for name, some in figures.items()}
    for kind, (core, seconds) in best.items():
        print(f"video {kind:8} {core:7.1f} core seconds {seconds:7.1f} seconds")
    print(json.dumps({"frames": asked.frames, "best": best}))


if __name__ == "__main__":
    main()
