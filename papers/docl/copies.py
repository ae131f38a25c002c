"""Copies or class: what PDQ hashes, the class model and both find of the same uploads.

People enroll a class model and the hashes of the same pictures. Uploaded, by somebody who enrolled
nothing, are copies of enrolled pictures after everyday edits and after those that a thief makes
without any training, new pictures of the same people, and pictures of strangers, as they are and
after the same edits. Half of the strangers choose alpha: the largest at which no more of them are
blocked than allowed. PDQ keeps its authors' threshold, and is looked up by the upload alone
(`one view`) and by the views of it that the service hashes (`pdq`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from papers.docl.edits import COLLAGE, EDITS, edited
from papers.docl.faces import chosen_backbone
from papers.docl.figures import draw_copies
from papers.recipe import Results, Run
from sfumato.attack.tools.scores import draw_weights, interval, weighted_mean
from sfumato.data.decoding.decode import Box, decode_image, encode_png
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.data.order import random_order
from sfumato.data.sets.characters import CharactersConfig, load_characters
from sfumato.data.sets.lfw import TIGHT
from sfumato.data.sources import load
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enroll import enroll
from sfumato.filter.neardup import MATCH, distances, pdq, stack
from sfumato.filter.oneclass import OneClassConfig
from sfumato.filter.rule.guard import Sigmas, contest_rule
from sfumato.filter.views import view_hashes
from sfumato.progress import track

_TRAIN = 0.75
_BATCH = 64
_PUBLIC = 200  # people with one picture who fit the scaler
_NO_PAIRS = torch.empty(0, 2, dtype=torch.int64)


@dataclass(frozen=True)
class Scene:
    """Pictures of people who enroll and of strangers, and how a platform reads an upload."""

    people: list[Tensor]
    strangers: Tensor
    backbone: Backbone
    box: Box | None
    """The part of a whole picture that the backbone sees."""

    def features(self, files: Sequence[bytes]) -> Tensor:
        """Return the features of uploaded files."""
        parts = []
        for start in track(range(0, len(files), _BATCH), "features of uploads"):
            chosen = [self.seen(file) for file in files[start : start + _BATCH]]
            with torch.no_grad():
                parts.append(self.backbone(torch.stack(chosen)))
        return torch.cat(parts)

    def seen(self, file: bytes) -> Tensor:
        """Return the part of a picture that the backbone sees."""
        picture = decode_image(file)
        side = self.backbone.preprocess.size
        if self.box is None:
            return decode_image(file, channels=3, size=side)
        # No detector: the face is looked for where it was in the whole picture.
        scale = (
            picture.shape[2] / self.people[0].shape[3],
            picture.shape[1] / self.people[0].shape[2],
        )
        left, top, right, bottom = (round(e * scale[i % 2]) for i, e in enumerate(self.box))
        return decode_image(file, channels=3, size=side, box=(left, top, right, bottom))


@dataclass(frozen=True)
class Enrolled:
    """What the platform has."""

    bank: Bank
    hashes: Tensor

    def found(self, uploads: Uploads, alpha: float) -> dict[str, Tensor]:
        """Return for each way which uploads it blocks."""
        claimed = self.claimed_at(uploads.features, alpha)
        copied = torch.tensor([self._copied(views) for views in uploads.hashes])
        alone = torch.tensor([self._copied(views[:1]) for views in uploads.hashes])
        return {"one view": alone, "pdq": copied, "class": claimed, "both": copied | claimed}

    def claimed_at(self, x: Tensor, alpha: float) -> Tensor:
        """Return which uploads each enrollment claims at this alpha."""
        scores = self.bank.score(x)
        nobody = torch.zeros_like(scores.errors, dtype=torch.bool)
        unit = Sigmas(scores.mu, scores.sigma)
        rule = contest_rule(
            scores.errors, unit(scores.errors), nobody, contested=_NO_PAIRS, alpha=alpha
        )
        return rule.blocked

    def _copied(self, views: Tensor) -> bool:
        return len(views) > 0 and int(distances(views, self.hashes).min()) <= MATCH


@dataclass(frozen=True)
class Uploads:
    """Files as the platform reads them, and whose pictures they are."""

    features: Tensor
    hashes: list[Tensor]
    """Of each file those of its views, its own first."""
    owner: Tensor

    @classmethod
    def read(cls, scene: Scene, files: Sequence[bytes], owner: Tensor) -> Uploads:
        """Return what the platform computes of each file."""
        hashes = [view_hashes(decode_image(file)) for file in files]
        return cls(scene.features(files), hashes, owner)


def copies(run: Run, settings: Mapping[str, Any]) -> Results:
    """Compare the three ways on copies, new pictures and strangers."""
    scene = {"lfw": _lfw, "characters": _characters}[settings["source"]](run, settings)
    cuts = [round(_TRAIN * len(x)) for x in scene.people]
    private = [x[:cut] for x, cut in zip(scene.people, cuts, strict=True)]
    fresh = [x[cut:] for x, cut in zip(scene.people, cuts, strict=True)]
    config = OneClassConfig.preset("plain")
    enrolled = enroll_all(scene, private, config, run.seed)
    strangers = read_uploads(scene, [scene.strangers], encode_png)
    alpha = strictest_alpha(enrolled, strangers, settings["false_blocks"])
    copied = [x[: settings["copied"]] for x in private]
    beside, others = (
        list(scene.strangers[-3:]),
        scene.strangers[1:-3:2][: settings["edited_strangers"]],
    )
    names = [*EDITS, COLLAGE]
    uploads, false = (
        {n: read_uploads(scene, x, partial(edited, name=n, beside=beside)) for n in names}
        for x in (copied, [others])
    )
    uploads["new pictures"] = read_uploads(scene, fresh, encode_png)
    found = {name: rates(enrolled, u, alpha, run.seed) for name, u in uploads.items()}
    edits = _joined([uploads[name] for name in names])
    results: Results = {
        "training": asdict(config),
        "people": len(private),
        "enrolled_pictures": sum(map(len, private)),
        "hashes": len(enrolled.hashes),
        "alpha": alpha,
        "copies": rates(enrolled, edits, alpha, run.seed),
        "uploads": found | {"strangers": rates(enrolled, _odd(strangers), alpha, run.seed)},
        "strangers_edited": {
            name: rates(enrolled, some, alpha, run.seed) for name, some in false.items()
        },
    }
    draw_copies(run, results)
    return results


def enroll_all(
    scene: Scene, private: Sequence[Tensor], config: OneClassConfig, seed: int
) -> Enrolled:
    """Enroll each person by the given pictures."""
    bank = Bank.empty(scene.backbone.dim, config.hidden, backbone=scene.backbone.fingerprint)
    hashes = []
    for i, x in enumerate(track(private, "enrolling")):
        files = [encode_png(picture) for picture in x]
        own = stack(pdq(picture) for picture in x)
        made = enroll(
            scene.features(files),
            config,
            backbone=scene.backbone.fingerprint,
            seed=seed + i,
            copies=own,
        )
        bank.add(str(i), made)
        hashes += [] if own is None else [own]
    return Enrolled(bank, torch.cat(hashes))


def read_uploads(
    scene: Scene, pictures: Sequence[Tensor], file: Callable[[Tensor], bytes]
) -> Uploads:
    """Return what the service sees of each person's pictures, written as files by `file`."""
    owner = torch.cat([torch.full((len(x),), i) for i, x in enumerate(pictures)])
    if len(pictures) == 1:
        owner = torch.arange(len(pictures[0]))  # every stranger is another person
    return Uploads.read(scene, [file(picture) for x in pictures for picture in x], owner)


