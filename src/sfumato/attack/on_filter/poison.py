"""How many of a victim's pictures an adversary gets shared: Fig. 4 of the paper `docl`.

Measured under the paper's rule and under the default one, with the share of stolen pictures, the
way of enrolling them and the evasion of screening varied. Floor: the same uploads by the same
users who stole nothing. Ceiling: no rule, everything is shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.attack.on_filter.enrolled import Crowd, scores
from sfumato.attack.on_filter.thief import ThiefConfig, train_thieves
from sfumato.device import Device
from sfumato.filter.oneclass import OneClass, OneClassConfig
from sfumato.filter.rule.guard import Scores, contest_rule, paper_rule
from sfumato.filter.rule.screening import CONTESTED, SAMPLES, likeness
from sfumato.types import Finding

Features = Sequence[Float[Tensor, "_ d"]]
Pairs = Sequence[tuple[int, int]]
"""(adversary, victim), indices of users."""

_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run the filter."""

    rule: Literal["paper", "contest"] = "contest"
    """`paper`, or the default rule."""
    alpha: float = 2.0
    """Half width (paper) or upper edge (default rule) of a claim, in sigmas."""
    advantage: float = 1.0
    """How much smaller an overriding score must be. See `guard.contest_rule`."""
    contested: float = CONTESTED
    """Likeness below which a pair is contested; 0 turns screening off."""


def all_pairs(users: int) -> list[tuple[int, int]]:
    """Return every ordered pair of two users."""
    return [(k, v) for k in range(users) for v in range(users) if k != v]


def crowd_likeness(crowd: Crowd, net: OneClass, *, seed: int) -> Float[Tensor, "k n"]:
    """Return the likeness of each autoencoder of `net` to each user of the crowd."""
    samples = crowd.samples(SAMPLES, seed=seed)
    columns = [likeness(scores(net, s), float(crowd.mu[v])) for v, s in enumerate(samples)]
    return torch.stack(columns, 1)


def decide(
    crowd: Crowd, alike: Float[Tensor, "n n"], x: Scores, owned: Sequence[int], setting: Setting
) -> Bool[Tensor, " b"]:
    """Return which uploads are blocked, given all scores and the uploader's enrollments."""
    return _decide(crowd.mu, crowd.sigma, alike, x, owned, setting)


def owners_kept(
    crowd: Crowd, tests: Features, setting: Setting, *, seed: int
) -> Float[Tensor, " n"]:
    """Return, for each user, the share of the own uploads that the filter shares."""
    alike = crowd_likeness(crowd, crowd.net, seed=seed)
    kept = [
        1 - decide(crowd, alike, scores(crowd.net, x), [k], setting).float().mean()
        for k, x in enumerate(tests)
    ]
    return torch.stack(kept)


@dataclass(frozen=True, slots=True)
class Thieves:
    """Trained adversaries, and the likeness of each to everybody enrolled."""

    pairs: Pairs
    config: ThiefConfig
    net: OneClass
    alike: Float[Tensor, "pairs n"]


def recruit(
    crowd: Crowd,
    train: Features,
    pairs: Pairs,
    config: ThiefConfig,
    training: OneClassConfig,
    *,
    seed: int,
    device: Device = "cpu",
) -> Thieves:
    """Train an adversary for each pair on both users' training features, and screen it."""
    own, stolen = [train[k] for k, _ in pairs], [train[v] for _, v in pairs]
    net = train_thieves(own, stolen, config, training, seed=seed, device=device)
    return Thieves(pairs, config, net, crowd_likeness(crowd, net, seed=seed))


def innocent_shared(
    crowd: Crowd, tests: Features, pairs: Pairs, setting: Setting, *, seed: int
) -> Float[Tensor, " pairs"]:
    """Return, for each pair, the share of v's pictures that k gets shared without any theft."""
    alike = crowd_likeness(crowd, crowd.net, seed=seed)
    honest = [scores(crowd.net, x) for x in tests]
    blocked = [decide(crowd, alike, honest[v], [k], setting) for k, v in pairs]
    return 1 - torch.stack([b.float().mean() for b in blocked])


