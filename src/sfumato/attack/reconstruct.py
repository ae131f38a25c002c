"""Attack 2 of the paper `shufflebits`: draw the picture from its release."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.attack.reidentify import rank
from sfumato.attack.tools.decoder import (
    Copy,
    Decoder,
    Perceptual,
    ReconstructionConfig,
    draw,
    train_decoder,
)
from sfumato.attack.tools.learners import start_of
from sfumato.attack.tools.matchers import similarities
from sfumato.attack.tools.read import (
    Standard,
    View,
    drawn_rows,
    holdout,
    read,
)
from sfumato.attack.tools.scores import (
    PERFECT_PSNR,
    cosine_distance,
    mean_interval,
    psnr,
    ssim,
)
from sfumato.attack.tools.sheet import write_sheet
from sfumato.data.imageset import MISSING
from sfumato.data.pixels import as_uint8
from sfumato.errors import ConfigError
from sfumato.types import Attack, Details, Finding, Knowledge, Releases, Trained, ask

Metric = Literal["cosine_distance", "psnr", "ssim"]
_CEILINGS: Mapping[str, float] = {"cosine_distance": 0.0, "psnr": PERFECT_PSNR, "ssim": 1.0}
_SHOWN = 12  # pictures on a contact sheet

Images = Float[Tensor, "n c h w"]
Query = Callable[[Images], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A mean over victims and seeds, and its 95 % interval."""

    value: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionDetails(Details):
    """What reconstruction reports beside its figure."""

    kind: ClassVar[str] = "reconstruct"
    victims: int
    weights: Mapping[str, float]
    """Of the losses that the decoder was trained with."""
    scores: Mapping[str, Score]
    """By metric."""
    floors: Mapping[str, Mapping[str, float]]
    """By what is drawn without a release (`mean`, `nearest`, `class mean`) and metric."""
    values: tuple[float, ...]
    """The figure of each seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionAttack(Attack):
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
    label: str | None = None
    """Label whose classes' mean pictures are a floor as well: what a release that tells the class,
    and nothing more, gives away."""
    view: View = "numbers"
    sheets: Path | None = field(default=None, compare=False)
    """Folder for one PNG a protector: originals above reconstructions (a row a seed), nearest
    training pictures and the mean."""
    name: str = "reconstruct"

    def __post_init__(self) -> None:
        if self.config.feature and self.perceptual is None:
            raise ConfigError("a feature-reconstruction loss needs `perceptual`, a network's maps")

    def sheet(self, protector: str) -> Path | None:
        """Return the file of the sheet drawn for a protector, or None where none is asked for."""
        return None if self.sheets is None else self.sheets / sheet_name(self.name, protector)

    def reads(self) -> tuple[str, ...]:
        """Return the labels that both sides need."""
        return tuple(name for name in (self.label, self.identity) if name)

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Reconstruct the victims' pictures and score them.

        The ceiling is a perfect picture until an audit measures it.
        """
        return self.apply(self.learn(knowledge), victim, knowledge)

    def learn(self, knowledge: Knowledge) -> TrainedDecoders:
        """Train on what the adversary has; the result may be applied to many releases.

        Raises:
            ConfigError: the metric needs feature vectors and the releases are none.
        """
        own = ask(knowledge.query, knowledge.images)
        raw = read(own, self.view)
        standard = Standard.of(raw)
        rows = standard(raw)
        extract = (knowledge.query_plain or knowledge.query) if own.ndim == 2 else None
        metric = self.metric or ("psnr" if extract is None else "cosine_distance")
        if metric == "cosine_distance" and extract is None:
            raise ConfigError("cosine_distance needs releases that are feature vectors")
        scorer = Scorer(extract)
        decoders = [
            self._best(rows, standard, knowledge.images, scorer, metric, seed)
            for seed in self.seeds
        ]
        return TrainedDecoders(standard, rows, decoders, scorer, metric, self.view)

    def apply(self, trained: TrainedDecoders, victim: Releases, knowledge: Knowledge) -> Finding:
        """Draw the victims' pictures and score them."""
        hidden, drawn = trained.hidden(victim), trained.draw(victim)
        mean = knowledge.images.mean(0, keepdim=True).expand_as(victim.images).contiguous()
        nearest = _nearest(hidden, trained.rows, knowledge.images)
        sheet = self.sheet(victim.protector)
        if sheet is not None:
            write_sheet(sheet, [p[:_SHOWN] for p in (victim.images, *drawn, nearest, mean)])
        floors = {"mean": mean, "nearest": nearest}
        if self.label is not None:
            own = knowledge.labels[self.label]
            floors["class mean"] = _class_means(knowledge.images, own, victim.labels[self.label])
        people = None if self.identity is None else victim.labels[self.identity]
        scores = [trained.scorer.among(victim.images, pictures, people) for pictures in drawn]
        floor_scores = {
            name: trained.scorer.among(victim.images, pictures, people)
            for name, pictures in floors.items()
        }
        return self._finding(victim, trained, scores, floor_scores)

    def _finding(
        self,
        victim: Releases,
        trained: TrainedDecoders,
        scores: list[dict[str, Tensor]],
        floors: Mapping[str, Mapping[str, Tensor]],
    ) -> Finding:
        metric = trained.metric
        joined = {name: torch.stack([score[name] for score in scores]) for name in scores[0]}
        ends = {name: mean_interval(v) for name, v in joined.items()}
        return Finding(
            attack=self.name,
            protector=victim.protector,
            metric=metric,
            value=float(joined[metric].mean()),
            floor=float(floors["mean"][metric].mean()),
            ceiling=_CEILINGS[metric],
            interval=ends[metric],
            seeds=self.seeds,
            floor_interval=mean_interval(floors["mean"][metric][None]),
            details=ReconstructionDetails(
                victims=len(victim.images),
                weights=self.config.weights(),
                trained=tuple(
                    Trained(
                        learner=decoder.name,
                        seed=seed,
                        validated=decoder.validated,
                        training=decoder.training,
                    )
                    for decoder, seed in zip(trained.decoders, self.seeds, strict=True)
                ),
                scores={
                    name: Score(value=float(v.mean()), interval=ends[name])
                    for name, v in joined.items()
                },
                floors={
                    kind: {name: float(v.mean()) for name, v in floor.items()}
                    for kind, floor in floors.items()
                },
                values=tuple(float(score[metric].mean()) for score in scores),
            ),
        )

    def _best(
        self,
        rows: Float[Tensor, "n *shape"],
        standard: Standard,
        images: Images,
        scorer: Scorer,
        metric: Metric,
        seed: int,
    ) -> Decoder:
        train, check = holdout(len(rows), self.config.validation, groups=None, seed=seed)
        check = drawn_rows(check, self.config.most_validated, seed=seed)
        sign = -1 if metric == "cosine_distance" else 1

        def validated(pictures: Images) -> float:
            return sign * float(scorer.score(images[check], pictures)[metric].mean())

        decoders = [
            train_decoder(
                (rows[train], images[train]),
                rows[check],
                validated,
                self.perceptual,
                self.config,
                network=network,
                seed=start_of(seed, restart),
            )
            for network in self.config.networks
            for restart in range(self.config.restarts)
        ]
        if rows.shape[1:] == images.shape[1:]:
            copies = {
                "copy": Copy.of(standard),
                "rescaled copy": Copy.rescaled(rows[train], images[train]),
            }
            decoders += [
                Decoder(copy, validated(draw(copy, rows[check])), name)
                for name, copy in copies.items()
            ]
        return max(decoders, key=lambda decoder: decoder.validated)


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores guesses at pictures, one by one; `extract` is the black box that made the features."""

    extract: Query | None

    def among(
        self, images: Images, guesses: Images, people: Int64[Tensor, "n"] | None
    ) -> dict[str, Tensor]:
        """Return the scores, and whether each guess is re-identified among all the originals."""
        scores = self.score(images, guesses)
        if self.extract is None:
            return scores
        made, true = (self._features(part) for part in (guesses, images))
        matches = similarities(made, true)
        scores["rank1_picture"] = (matches.argmax(1) == torch.arange(len(matches))).float()
        if people is not None:
            scores["rank1_identity"] = _named(matches, people)
        return scores

    def score(self, images: Images, guesses: Images) -> dict[str, Tensor]:
        """Return the scores that need no gallery."""
        scores = {"psnr": psnr(images, guesses), "ssim": ssim(images, guesses)}
        if self.extract is not None:
            true, made = self._features(images), self._features(guesses)
            scores["cosine_distance"] = cosine_distance(true, made)
        return scores

    def _features(self, images: Images) -> Float[Tensor, "n d"]:
        assert self.extract is not None  # noqa: S101 - callers asked
        # A stored picture has 8 bits; a score must not rest on what lies between them.
        return ask(self.extract, as_uint8(images) / 255).float()


@dataclass(frozen=True, slots=True)
class TrainedDecoders:
    """What a reconstruction attack has learned: the best decoder of each seed, and its input."""

    standard: Standard
    rows: Float[Tensor, "n *shape"]
    decoders: list[Decoder]
    scorer: Scorer
    metric: Metric
    view: View

    def draw(self, victim: Releases) -> list[Images]:
        """Return the victims' pictures as the decoder of each seed draws them."""
        hidden = self.hidden(victim)
        return [decoder(hidden) for decoder in self.decoders]

    def hidden(self, victim: Releases) -> Float[Tensor, "m *shape"]:
        """Return the victims' releases as the decoders take them."""
        return self.standard(read(victim.tensor, self.view))

    def scores(self, victim: Releases) -> Float[Tensor, "seeds m"]:
        """Return the attack's metric for every drawn picture, to compare two attacks."""
        drawn = self.draw(victim)
        return torch.stack([self.scorer.score(victim.images, d)[self.metric] for d in drawn])


def _named(matches: Float[Tensor, "n n"], people: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Name the person by the originals of their other pictures, never by the picture's own."""
    others = matches.clone().fill_diagonal_(-torch.inf)
    hits = rank(others, people, people) == 1
    return (hits & (people != MISSING)).float()


def _class_means(
    images: Images, own: Int64[Tensor, "n"], wanted: Int64[Tensor, "m"]
) -> Float[Tensor, "m c h w"]:
    """Return for each victim the adversary's mean picture of that class, or of all without it."""
    overall = images.mean(0)
    means = {int(value): images[own == value].mean(0) for value in own.unique() if value != MISSING}
    return torch.stack([means.get(int(value), overall) for value in wanted])


def sheet_name(*parts: str) -> str:
    """Return a file name for a sheet of these: an attack and a protector, say."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", " ".join(parts)).strip("-.") + ".png"


def _nearest(
    hidden: Float[Tensor, "m *shape"], rows: Float[Tensor, "n *shape"], images: Images
) -> Float[Tensor, "m c h w"]:
    """Return the adversary's picture whose release is the nearest to each victim's."""
    flat = rows.flatten(1)
    where = [similarities(part, flat).argmax(1) for part in hidden.flatten(1).split(256)]
    return images[torch.cat(where)]
