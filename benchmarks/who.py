"""Whom `--only` and `--except` protect in whole pictures: finder and enrollment together.

`python -m benchmarks.who --data FOLDER --photos FOLDER` enrolls people of LFW with some of their
pictures, as `filter enroll` does, and pastes their other pictures beside strangers' into
photographs without people (`benchmarks.scenes`). A face is protected where an oval in a protected
box covers its middle.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import torch

from benchmarks.faces import covered
from benchmarks.scenes import Pasted, Scene, make_scenes
from sfumato.data.decoding.decode import encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages
from sfumato.data.order import random_order
from sfumato.data.sources import load
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.device import enroll_folder
from sfumato.filter.oneclass import OneClassConfig
from sfumato.intervals import wilson_interval
from sfumato.photo.config import SURE
from sfumato.photo.find.box import Face
from sfumato.photo.find.finder import FaceFinder
from sfumato.photo.who import PersonChooser, protected

_ENROLLED: Final = 8  # pictures of each person
_OTHERS: Final = 8
_PUBLIC: Final = 400  # pictures of people who are in no scene, for the backbone's range


def people_of(images: ImageSet, count: int, *, seed: int) -> tuple[list[int], list[int]]:
    """Return people with enough pictures, drawn at random, and all others in random order."""
    who = images.label("identity")
    totals = torch.bincount(who)
    order = random_order(len(totals), seed)
    enough = totals[order] >= _ENROLLED + _OTHERS
    own = order[enough][:count]
    return own.tolist(), order[~torch.isin(order, own)].tolist()


def enrolled(
    images: ImageSet, people: Sequence[int], backbone: Backbone, *, seed: int
) -> dict[int, PersonChooser]:
    """Enroll each person with their first pictures, as the command does."""
    found = {}
    for person in people:
        rows = (images.label("identity") == person).nonzero().squeeze(1)[:_ENROLLED].tolist()
        with tempfile.TemporaryDirectory() as folder:
            pictures = Path(folder) / "pictures"
            pictures.mkdir()
            for row in rows:
                (pictures / f"{row}.png").write_bytes(encode_png(images.images[row]))
            key = Path(folder) / "key.pem"
            made = enroll_folder(pictures, backbone, OneClassConfig(), key=key, seed=seed)
        found[person] = PersonChooser(made.enrollment, backbone, "only")
    return found


def scenes_of(
    images: ImageSet, own: Sequence[int], others: Sequence[int], photos: Path, count: int, seed: int
) -> list[Scene]:
    """Return scenes of as many pictures of the enrolled people as of strangers."""
    who = images.label("identity")
    rows = [(who == p).nonzero().squeeze(1)[_ENROLLED : _ENROLLED + _OTHERS] for p in own]
    strangers = [(who == p).nonzero().squeeze(1)[:1] for p in others[: _OTHERS * len(own)]]
    chosen = torch.cat([*rows, *strangers])
    pixels = images.images[chosen].permute(0, 2, 3, 1).numpy()
    files = sorted(path for path in photos.iterdir() if path.is_file())
    made = make_scenes(files, pixels, who[chosen].tolist(), count, seed=seed)
    return [scene for scene in made if scene.faces]


def judged(scene: Scene, finder: FaceFinder, choosers: dict[int, PersonChooser]) -> Iterator[str]:
    """Yield what became of each face of a scene, for each enrolled person who is in it."""
    picture = torch.from_numpy(scene.pixels.copy()).permute(2, 0, 1)
    boxes = finder(picture, least=SURE)
    for person in sorted({face.who for face in scene.faces} & choosers.keys()):
        sigmas = [choosers[person].sigmas(picture, box) for box in boxes]
        only = [box for box, far in zip(boxes, sigmas, strict=True) if protected("only", far)]
        rest = [box for box, far in zip(boxes, sigmas, strict=True) if protected("except", far)]
        for face in scene.faces:
            whose = "own" if face.who == person else "stranger"
            yield f"{whose}: {'found' if covered(face, boxes) else 'missed'}"
            yield f"only, {whose}: {_state(face, only)}"
            yield f"except, {whose}: {_state(face, rest)}"


def _state(face: Pasted, boxes: Sequence[Face]) -> str:
    return "protected" if covered(face, boxes) else "clear"


def main() -> None:
    """Parse the command line, run, and end with one line of JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.who", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds lfw/")
    parser.add_argument("--photos", type=Path, required=True, help="photographs without people")
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    images = load("lfw", data_dir=asked.data, size=160, channels=3)
    own, others = people_of(images, asked.people, seed=asked.seed)
    public = images.subset(torch.isin(images.label("identity"), torch.tensor(others[-_PUBLIC:])))
    backbone = open_backbone("face", public=LoadedImages(public))
    choosers = enrolled(images, own, backbone, seed=asked.seed)
    finder, counts = FaceFinder(), Counter[str]()
    for scene in scenes_of(images, own, others, asked.photos, asked.scenes, asked.seed):
        counts.update(judged(scene, finder, choosers))
    for key, count in sorted(counts.items()):
        group = key.partition(":")[0]
        whole = sum(n for name, n in counts.items() if name.partition(":")[0] == group)
        low, high = wilson_interval(count / whole, whole)
        print(f"{key:32} {count:5} of {whole:5}  {count / whole:.3f} [{low:.3f}, {high:.3f}]")
    print(json.dumps(dict(sorted(counts.items()))))


if __name__ == "__main__":
    main()
