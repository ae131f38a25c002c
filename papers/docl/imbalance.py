"""Does one-class learning suffer less from classes of different sizes, as the paper says?

A random half of the digits is large, the other small, and then the other way round. Devices train
an autoencoder a class; beside them one network learns all classes from the same pictures. Both have
a few settings, chosen for each world by the balanced accuracy on the same validation pictures.

`cost` is what the imbalance itself takes: a world in which each class did as well as in a balanced
world of its own size has 0. That a class has few pictures is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from papers.docl.figures import draw_imbalance
from papers.docl.rival import Lesson, recalls, train_rival
from papers.docl.worlds import by_class, features_of, pictures_by_class, views_of
from papers.recipe import Results, Run
from papers.stages import Stages
from sfumato.data.sources import load
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.enrolled import scores
from sfumato.filter.oneclass import OneClassConfig, train
from sfumato.progress import track

Sizes = tuple[int, ...]
"""How many pictures each class has."""
Recalls = Float[Tensor, " classes"]

ONE_CLASS, PAPERS, RIVAL, WEIGHTED, ADJUSTED = (
    "one-class",
    "one-class, the paper's training",
    "all classes",
    "all classes, weighted",
    "all classes, adjusted",
)


@dataclass(frozen=True)
class Part:
    """Features and labels that train nothing."""

    x: Float[Tensor, "n d"]
    truth: Int64[Tensor, " n"]

    @classmethod
    def of(cls, backbone: Backbone, classes: Sequence[Tensor]) -> Part:
        """Return the features of pictures by class."""
        truth = torch.cat([torch.full((len(x),), c) for c, x in enumerate(classes)])
        return cls(features_of(backbone, torch.cat(list(classes))), truth)


@dataclass(frozen=True)
class Tried:
    """One trained setting: its recall of each class, on validation and on test pictures."""

    setting: str
    validated: Recalls
    tested: Recalls

    @property
    def merit(self) -> float:
        """The balanced accuracy by which settings are chosen."""
        return float(self.validated.mean())


class Digits:
    """Pictures of ten digits, of which every world takes the first ones of each."""

    def __init__(self, run: Run, spec: str, settings: Mapping[str, Any]) -> None:
        self.settings, self.seed, held = settings, run.seed, settings["validation"]
        self.backbone = open_backbone(spec)
        train_set, test_set = (
            run.uses(load("mnist", split=split, data_dir=run.data_dir))
            for split in ("train", "test")
        )
        rows = by_class(torch.arange(len(train_set)), train_set, "digit", run.seed)
        run.apart(
            trained=train_set.subset(torch.cat([r[held : held + settings["large"]] for r in rows])),
            validation=train_set.subset(torch.cat([r[:held] for r in rows])),
            victims=test_set,
        )
        own, tests = (pictures_by_class(part, "digit", run.seed) for part in (train_set, test_set))
        self.pictures = [x[held : held + settings["large"]] for x in own]
        self.judges = [Part.of(self.backbone, x) for x in ([x[:held] for x in own], tests)]
        self._rows: dict[tuple[int, int, str], Tensor] = {}
        self._errors: dict[tuple[str, int], tuple[Tensor, ...]] = {}

    def rows(self, digit: int, count: int, preset: str) -> Float[Tensor, "p v d"]:
        """Return the views that a training takes of the first pictures of a digit."""
        key = digit, count, preset
        if key not in self._rows:
            own, config = self.pictures[digit][:count], OneClassConfig.preset(preset)
            seed = self.seed + digit
            views = views_of(self.backbone, own, config.augmentation, count, seed=seed)
            plain = features_of(self.backbone, own)[:, None] if views is None else views
            self._rows[key] = plain
        return self._rows[key]

    def errors(self, preset: str, count: int) -> tuple[Tensor, ...]:
        """Return, for each part, the errors of ten digits that enrolled so many pictures each.

        A digit's network is the same in every world: nobody knows how many the others have.
        """
        key = preset, count
        if key not in self._errors:
            rows = [self.rows(digit, count, preset) for digit in range(len(self.pictures))]
            net = train(rows, OneClassConfig.preset(preset), seed=self.seed)
            self._errors[key] = tuple(scores(net, part.x) for part in self.judges)
        return self._errors[key]

    def one_class(self, presets: Sequence[str], sizes: Sizes) -> Iterator[Tried]:
        """Yield one-class trainings in a world."""
        for preset in presets:
            found = [
                torch.stack([self.errors(preset, n)[i][:, c] for c, n in enumerate(sizes)], 1)
                for i in range(len(self.judges))
            ]
            yield self._tried(preset, [-errors for errors in found])

    def rivals(self, sizes: Sizes) -> dict[str, list[Tried]]:
        """Return every network of all classes in a world, by way to live with the sizes."""
        ways: dict[str, list[Tried]] = {RIVAL: [], WEIGHTED: [], ADJUSTED: []}
        for preset, seen in {"paper": "pictures", "default": "views"}.items():
            lesson = Lesson.of([self.rows(c, n, preset) for c, n in enumerate(sizes)])
            plain = self._outputs(lesson, weighted=False)
            ways[RIVAL].append(self._tried(seen, plain))
            shifted = [values - lesson.shares.log() for values in plain]
            ways[ADJUSTED].append(self._tried(seen, shifted))
            alike = len(set(sizes)) == 1  # weights of 1 would train the same network again
            weighed = plain if alike else self._outputs(lesson, weighted=True)
            ways[WEIGHTED].append(self._tried(seen, weighed))
        return ways

    def _outputs(self, lesson: Lesson, *, weighted: bool) -> list[Tensor]:
        validation = self.judges[0].x, self.judges[0].truth
        net = train_rival(lesson, validation, weighted=weighted, seed=self.seed)
        with torch.no_grad():
            return [net(part.x) for part in self.judges]

    def _tried(self, setting: str, values: Sequence[Tensor]) -> Tried:
        found = [recalls(v, part.truth) for v, part in zip(values, self.judges, strict=True)]
        return Tried(setting, *found)


def imbalance(run: Run, settings: Mapping[str, Any]) -> Results:
    """Compare one-class learning with a network of all classes, from 1:1 to the largest ratio."""
    generator = torch.Generator().manual_seed(run.seed)
    order = torch.randperm(10, generator=generator).tolist()
    halves = [order[:5], order[5:]]
    digits = {name: Digits(run, spec, settings) for name, spec in settings["backbones"].items()}
    for preset in (*settings["presets"], "paper"):
        run.fits(preset, OneClassConfig.preset(preset))
    stages = Stages.of(run, settings)

    def compared(name: str) -> dict[str, Any]:
        return stages.document(name, lambda: _compared(digits[name], halves, settings))

    found = {name: compared(name) for name in digits}
    results: Results = {
        "training": asdict(OneClassConfig()),
        "halves": halves,
        "imbalance": found,
    }
    draw_imbalance(run, results)
    return results


def _compared(
    digits: Digits, halves: Sequence[Sequence[int]], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return, by size of the small classes, what each way reaches."""
    large = settings["large"]
    alike = {n: _chosen(digits, (n,) * 10) for n in {large, *settings["small"]}}
    found: dict[str, Any] = {}
    for small in track(settings["small"], "sizes"):
        worlds = (
            [
                (half, _sized(half, small, large), _chosen(digits, _sized(half, small, large)))
                for half in halves
            ]
            if small != large
            else [(half, (large,) * 10, alike[large]) for half in halves]
        )
        found[str(small)] = {"ratio": large / small} | {
            way: summary(way, worlds, alike) for way in alike[large]
        }
    return found


