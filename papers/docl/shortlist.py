"""Does the shortlist miss a block? Many small enrollments, each upload decided with and without it.

For each alpha the reach is varied, and beside it lists of the k nearest are cut, by the distance to
the decoded mean and by how far inside its own edge that distance is. The reach is chosen on half of
the uploads and measured on the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from papers.docl.crowds import TRAINING, crowded_bank, groups, pictures
from papers.docl.figures import draw_shortlist
from papers.recipe import Results, Run
from sfumato.filter.bank.bank import Bank
from sfumato.filter.rule.guard import ALPHA

_GOAL = 0.999


@dataclass(frozen=True)
class Scored:
    """Every upload against every enrollment."""

    z: Tensor
    """Errors in sigmas from mu."""
    distance: Tensor
    """Squared distances from the decoded means."""
    mu: Tensor
    sigma: Tensor
    spread: Tensor

    def part(self, rows: slice) -> Scored:
        """Return some of the uploads."""
        return Scored(self.z[rows], self.distance[rows], self.mu, self.sigma, self.spread)

    def needed(self, alpha: float) -> Tensor:
        """Return the reach at which each enrollment is listed for each upload."""
        edge = self.mu + alpha * self.sigma
        outside = self.distance.sqrt() - edge.clamp(min=0).sqrt()
        return (outside / self.spread).masked_fill(edge < 0, torch.inf)


def shortlist(run: Run, settings: Mapping[str, Any]) -> Results:
    """Measure recall against reach and against k, on the data of the other recipes."""
    worlds = {name: _world(run, name, settings) for name in settings["worlds"]}
    halves = [{n: w.part(slice(i, None, 2)) for n, w in worlds.items()} for i in (0, 1)]
    alphas = {name: _alphas(world, settings) for name, world in worlds.items()}
    development = {n: _tables(w, alphas[n], settings) for n, w in halves[0].items()}
    chosen = chosen_reach(development, settings["reaches"])
    results: Results = {
        "training": asdict(TRAINING),
        "chosen_reach": chosen,
        "worlds": {n: _tables(w, alphas[n], settings) for n, w in halves[1].items()},
    }
    at = [
        next(row for row in table["reach"] if row["reach"] == chosen)
        for world in results["worlds"].values()
        for table in world["alphas"]
    ]
    for figure in ("decisions", "blocks", "deciders", "claims"):
        results[f"worst_{figure}"] = min(row[figure] for row in at)
    draw_shortlist(run, results)
    return results


def _world(run: Run, name: str, settings: Mapping[str, Any]) -> Scored:
    found = pictures(run, name)
    bank = crowded_bank(groups(found.private, settings["worlds"][name]), settings["worlds"][name])
    generator = torch.Generator().manual_seed(run.seed)
    chosen = torch.randperm(len(found.uploads), generator=generator)[: settings["uploads"]]
    x = torch.cat([found.uploads[chosen], found.strangers[: settings["strangers"]]])
    return scored(bank, x[torch.randperm(len(x), generator=generator)])


def scored(bank: Bank, x: Tensor) -> Scored:
    """Score all uploads against all enrollments of a bank."""
    scores = bank.score(x)
    blocks = bank.shortlist.blocks if bank.shortlist else []
    means = torch.cat([block.means[: block.count] for block in blocks])
    spread = torch.cat([block.spread[: block.count] for block in blocks])
    distance = torch.stack([(row - means).square().sum(1) for row in x])
    z = (scores.errors - scores.mu) / scores.sigma
    return Scored(z, distance, scores.mu, scores.sigma, spread)


def _alphas(world: Scored, settings: Mapping[str, Any]) -> list[float]:
    """The guard's own, and those at which few uploads are claimed, as a filter needs it."""
    best = world.z.min(1).values
    return [ALPHA, *(float(best.quantile(share)) for share in settings["blocked"])]


def _tables(world: Scored, alphas: Sequence[float], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "enrollments": world.z.shape[1],
        "uploads": len(world.z),
        "alphas": [table(world, alpha, settings) for alpha in alphas],
    }


def table(world: Scored, alpha: float, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every reach and every k miss at one alpha."""
    claimed = world.z <= alpha
    needed = world.needed(alpha)
    ranks = {
        "mean": world.distance.argsort(1).argsort(1),
        "edge": ((needed - 1) * world.spread).argsort(1).argsort(1),
    }
    return {
        "alpha": alpha,
        "blocked": float(claimed.any(1).float().mean()),
        "claims_each": float(claimed.sum(1).float().mean()),
        "reach": [
            {"reach": r} | recalls(world.z, claimed, needed <= r) for r in settings["reaches"]
        ],
        "nearest": {
            name: [{"k": k} | recalls(world.z, claimed, rank < k) for k in settings["nearest"]]
            for name, rank in ranks.items()
        },
        "k_for_goal": {name: least_k(world.z, claimed, rank) for name, rank in ranks.items()},
    }


def recalls(z: Tensor, claimed: Tensor, listed: Tensor) -> dict[str, float]:
    """Return what a list finds of what full scoring finds, and the share of the bank it asks.

    `blocks`: of the blocked uploads, those that are still blocked. `deciders`: those for which the
    same enrollment decides. `claims`: of all claims, those that are seen. `decisions`: of all
    uploads, those that are shared, or blocked by the same enrollment, with and without the list.
    """
    blocked = claimed.any(1)
    winner = listed.gather(1, z.argmin(1, keepdim=True))[:, 0]
    return {
        "listed": float(listed.float().mean()),
        "blocks": float((claimed & listed).any(1)[blocked].float().mean()),
        "deciders": float(winner[blocked].float().mean()),
        "claims": float(listed[claimed].float().mean()),
        "decisions": float((winner | ~blocked).float().mean()),
    }


def least_k(z: Tensor, claimed: Tensor, rank: Tensor) -> int:
    """Return the k that finds the deciding enrollment for 99.9 % of the blocked uploads."""
    winner = rank.gather(1, z.argmin(1, keepdim=True))[claimed.any(1), 0]
    return int(winner.float().quantile(_GOAL, interpolation="higher")) + 1


def chosen_reach(development: Mapping[str, Any], reaches: Sequence[float]) -> float:
    """The least reach that finds every world's decisions, at every alpha."""
    for i, reach in enumerate(reaches):
        rows = [t["reach"][i] for world in development.values() for t in world["alphas"]]
        if all(row["decisions"] >= _GOAL for row in rows):
            return reach
    return reaches[-1]
