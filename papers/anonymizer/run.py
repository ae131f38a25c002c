"""The recipes of the paper `anonymizer`; settings are in `recipes/`, equations in the README."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from papers.anonymizer import figures, methods, worlds
from papers.anonymizer.assess import Assessment, assess, attackers, information, pooled
from papers.anonymizer.attacks import attacks
from papers.anonymizer.fig2 import fig2
from papers.anonymizer.worlds import World
from papers.recipe import Recipe, Results, Run
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit.measure.collection import of_collection
from sfumato.device import device_of
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.baselines import Unprotected
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.types import Protector


class _Study:
    """One recipe's run: every assessment in it uses the same pictures and the same attackers."""

    def __init__(self, run: Run, world: World, settings: Mapping[str, Any]) -> None:
        self.run, self.world, self.settings = run, world, settings
        self.config: LearnerConfig = attackers(settings, run.device)
        # Our own method gets the attacker with the most starts.
        self.headline = replace(self.config, restarts=settings["headline_restarts"])
        self.labels = (world.private, world.utility, *world.unseen)
        self.seeds = [run.seed + i for i in range(settings["seeds"])]
        self.frontier: list[dict[str, Any]] = []
        # One picture that the anonymiser learns from and one that it does not, over the epochs.
        few = [part.subset([0]).floats() for part in (world.train, world.validation)]
        self.watched: Float[Tensor, "n c h w"] = torch.cat(few)
        self.frames: list[Float[Tensor, "n c h w"]] = []

    def assess(self, protector: Protector, seed: int, *, headline: bool = False) -> Assessment:
        """Assess one protector."""
        config = self.headline if headline else self.config
        found = assess(protector, self.world, self.labels, config, seed=seed)
        figures_of = "  ".join(f"{label} {100 * found.value(label):.1f} %" for label in self.labels)
        print(f"{protector.name}, seed {seed}: {figures_of}", file=sys.stderr, flush=True)
        return found

    def point(self, assessments: Sequence[Assessment], *, suffix: str = "") -> dict[str, Any]:
        """Pool the assessments of one method over seeds, and put it on the frontier."""
        roles = {"private": self.world.private, "utility": self.world.utility}
        found = {role: pooled(assessments, label) for role, label in roles.items()}
        self.frontier.append(
            {"protector": assessments[0].protector + suffix}
            | {role: figure["value"] for role, figure in found.items()}
        )
        return found | {label: pooled(assessments, label) for label in self.world.unseen}


Goal = Callable[[float], float]
"""The accuracy to reach, given chance (private) or the accuracy on originals (utility)."""


def _recipe(make: Callable[[Run, Mapping[str, Any]], World], goal: Mapping[str, Goal]) -> Recipe:
    def recipe(run: Run, settings: Mapping[str, Any]) -> Results:
        world = make(run, settings)
        study = _Study(run, world, settings)
        ours = _Ours.of(study)
        original = study.point([study.assess(Unprotected(), run.seed)])
        sweep, papers = _sweep(study)
        last = papers[settings["lams"][-1]]
        for protector in methods.baselines(world, settings):
            study.point([study.assess(protector, run.seed)])
        substituted = {} if world.template is None else {"substituted": _substituted(study, papers)}
        results: Results = {
            "private": world.private,
            "utility": world.utility,
            "chance": world.chance,
            "private_accuracy": ours.kept["private"]["value"],
            "utility_accuracy": ours.kept["utility"]["value"],
            "utility_kept": ours.kept["utility"]["value"] / original["utility"]["value"],
            "goal": {
                "private": goal["private"](world.chance),
                "utility": goal["utility"](original["utility"]["value"]),
            },
            "counts": {
                part: len(getattr(world, part))
                for part in ("train", "validation", "test", "strangers")
            },
            "original": original,
            "prototypes": ours.kept,
            "prototypes_without_label": ours.bare,
            "guarantee": ours.made.standing,
            "information": information(ours.released, world),
            "sweep": sweep,
            **substituted,
            "frontier": study.frontier,
            "attacks": {
                name: attacks(world, protector, study.config, seed=run.seed)
                for name, protector in (
                    ("original", Unprotected()),
                    ("prototypes", ours.made),
                    ("paper", last),
                )
            },
        }
        results["pictures"] = _draw(study, results, ours, last)
        return results

    recipe.__doc__ = make.__doc__
    return recipe