def strictest_alpha(enrolled: Enrolled, strangers: Uploads, allowed: float) -> float:
    """Return the largest alpha at which no more of the strangers are claimed than allowed."""
    scores = enrolled.bank.score(strangers.features[::2])
    nearest = ((scores.errors - scores.mu) / scores.sigma).min(1).values.sort().values
    first_too_many = nearest[int(allowed * len(nearest))]
    return float(first_too_many.nextafter(torch.tensor(-torch.inf)))


def rates(enrolled: Enrolled, uploads: Uploads, alpha: float, seed: int) -> dict[str, Any]:
    """Return the share of uploads that each way blocks; people are drawn anew for the interval."""
    weights = draw_weights(len(uploads.owner), groups=uploads.owner, seed=seed)
    return {
        way: {
            "value": float(blocked.float().mean()),
            "interval": list(interval(weighted_mean(blocked.float()), weights)),
            "count": len(blocked),
        }
        for way, blocked in enrolled.found(uploads, alpha).items()
    }


def _joined(parts: Sequence[Uploads]) -> Uploads:
    return Uploads(
        torch.cat([u.features for u in parts]),
        [hash_ for u in parts for hash_ in u.hashes],
        torch.cat([u.owner for u in parts]),
    )


def _odd(uploads: Uploads) -> Uploads:
    return Uploads(uploads.features[1::2], uploads.hashes[1::2], uploads.owner[1::2])


def _lfw(run: Run, settings: Mapping[str, Any]) -> Scene:
    images = run.uses(load("lfw", data_dir=run.data_dir, size=settings["size"]))
    owner = images.label("identity")
    count = owner.bincount()
    one = (count[owner] == 1).nonzero()[:, 0]
    public, strangers = one[:_PUBLIC], one[_PUBLIC:][: settings["strangers"]]
    tight = load("lfw", data_dir=run.data_dir, box=TIGHT, size=150)
    backbone = chosen_backbone(run, "face").fit(tight.subset(public))
    people = _by_person(images, (count >= settings["least"]).nonzero()[:, 0].tolist(), run.seed)
    return Scene(
        [x[: settings["pictures"]] for x in people],
        images.images[strangers],
        backbone,
        TIGHT,
    )


def _characters(run: Run, settings: Mapping[str, Any]) -> Scene:
    people = settings["people"]
    config = CharactersConfig(identities=people, count=people * settings["pictures"])
    options = SourceOptions(size=settings["size"], seed=run.seed)
    images = run.uses(load_characters(options, config))
    owner = images.label("identity")
    enrolled = _by_person(images, list(range(10)), run.seed)
    others = images.images[(owner >= 10).nonzero()[:, 0][: settings["strangers"]]]
    return Scene(enrolled, others, open_backbone("gradients:1x28x28"), None)


def _by_person(images: ImageSet, people: Sequence[int], seed: int) -> list[Tensor]:
    owner = images.label("identity")
    found = []
    for person in people:
        rows = (owner == person).nonzero()[:, 0]
        order = random_order(len(rows), seed + person)
        found.append(images.images[rows[order]])
    return found
