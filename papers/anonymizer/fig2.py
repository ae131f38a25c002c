"""Fig. 2: the paper's own method over lambda, beside originals, read by fresh learners.

Every lambda is trained and assessed on its own, and kept: an interrupted run goes on from there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from papers.anonymizer import figures, methods, worlds
from papers.anonymizer.assess import Assessment, assess, pooled
from papers.anonymizer.worlds import World
from papers.recipe import Results, Run, frozen
from papers.stages import Stage, Stages
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.order import random_order
from sfumato.protect.baselines import Unprotected
from sfumato.types import Protector

_SHOWN = 12  # pictures of a sheet


def fig2(run: Run, settings: Mapping[str, Any]) -> Results:
    """Train and assess the paper's method at every lambda, with one seed."""
    study = _Sweep(run, settings)
    original = study.point("original")
    rows = [{"lam": lam, **study.point(f"lambda {lam:g}", lam)} for lam in settings["lams"]]
    results: Results = {
        "private": study.world.private,
        "utility": study.world.utility,
        "chance": study.world.chance,
        "original": original,
        "sweep": rows,
    }
    results["pictures"] = [f"figures/{path.name}" for path in study.draw(results)]
    return results


class _Sweep:
    """The pictures, the attackers, and what is done of one run."""

    def __init__(self, run: Run, settings: Mapping[str, Any]) -> None:
        self.run, self.settings = run, settings
        self.world: World = worlds.fig2(run, settings)
        for lam in settings["lams"]:
            run.fits(f"paper, lambda {lam:g}", methods.paper_config(settings, lam))
        self.attackers = [
            LearnerConfig(**frozen(one), device=run.device) for one in settings["attackers"]
        ]
        self.stages = Stages.of(run, settings)
        order = random_order(len(self.world.test), settings["split"])
        self.shown = self.world.test.subset(order[:_SHOWN]).floats()
        self.sheet = [self.shown]

    def point(self, name: str, lam: float | None = None) -> dict[str, Any]:
        """Return both accuracies on releases at this lambda, or on originals."""
        _, tensors = self.stages.keep(name, lambda checkpoint: self._measured(lam, checkpoint))
        if lam is not None:
            self.sheet.append(tensors["released"])
        labels = {"private": self.world.private, "utility": self.world.utility}
        correct = {label: tensors[label] for label in labels.values()}
        found = {role: pooled([Assessment(name, correct)], label) for role, label in labels.items()}
        text = "  ".join(f"{labels[role]} {row['value']:.1%}" for role, row in found.items())
        print(f"{name}: {text}", file=sys.stderr, flush=True)
        return found

    def _measured(self, lam: float | None, checkpoint: Path) -> Stage:
        made: Protector = Unprotected()
        if lam is not None:
            made = methods.paper(
                self.run, self.world, self.settings, lam=lam, seed=self.run.seed,
                checkpoint=checkpoint,
            )  # fmt: skip
        labels = (self.world.private, self.world.utility)
        found = assess(made, self.world, labels, *self.attackers, seed=self.run.seed)
        return {}, {**found.correct, "released": made.release(self.shown)}

    def draw(self, results: Results) -> list[Path]:
        """Draw Fig. 2, and a sheet: originals, and below them their releases at each lambda."""
        return [
            figures.draw_sweep(self.run, results),
            figures.draw_sheet(self.run, torch.cat(self.sheet), columns=_SHOWN),
        ]