@dataclass(frozen=True, slots=True)
class _Ours:
    """The prototypes: released with the utility label, as the README's command does, and without.

    Everything is a release of the whole collection; the adversary knows who its training part is.
    """

    kept: dict[str, Any]
    bare: dict[str, Any]
    made: PrototypeAnonymizer
    """Of the first seed."""
    released: Protector
    """What releases it with the utility label."""

    @classmethod
    def of(cls, study: _Study) -> _Ours:
        """Fit and assess every number of prototypes, the default over the seeds."""
        world, settings = study.world, study.settings
        everyone, labels = worlds.released_set(world), (world.utility,)
        config = methods.prototypes_config(settings)
        study.run.fits("prototypes", config)
        for count in settings["others"]:
            made = _prototypes(study, count, study.run.seed)
            released = of_collection(made, [everyone], labels)
            study.point([study.assess(released, study.run.seed)])
        fitted = [_prototypes(study, config.prototypes, seed) for seed in study.seeds]
        found = [
            [
                of_collection(one, [everyone], kept, seed=seed)
                for one, seed in zip(fitted, study.seeds, strict=True)
            ]
            for kept in (labels, ())
        ]
        points = [
            study.point(
                [study.assess(one, seed, headline=True)
                 for one, seed in zip(released, study.seeds, strict=True)],
                suffix=suffix,
            )
            for released, suffix in zip(found, ("", ", no label kept"), strict=True)
        ]  # fmt: skip
        return cls(points[0], points[1], fitted[0], found[0][0])


def _prototypes(study: _Study, count: int, seed: int) -> PrototypeAnonymizer:
    return methods.prototypes(study.run, study.world, study.settings, count=count, seed=seed)


def _sweep(study: _Study) -> tuple[list[dict[str, Any]], dict[float, Anonymizer]]:
    """Return the paper's method over lambda, and the anonymiser of each lambda's first seed."""
    rows, kept = [], {}
    for lam in study.settings["lams"]:
        made = [_fitted(study, lam, seed) for seed in study.seeds]
        kept[lam] = made[0]
        study.run.fits("paper", methods.paper_config(study.settings, lam))
        pairs = zip(made, study.seeds, strict=True)
        rows.append({"lam": lam, **study.point([study.assess(one, s) for one, s in pairs])})
    return rows, kept


def _fitted(study: _Study, lam: float, seed: int) -> Anonymizer:
    """Return the paper's anonymiser; of the lambda that Fig. 3 shows, keep the picture's epochs."""
    shown = lam == study.settings["shown_lam"] and seed == study.run.seed

    def keep(_: int, made: Anonymizer) -> None:
        watched = study.watched.to(device_of(made))
        study.frames.append(made.autoencoder(watched).detach().cpu())

    return methods.paper(
        study.run, study.world, study.settings, lam=lam, seed=seed,
        after_epoch=keep if shown else None,
    )  # fmt: skip


def _substituted(study: _Study, made: Mapping[float, Anonymizer]) -> list[dict[str, Any]]:
    """Return Table 1's method: each release is the template's nearest real picture."""
    template = study.world.template
    assert template is not None
    return [
        {
            "lam": lam,
            **study.point([study.assess(one.substituted(template.floats()), study.run.seed)]),
        }
        for lam, one in made.items()
    ]


def _draw(study: _Study, results: Results, ours: _Ours, last: Anonymizer) -> list[str]:
    run, world, frames = study.run, study.world, study.frames
    step = max(1, len(frames) // 12)
    paths = [
        figures.draw_sweep(run, results),
        figures.draw_frontier(run, results),
        figures.draw_epochs(run, [study.watched, *frames[:2], *frames[2::step]]),
        figures.draw_pairs(run, world, ours.released, "pairs"),
        figures.draw_pairs(run, world, last, "pairs-paper"),
        figures.draw_prototypes(run, ours.made.pictures.cpu()),
    ]
    return [f"figures/{path.name}" for path in paths]


RECIPES: dict[str, Recipe] = {
    "fig2": fig2,
    "pendigits": _recipe(
        worlds.pendigits,
        {"private": lambda chance: 2 * chance, "utility": lambda original: 0.95 * original},
    ),
    "characters": _recipe(
        worlds.characters,
        {"private": lambda chance: chance + 0.03, "utility": lambda _: 0.75},
    ),
    "ferg": _recipe(
        worlds.ferg,
        {"private": lambda chance: chance + 0.03, "utility": lambda _: 0.75},
    ),
}
