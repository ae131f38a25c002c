"""How many of a victim's pictures an adversary gets shared: Fig. 4 of the paper `docl`.

Measured under the paper's rule and under the default one, with the share of stolen pictures, the
way of enrolling them and the evasion of screening varied. An adversary takes the kind that works on
its victim (`responding`). Floor: the same uploads by the same users who stole nothing. Ceiling: no
rule, everything is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sfumato.attack.on_filter.attacker import AttackerConfig, train_attackers
from sfumato.attack.on_filter.responding import (
    BestResponse,
    chosen,
    hold_out,
    matrix_of,
    response,
    taken,
)
from sfumato.attack.tools.scores import pairs_interval
from sfumato.device import Device
from sfumato.filter.enrolled import EnrolledUsers, scores
from sfumato.filter.oneclass import OneClass, OneClassConfig, Rows
from sfumato.filter.rule.guard import ALPHA, Scores, contest_rule, paper_rule
from sfumato.filter.rule.screening import CONTESTED, SAMPLES, likeness
from sfumato.types import Details, Finding

Features = Sequence[Rows]
Pairs = Sequence[tuple[int, int]]
"""(adversary, victim), indices of users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run the filter."""

    rule: Literal["paper", "contest", "first"] = "contest"
    """`paper`; `contest`, where an enrollment of a smaller error overrides a claim; `first`, where
    it also has to have come before. Users came in their order."""
    early: bool = False
    """Whether adversaries came before everybody, else after. Only `first` asks."""
    alpha: float = ALPHA
    """Half width (paper) or upper edge (default rule) of a claim, in the users' unit."""
    advantage: float = 1.0
    """How much smaller an overriding score must be. See `guard.contest_rule`."""
    contested: float = CONTESTED
    """Likeness below which a pair is contested; 0 turns screening off."""


def all_pairs(users: int) -> list[tuple[int, int]]:
    """Return every ordered pair of two users."""
    return [(k, v) for k in range(users) for v in range(users) if k != v]


def enrolled_likeness(users: EnrolledUsers, net: OneClass, *, seed: int) -> Float[Tensor, "k n"]:
    """Return the likeness of each autoencoder of `net` to each enrolled user."""
    samples = users.samples(SAMPLES, seed=seed)
    columns = [likeness(scores(net, s), float(users.mu[v])) for v, s in enumerate(samples)]
    return torch.stack(columns, 1)


def decide(
    users: EnrolledUsers,
    alike: Float[Tensor, "n n"],
    x: Scores,
    owned: Sequence[int],
    setting: Setting,
) -> Bool[Tensor, " b"]:
    """Return which uploads are blocked, given all scores and the uploader's enrollments."""
    return _decide(users.unit(x), alike, x, owned, setting, range(len(users)))


def owners_kept(
    users: EnrolledUsers, tests: Features, setting: Setting, *, seed: int
) -> Float[Tensor, " n"]:
    """Return, for each user, the share of the own uploads that the filter shares."""
    alike = enrolled_likeness(users, users.net, seed=seed)
    kept = [
        1 - decide(users, alike, scores(users.net, x), [k], setting).float().mean()
        for k, x in enumerate(tests)
    ]
    return torch.stack(kept)


@dataclass(frozen=True, slots=True)
class Attackers:
    """Trained adversaries, and the likeness of each to everybody enrolled."""

    pairs: Pairs
    config: AttackerConfig
    net: OneClass
    alike: Float[Tensor, "pairs n"]
    held: Features
    """By user: pictures stolen from them that no adversary trained on."""


def all_attackers(
    users: EnrolledUsers,
    train: Features,
    pairs: Pairs,
    config: AttackerConfig,
    training: OneClassConfig,
    *,
    seed: int,
    device: Device = "cpu",
) -> Attackers:
    """Train an adversary for each pair on both users' training features, and screen it.

    `train` has features of pictures, or of as many views of each. Of the victim's pictures, the
    last fifth is held out.
    """
    used, held = zip(*map(hold_out, train), strict=True)
    own, stolen = [train[k] for k, _ in pairs], [used[v] for _, v in pairs]
    net = train_attackers(own, stolen, config, training, seed=seed, device=device)
    tried = [x.flatten(0, -2) for x in held]  # of pictures, or of all their views
    return Attackers(pairs, config, net, enrolled_likeness(users, net, seed=seed), tried)


def innocent_shared(
    users: EnrolledUsers, tests: Features, pairs: Pairs, setting: Setting, *, seed: int
) -> Float[Tensor, " pairs"]:
    """Return, for each pair, the share of v's pictures that k gets shared without any theft."""
    alike = enrolled_likeness(users, users.net, seed=seed)
    honest = [scores(users.net, x) for x in tests]
    blocked = [decide(users, alike, honest[v], [k], setting) for k, v in pairs]
    return 1 - torch.stack([b.float().mean() for b in blocked])