def _sized(half: Sequence[int], small: int, large: int) -> Sizes:
    return tuple(small if digit in half else large for digit in range(10))


def _chosen(digits: Digits, sizes: Sizes) -> dict[str, Tried]:
    """Return the best setting of each way on validation."""
    ways = {
        ONE_CLASS: list(digits.one_class(digits.settings["presets"], sizes)),
        PAPERS: list(digits.one_class(["paper"], sizes)),
    } | digits.rivals(sizes)
    return {way: max(tried, key=lambda one: one.merit) for way, tried in ways.items()}


def summary(
    way: str,
    worlds: Sequence[tuple[Sequence[int], Sizes, Mapping[str, Tried]]],
    alike: Mapping[int, Mapping[str, Tried]],
) -> dict[str, Any]:
    """Return what one way reaches, the mean over worlds, and what their imbalance costs."""
    rows = []
    for half, sizes, chosen in worlds:
        own = chosen[way].tested
        fair = torch.stack([alike[n][way].tested[digit] for digit, n in enumerate(sizes)])
        rest = [digit for digit in range(len(sizes)) if digit not in half]
        rows.append(
            {
                "balanced": float(own.mean()),
                "small": float(own[list(half)].mean()),
                "large": float(own[rest].mean()),
                "cost": float((fair - own).mean()),
                "cost_of_small": float((fair - own)[list(half)].mean()),
            }
        )
    names = [chosen[way].setting for _, _, chosen in worlds]
    return {key: fmean(row[key] for row in rows) for key in rows[0]} | {"settings": names}
