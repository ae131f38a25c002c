"""Attack 2 of the paper `shufflebits`: draw the picture from its release."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.attack.decoder import (
    Copy,
    Decoder,
    Perceptual,
    ReconstructionConfig,
    draw,
    train_decoder,
)
from sfumato.attack.matchers import similarities
from sfumato.attack.reidentify import rank
from sfumato.attack.scores import (
    PERFECT_PSNR,
    cosine_distance,
    draw_weights,
    interval,
    psnr,
    ssim,
    weighted_mean,
)
from sfumato.attack.sheet import write_sheet
from sfumato.attack.views import Source, Standard, View, ask, holdout, read, training_rows
from sfumato.data.imageset import MISSING
from sfumato.errors import ConfigError
from sfumato.types import Finding, Knowledge, Releases

Metric = Literal["cosine_distance", "psnr", "ssim"]
_CEILINGS: Mapping[str, float] = {"cosine_distance": 0.0, "psnr": PERFECT_PSNR, "ssim": 1.0}
_SHOWN = 12  # pictures on a contact sheet

Images = Float[Tensor, "n c h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionAttack:
    """Trains a generator on the adversary's own releases and draws the victims' pictures.

    Of the restarts of each seed the one counts that is best on held-out pictures of the
    adversary. Scored by PSNR, SSIM and, where the release is a feature vector, by the cosine
    distance between the features of the original and of the reconstruction (the same black box
    gives both), and by how often a reconstruction's nearest original is its own.
    The floor is the adversary's mean picture; `details` also has the nearest training picture.

    Raises:
        ConfigError: a feature loss without a perceptual network to measure it.
    """

    seeds: tuple[int, ...] = (0,)
    config: ReconstructionConfig = field(default_factory=ReconstructionConfig)
    perceptual: Perceptual | None = None
    """Pictures to early feature maps of some network, for the feature-reconstruction loss."""
    metric: Metric | None = None
    """The finding's figure; None is `cosine_distance` for feature vectors and else `psnr`."""
    identity: str | None = None
    """Label by whose values reconstructed pictures are also re-identified."""
    view: View = "numbers"
    source: Source = "release"
    sheets: Path | None = None
    """Folder for one PNG a protector: originals above reconstructions (a row a seed), nearest
    training pictures and the mean."""
    name: str = "reconstruct"

    def __post_init__(self) -> None:
        if self.config.feature and self.perceptual is None:
            raise ConfigError("a feature-reconstruction loss needs `perceptual`, a network's maps")

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Reconstruct the victims' pictures and score them.

        The ceiling is a perfect picture until an audit measures it.
        """
        own, like = training_rows(knowledge, self.source)
        rows, hidden = read(own, self.view), read(victim.tensor, self.view, like=like)
        standard = Standard.of(rows)
        judge = _Judge(victim, knowledge, own.ndim == 2, self.identity)
        metric = self._metric(judge)
        decoders = [self._best(rows, standard, knowledge, judge, metric, s) for s in self.seeds]
        drawn = [decoder(standard(hidden)) for decoder in decoders]
        mean = knowledge.images.mean(0, keepdim=True).expand_as(victim.images).contiguous()
        nearest = _nearest(standard(hidden), standard(rows), knowledge.images)
        if self.sheets is not None:
            shown = [part[:_SHOWN] for part in (victim.images, *drawn, nearest, mean)]
            write_sheet(self.sheets / f"{_file_name(self.name, victim.protector)}.png", shown)
        scores = [judge(pictures) for pictures in drawn]
        return self._finding(
            victim, metric, scores, decoders, {"mean": judge(mean), "nearest": judge(nearest)}
        )

    def _finding(
        self,
        victim: Releases,
        metric: Metric,
        scores: list[dict[str, Tensor]],
        decoders: list[Decoder],
        floors: Mapping[str, Mapping[str, Tensor]],
    ) -> Finding:
        weights = draw_weights(len(victim.images), seeds=len(scores))
        joined = {name: torch.cat([score[name] for score in scores]) for name in scores[0]}
        ends = {name: interval(weighted_mean(v), weights) for name, v in joined.items()}
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric=metric,
            value=float(joined[metric].mean()),
            floor=float(floors["mean"][metric].mean()),
            ceiling=_CEILINGS[metric],
            interval=ends[metric],
            seeds=self.seeds,
            details={
                "weights": self.config.weights(),
                "decoders": [decoder.name for decoder in decoders],
                "scores": {
                    name: {"value": float(v.mean()), "interval": list(ends[name])}
                    for name, v in joined.items()
                },
                "floors": {
                    kind: {name: float(v.mean()) for name, v in floor.items()}
                    for kind, floor in floors.items()
                },
                "values": [float(score[metric].mean()) for score in scores],
                "victims": len(victim.images),
            },
        )

    def _metric(self, judge: _Judge) -> Metric:
        if self.metric == "cosine_distance" and judge.extract is None:
            raise ConfigError("cosine_distance needs releases that are feature vectors")
        default: Metric = "psnr" if judge.extract is None else "cosine_distance"
        return self.metric or default

    def _best(
        self,
        raw: Float[Tensor, "n *shape"],
        standard: Standard,
        knowledge: Knowledge,
        judge: _Judge,
        metric: Metric,
        seed: int,
    ) -> Decoder:
        rows = standard(raw)
        train, check = holdout(len(rows), self.config.validation, groups=None, seed=seed)
        check = check[: self.config.most_validated]
        sign = -1 if metric == "cosine_distance" else 1

        def validated(pictures: Images) -> float:
            return sign * float(judge.score(knowledge.images[check], pictures)[metric].mean())

        decoders = [
            train_decoder(
                (rows[train], knowledge.images[train]),
                rows[check],
                validated,
                self.perceptual,
                self.config,
                seed=seed * 1_009 + restart,
            )
            for restart in range(self.config.restarts)
        ]
        if rows.shape[1:] == knowledge.images.shape[1:]:
            copy = Copy(standard)
            decoders.append(Decoder(copy, validated(draw(copy, rows[check])), "copy"))
        return max(decoders, key=lambda decoder: decoder.validated)


class _Judge:
    """Scores guesses at the victims' pictures, picture by picture."""

    def __init__(
        self, victim: Releases, knowledge: Knowledge, vectors: bool, identity: str | None
    ) -> None:
        self.images = victim.images
        query: Any = knowledge.query_plain or knowledge.query
        self.extract = query if vectors else None
        self.people = None if identity is None else victim.labels[identity]

    def __call__(self, guesses: Images) -> dict[str, Tensor]:
        scores = self.score(self.images, guesses)
        if self.extract is None:
            return scores
        made, true = (self._features(part) for part in (guesses, self.images))
        matches = similarities(made, true)
        scores["rank1_picture"] = (matches.argmax(1) == torch.arange(len(matches))).float()
        if self.people is not None:
            scores["rank1_identity"] = self._named(matches, self.people)
        return scores

    def score(self, images: Images, guesses: Images) -> dict[str, Tensor]:
        """Return the scores that need no gallery."""
        scores = {"psnr": psnr(images, guesses), "ssim": ssim(images, guesses)}
        if self.extract is not None:
            true, made = self._features(images), self._features(guesses)
            scores["cosine_distance"] = cosine_distance(true, made)
        return scores

    def _features(self, images: Images) -> Float[Tensor, "n d"]:
        assert self.extract is not None  # noqa: S101 - asked before
        # A stored picture has 8 bits; a score must not rest on what lies between them.
        return ask(self.extract, (images * 255).round() / 255).float()

    def _named(self, matches: Float[Tensor, "n n"], people: Tensor) -> Float[Tensor, "n"]:
        """Name the person by the originals of the others' pictures, never by the picture's own."""
        others = matches.clone().fill_diagonal_(-torch.inf)
        hits = rank(others, people, people) == 1
        return (hits & (people != MISSING)).float()


def _file_name(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", " ".join(parts)).strip("-")


def _nearest(
    hidden: Float[Tensor, "m *shape"], rows: Float[Tensor, "n *shape"], images: Images
) -> Float[Tensor, "m c h w"]:
    """Return the adversary's picture whose release is the nearest to each victim's."""
    flat = rows.flatten(1)
    where = [similarities(part, flat).argmax(1) for part in hidden.flatten(1).split(256)]
    return images[torch.cat(where)]