def stolen_shared(
    users: EnrolledUsers, attackers: Attackers, tests: Features, setting: Setting, *, seed: int
) -> Float[Tensor, " pairs"]:
    """Return, for each adversary, the share of the victim's `tests` that it gets shared."""
    alike = enrolled_likeness(users, users.net, seed=seed)
    honest = [scores(users.net, x) for x in tests]
    forged = [scores(attackers.net, x) for x in tests]
    shared = []
    for i, (k, v) in enumerate(attackers.pairs):
        known = honest[v].clone()
        if attackers.config.mode == "mixed":
            known[:, k] = torch.inf  # the forged enrollment stands in the honest one's place
        x = torch.cat([known, forged[v][:, i : i + 1]], 1)
        # Whoever else resembles the forged enrollment does not matter: it only overrides here.
        # Nor does its own limit count, since no claim stands against its own owner.
        grown = torch.full((len(users) + 1,) * 2, torch.inf)
        grown[:-1, :-1], grown[-1, :-1] = alike, attackers.alike[i]
        common = users.unit.at(torch.tensor([*range(len(users)), v]))(x)
        arrival = [*range(len(users)), -1 if setting.early else len(users)]
        blocked = _decide(common, grown, x, [k, len(users)], setting, arrival)
        shared.append(1 - blocked.float().mean())
    return torch.stack(shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOfAttacker:
    """What one kind of adversary reached."""

    blocked: float
    """Share of stolen pictures that were blocked."""
    contested: float
    """Share of adversaries whom screening contested."""
    matrix: tuple[tuple[float, ...], ...]
    """Blocked by adversary and victim; -1 where the pair was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonDetails(Details):
    """What poisoning reports beside its figure."""

    kind: ClassVar[str] = "poison"
    best: BestResponse
    """Each pair's kind is chosen on stolen pictures that were held out: the figure."""
    bound: BestResponse
    """Each pair's kind is chosen on the pictures that judge it: more than an adversary can know."""
    strongest: str
    """The kind that gets most shared if all take the same one."""
    setting: Setting
    owners_kept: tuple[float, ...]
    """Share of the own uploads that each owner gets shared."""
    owners_kept_mean: float
    kinds: Mapping[str, KindOfAttacker]


def poison(
    users: EnrolledUsers,
    tests: Features,
    pairs: Pairs,
    attackers: Sequence[Attackers],
    setting: Setting,
    *,
    seed: int,
) -> Finding:
    """Report what adversaries get shared who take, for each victim, the kind that works on them.

    `details` has that, its bound, and for each kind the share blocked of each pair as a matrix
    (adversary x victim, -1 where not tried) and the share of adversaries that screening contested;
    and what owners keep.
    """
    floor = innocent_shared(users, tests, pairs, setting, seed=seed)
    shared = torch.stack([stolen_shared(users, t, tests, setting, seed=seed) for t in attackers])
    tried = torch.stack([stolen_shared(users, t, t.held, setting, seed=seed) for t in attackers])
    names = [t.config.name for t in attackers]
    picked = chosen(tried)
    kept = owners_kept(users, tests, setting, seed=seed)
    best = taken(shared, picked)
    return Finding(
        attack="poison",
        protector=f"filter, rule {setting.rule}",
        metric="stolen pictures shared",
        value=float(best.mean()),
        floor=float(floor.mean()),
        ceiling=1.0,
        interval=pairs_interval(best, torch.tensor(pairs)),
        seeds=(seed,),
        floor_interval=pairs_interval(floor, torch.tensor(pairs)),
        details=PoisonDetails(
            best=response(shared, picked, pairs, names, len(users)),
            bound=response(shared, shared.argmax(0), pairs, names, len(users)),
            strongest=names[int(shared.mean(1).argmax())],
            setting=setting,
            owners_kept=tuple(round(float(v), 4) for v in kept),
            owners_kept_mean=round(float(kept.mean()), 4),
            kinds={
                t.config.name: _kind(t, s, len(users), setting)
                for t, s in zip(attackers, shared, strict=True)
            },
        ),
    )


def _kind(attackers: Attackers, shared: Tensor, users: int, setting: Setting) -> KindOfAttacker:
    found = [
        float(attackers.alike[i, v]) < setting.contested for i, (_, v) in enumerate(attackers.pairs)
    ]
    return KindOfAttacker(
        blocked=round(1 - float(shared.mean()), 4),
        contested=round(sum(found) / len(found), 4),
        matrix=matrix_of(1 - shared, attackers.pairs, users),
    )


def _decide(
    common: Scores,
    alike: Float[Tensor, "n n"],
    x: Scores,
    owned: Sequence[int],
    setting: Setting,
    arrival: Sequence[int],
) -> Bool[Tensor, " b"]:
    mask = torch.zeros(x.shape, dtype=torch.bool)
    mask[:, list(owned)] = True
    if setting.rule == "paper":
        return paper_rule(x, common, mask, alpha=setting.alpha).blocked
    pairs = (alike < setting.contested).nonzero()
    return contest_rule(
        x,
        common,
        mask,
        contested=pairs,
        alpha=setting.alpha,
        advantage=setting.advantage,
        arrival=torch.tensor(arrival).double() if setting.rule == "first" else None,
    ).blocked