def stolen_shared(
    crowd: Crowd, thieves: Thieves, tests: Features, setting: Setting, *, seed: int
) -> Float[Tensor, " pairs"]:
    """Return, for each adversary, the share of the victim's `tests` that it gets shared."""
    alike = crowd_likeness(crowd, crowd.net, seed=seed)
    honest = [scores(crowd.net, x) for x in tests]
    forged = [scores(thieves.net, x) for x in tests]
    shared = []
    for i, (k, v) in enumerate(thieves.pairs):
        known = honest[v].clone()
        if thieves.config.mode == "mixed":
            known[:, k] = torch.inf  # the forged enrollment stands in the honest one's place
        x = torch.cat([known, forged[v][:, i : i + 1]], 1)
        # Whoever else resembles the forged enrollment does not matter: it only overrides here.
        # Its mu and sigma do not count either, since no claim stands against its own owner.
        grown = torch.full((len(crowd) + 1,) * 2, torch.inf)
        grown[:-1, :-1], grown[-1, :-1] = alike, thieves.alike[i]
        mu, sigma = (torch.cat([t, t[v : v + 1]]) for t in (crowd.mu, crowd.sigma))
        shared.append(1 - _decide(mu, sigma, grown, x, [k, len(crowd)], setting).float().mean())
    return torch.stack(shared)


def poison(
    crowd: Crowd,
    tests: Features,
    pairs: Pairs,
    thieves: Sequence[Thieves],
    setting: Setting,
    *,
    seed: int,
) -> Finding:
    """Report the adversary that gets most stolen pictures shared, of all kinds given.

    `details` has, for each kind, the share blocked of each pair as a matrix (adversary x victim,
    -1 where not tried) and the share of adversaries that screening contested; and what owners keep.
    """
    floor = innocent_shared(crowd, tests, pairs, setting, seed=seed)
    shared = [stolen_shared(crowd, t, tests, setting, seed=seed) for t in thieves]
    best = max(range(len(thieves)), key=lambda i: float(shared[i].mean()))
    kept = owners_kept(crowd, tests, setting, seed=seed)
    kinds = {
        t.config.name: _kind(t, s, len(crowd), setting)
        for t, s in zip(thieves, shared, strict=True)
    }
    return Finding(
        attack="poison",
        protector=f"filter, rule {setting.rule}",
        metric="stolen pictures shared",
        value=float(shared[best].mean()),
        floor=float(floor.mean()),
        ceiling=1.0,
        interval=_interval(shared[best], seed),
        seeds=(seed,),
        details={
            "strongest": thieves[best].config.name,
            "setting": asdict(setting),
            "owners_kept": [round(float(v), 4) for v in kept],
            "owners_kept_mean": round(float(kept.mean()), 4),
            "kinds": kinds,
        },
    )


def _kind(thieves: Thieves, shared: Tensor, users: int, setting: Setting) -> dict[str, Any]:
    matrix = torch.full((users, users), -1.0)
    for (k, v), value in zip(thieves.pairs, shared, strict=True):
        matrix[k, v] = 1 - value
    found = [
        float(thieves.alike[i, v]) < setting.contested for i, (_, v) in enumerate(thieves.pairs)
    ]
    return {
        "blocked": round(1 - float(shared.mean()), 4),
        "contested": round(sum(found) / len(found), 4),
        "matrix": [[round(value, 4) for value in row] for row in matrix.tolist()],
    }


def _interval(values: Tensor, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over pairs."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(0, len(values), (_RESAMPLES, len(values)), generator=generator)
    low, high = values[index].mean(1).quantile(torch.tensor([0.025, 0.975])).tolist()
    return low, high


def _decide(
    mu: Float[Tensor, " n"],
    sigma: Float[Tensor, " n"],
    alike: Float[Tensor, "n n"],
    x: Scores,
    owned: Sequence[int],
    setting: Setting,
) -> Bool[Tensor, " b"]:
    mask = torch.zeros(x.shape, dtype=torch.bool)
    mask[:, list(owned)] = True
    if setting.rule == "paper":
        return paper_rule(x, mu, sigma, mask, alpha=setting.alpha).blocked
    pairs = (alike < setting.contested).nonzero()
    return contest_rule(
        x, mu, sigma, mask, contested=pairs, alpha=setting.alpha, advantage=setting.advantage
    ).blocked
