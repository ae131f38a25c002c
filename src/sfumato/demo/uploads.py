"""The upload filter on real handwritten digits: ten people enroll, everybody uploads.

Each person protects one digit. Half of the pictures of each digit are that person's private
pictures. The other half is uploaded: by its owner, by others, and by an attacker who has a victim's
private half and trains on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.attack.on_filter.attacker import AttackerConfig
from sfumato.attack.on_filter.poison import (
    Attackers,
    Setting,
    all_attackers,
    all_pairs,
    decide,
    enrolled_likeness,
    owners_kept,
    stolen_shared,
)
from sfumato.data.imageset import ImageSet
from sfumato.data.sources import load
from sfumato.data.splits import split_images
from sfumato.demo.section import Advance
from sfumato.features.backbone import open_backbone
from sfumato.filter.enroll import enroll
from sfumato.filter.enrolled import EnrolledUsers, gather, scores
from sfumato.filter.oneclass import OneClassConfig, one_thread

USERS = 10
_CONFIG = OneClassConfig.preset("plain", hidden=16)
_ALPHAS = tuple(0.25 * i for i in range(17))
_SHOWN = 6  # uploads of a kind in the report
_OTHERS = 200  # pictures that nobody protects
_OTHER_SIZE = 48  # the backbone shrinks them to the digits' size
_NOBODY: tuple[int, ...] = ()

STEPS = 3 + USERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One decided upload, for showing."""

    picture: UInt8[Tensor, "c h w"]
    story: str
    blocked: bool
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Uploads of one kind: how many, and how many the filter blocked."""

    name: str
    wanted: str
    """`share` or `block`."""
    count: int
    blocked: int

    @property
    def right(self) -> float:
        """Share of the uploads that were decided as wanted."""
        share = self.blocked / self.count
        return share if self.wanted == "block" else 1 - share


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the filter did."""

    accuracy: float
    """Share of private pictures whose smallest error names the right person, eq. (8)."""
    scenarios: tuple[Scenario, ...]
    curve: tuple[tuple[float, float, float], ...]
    """(alpha, private pictures blocked, unprotected pictures shared)."""
    matrices: dict[str, list[list[float]]]
    """Share of stolen pictures blocked, adversary x victim, for the rules paper and contest."""
    uploads: tuple[Upload, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _World:
    users: EnrolledUsers
    private: list[Float[Tensor, "_ d"]]
    fresh: list[Float[Tensor, "_ d"]]
    pictures: list[UInt8[Tensor, "_ c h w"]]
    others: ImageSet
    other_features: Float[Tensor, "n d"]
    seed: int


def decide_uploads(*, seed: int, advance: Advance = lambda _: None) -> Decided:
    """Enroll ten people, decide thousands of uploads, and count. The same seed, the same result."""
    with one_thread():
        return _decided(seed, advance)


def _decided(seed: int, advance: Advance) -> Decided:
    world = _world(seed, advance)
    attackers = all_attackers(
        world.users, world.private, all_pairs(USERS), AttackerConfig(), _CONFIG, seed=seed
    )
    advance("90 attackers trained")
    own_errors = [scores(world.users.net, x) for x in world.fresh]
    right = sum(int((e.argmin(1) == person).sum()) for person, e in enumerate(own_errors))
    result = Decided(
        accuracy=right / sum(len(e) for e in own_errors),
        scenarios=_scenarios(world, attackers),
        curve=_curve(world),
        matrices={
            rule: _matrix(world, attackers, Setting(rule=rule)) for rule in ("paper", "contest")
        },
        uploads=_uploads(world),
    )
    advance("uploads decided")
    return result


def _world(seed: int, advance: Advance) -> _World:
    digits = load("digits")
    private, fresh = split_images(digits, (0.5, 0.5), seed=seed)
    others = load("characters", seed=seed, count=_OTHERS, size=_OTHER_SIZE)
    backbone = open_backbone("gradients", public=digits)
    advance("pictures read")
    features = [backbone(private.where("digit", str(d)).images) for d in range(USERS)]
    enrollments = []
    for person, x in enumerate(features):
        enrollments.append(enroll(x, _CONFIG, backbone=backbone.fingerprint, seed=seed + person))
        advance(f"person {person} enrolled with {len(x)} private pictures")
    pictures = [fresh.where("digit", str(d)).images for d in range(USERS)]
    return _World(
        gather(enrollments),
        features,
        [backbone(p) for p in pictures],
        pictures,
        others,
        backbone(others.images),
        seed,
    )


def _scenarios(world: _World, attackers: Attackers) -> tuple[Scenario, ...]:
    setting, alike = Setting(), enrolled_likeness(world.users, world.users.net, seed=world.seed)

    def blocked(x: Tensor, owned: Sequence[int]) -> Tensor:
        return decide(world.users, alike, scores(world.users.net, x), owned, setting)

    def counted(name: str, wanted: str, verdicts: Sequence[Tensor]) -> Scenario:
        every = torch.cat(list(verdicts))
        return Scenario(name=name, wanted=wanted, count=len(every), blocked=int(every.sum()))

    people = range(USERS)
    fresh = world.fresh
    stolen = stolen_shared(world.users, attackers, fresh, setting, seed=world.seed)
    tries = [len(fresh[v]) for _, v in attackers.pairs]
    passed = sum(round(float(s) * n) for s, n in zip(stolen, tries, strict=True))
    return (
        counted(
            "an owner's new pictures of the own class",
            "share",
            [blocked(fresh[p], [p]) for p in people],
        ),
        counted(
            "unprotected pictures, by a stranger", "share", [blocked(world.other_features, _NOBODY)]
        ),
        counted(
            "private pictures, by a stranger", "block", [blocked(fresh[p], _NOBODY) for p in people]
        ),
        counted(
            "private pictures, by another enrolled person",
            "block",
            [blocked(fresh[v], [k]) for k, v in attackers.pairs],
        ),
        Scenario(
            name="stolen pictures, by an attacker who trained on the victim's",
            wanted="block",
            count=sum(tries),
            blocked=sum(tries) - passed,
        ),
    )


def _curve(world: _World) -> tuple[tuple[float, float, float], ...]:
    alike = enrolled_likeness(world.users, world.users.net, seed=world.seed)
    private = scores(world.users.net, torch.cat(world.fresh))
    others = scores(world.users.net, world.other_features)

    def share(x: Tensor, alpha: float) -> float:
        return float(decide(world.users, alike, x, _NOBODY, Setting(alpha=alpha)).float().mean())

    return tuple((alpha, share(private, alpha), 1 - share(others, alpha)) for alpha in _ALPHAS)


def _matrix(world: _World, attackers: Attackers, setting: Setting) -> list[list[float]]:
    shared = stolen_shared(world.users, attackers, world.fresh, setting, seed=world.seed)
    kept = owners_kept(world.users, world.fresh, setting, seed=world.seed)
    matrix = torch.diag(kept)
    for (k, v), value in zip(attackers.pairs, shared, strict=True):
        matrix[k, v] = 1 - value
    return [[round(value, 4) for value in row] for row in matrix.tolist()]


def _uploads(world: _World) -> tuple[Upload, ...]:
    """Return the first uploads of three kinds, rightly and wrongly decided alike."""
    setting, alike = Setting(), enrolled_likeness(world.users, world.users.net, seed=world.seed)
    rows: list[Upload] = []

    def show(picture: Tensor, x: Tensor, owned: Sequence[int], story: str, wanted: bool) -> None:
        verdict = decide(world.users, alike, scores(world.users.net, x), owned, setting)
        blocked = bool(verdict[0])
        rows.append(Upload(picture=picture, story=story, blocked=blocked, right=blocked == wanted))

    for i in range(_SHOWN):
        x = world.fresh[i][:1]
        show(world.pictures[i][0], x, [i], f"person {i} uploads an own picture", False)
    for i in range(_SHOWN):
        victim, by = i + 4, i
        x = world.fresh[victim][:1]
        story = f"person {by} uploads a picture of person {victim}"
        show(world.pictures[victim][0], x, [by], story, True)
    for i in range(_SHOWN):
        x = world.other_features[i : i + 1]
        show(world.others.images[i], x, _NOBODY, "a stranger uploads something else", False)
    return tuple(rows)
