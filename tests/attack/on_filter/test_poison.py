"""The adversary of Fig. 4: it beats the paper's rule, and not the default one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.attack.on_filter.attacker import AttackerConfig, train_attackers
from sfumato.attack.on_filter.poison import (
    Setting,
    all_attackers,
    all_pairs,
    innocent_shared,
    owners_kept,
    poison,
    stolen_shared,
)
from sfumato.data.sources import load
from sfumato.errors import ConfigError
from sfumato.filter.enroll import enroll
from sfumato.filter.enrolled import EnrolledUsers, gather, scores
from sfumato.filter.oneclass import OneClassConfig, squared_error

TRAINING = OneClassConfig.preset("plain", hidden=12, epochs=60, batch_size=32)
USERS = 4
PAPER, DEFAULT = Setting(rule="paper"), Setting(alpha=3.0)


DIGITS = load("digits")
ROWS = [DIGITS.where("digit", str(k)).floats().flatten(1) for k in range(USERS)]
TRAIN = [x[:120] for x in ROWS]
TESTS = [x[120:] for x in ROWS]


@pytest.fixture(scope="module")
def users() -> EnrolledUsers:
    return gather([enroll(x, TRAINING, backbone="0" * 64, seed=k) for k, x in enumerate(TRAIN)])


def test_scores_are_each_autoencoders_own_error(users: EnrolledUsers) -> None:
    x = TESTS[0][:5]
    got = scores(users.net, x)
    for k in range(USERS):
        code = (x @ users.net.encoder[k].mT + users.net.encoder_bias[k]).relu()
        image = (code @ users.net.decoder[k].mT + users.net.decoder_bias[k]).sigmoid()
        assert torch.allclose(got[:, k], (x - image).square().sum(1), atol=1e-5)


@pytest.mark.parametrize("mode", ["mixed", "separate"])
def test_the_default_rule_blocks_what_the_papers_lets_through(
    users: EnrolledUsers, mode: str
) -> None:
    pairs = all_pairs(USERS)
    attackers = all_attackers(users, TRAIN, pairs, AttackerConfig(mode=mode), TRAINING, seed=0)
    under_paper = float(stolen_shared(users, attackers, TESTS, PAPER, seed=0).mean())
    under_default = float(stolen_shared(users, attackers, TESTS, DEFAULT, seed=0).mean())
    assert under_paper > 0.25
    nobody_overrides = Setting(alpha=3.0, advantage=0.0)
    unclaimed = float(stolen_shared(users, attackers, TESTS, nobody_overrides, seed=0).mean())
    assert under_default == pytest.approx(unclaimed, abs=0.02)
    assert float(owners_kept(users, TESTS, DEFAULT, seed=0).mean()) > 0.95


def test_without_overriding_it_does_not_matter_what_the_adversary_enrols(
    users: EnrolledUsers,
) -> None:
    setting = Setting(advantage=0.0, contested=0.0)
    pairs = all_pairs(USERS)[:4]
    kinds = [AttackerConfig(), AttackerConfig(evasion=1.0), AttackerConfig(mode="separate")]
    shared = [
        stolen_shared(
            users, all_attackers(users, TRAIN, pairs, k, TRAINING, seed=1), TESTS, setting, seed=0
        )
        for k in kinds
    ]
    assert torch.equal(shared[0], shared[1])
    assert torch.equal(shared[0], shared[2])


def test_where_the_order_counts_only_who_came_first_gains_by_stealing(
    users: EnrolledUsers,
) -> None:
    pairs = all_pairs(USERS)
    separate = AttackerConfig(mode="separate")
    attackers = all_attackers(users, TRAIN, pairs, separate, TRAINING, seed=1)

    def shared(setting: Setting) -> float:
        return float(stolen_shared(users, attackers, TESTS, setting, seed=0).mean())

    late, early = (
        Setting(rule="first", alpha=3.0, contested=0.0, early=early) for early in (False, True)
    )
    assert shared(late) == pytest.approx(
        float(innocent_shared(users, TESTS, pairs, late, seed=0).mean())
    )
    unordered = shared(Setting(alpha=3.0, contested=0.0))
    assert shared(early) == pytest.approx(unordered, abs=0.01)
    assert unordered > shared(late) + 0.2
    assert shared(replace(early, contested=DEFAULT.contested)) < 0.2
    assert float(owners_kept(users, TESTS, late, seed=0).mean()) > 0.95


def test_evasion_raises_the_error_on_decoded_samples_as_it_was_asked_to(
    users: EnrolledUsers,
) -> None:
    pairs = [(0, 1), (2, 3)]
    plain, sly = (
        all_attackers(users, TRAIN, pairs, AttackerConfig(evasion=e), TRAINING, seed=2)
        for e in (0.0, 3.0)
    )
    for i, (_, v) in enumerate(pairs):
        assert float(sly.alike[i, v]) > 1.3 * float(plain.alike[i, v])


def test_a_thief_reconstructs_what_it_stole_and_one_who_stole_nothing_does_not() -> None:
    pairs = [(0, 1)]
    errors = []
    for share in (0.0, 1.0):
        net = train_attackers(
            [TRAIN[k] for k, _ in pairs],
            [TRAIN[v] for _, v in pairs],
            AttackerConfig(share=share),
            TRAINING,
            seed=0,
        )
        errors.append(float(squared_error(TESTS[1][None], net(TESTS[1][None])).mean()))
    assert errors[1] < 0.3 * errors[0]


@pytest.mark.slow
def test_the_finding_is_the_best_response_between_floor_and_bound(users: EnrolledUsers) -> None:
    pairs = all_pairs(USERS)[:5]
    kinds = [
        all_attackers(users, TRAIN, pairs, config, TRAINING, seed=0)
        for config in (AttackerConfig(share=0.1), AttackerConfig(), AttackerConfig(mode="separate"))
    ]
    finding = poison(users, TESTS, pairs, kinds, PAPER, seed=0)
    assert finding.floor <= finding.value <= finding.ceiling == 1.0
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    details = finding.details
    assert details.best.blocked == pytest.approx(1 - finding.value, abs=1e-4)
    strongest = details.kinds[details.strongest]
    assert strongest.blocked == min(kind.blocked for kind in details.kinds.values())
    assert details.bound.blocked <= min(strongest.blocked, details.best.blocked)
    assert details.bound.worst == min(
        value
        for kind in details.kinds.values()
        for row in kind.matrix
        for value in row
        if value >= 0
    )
    for found in (details.best, details.bound, strongest):
        assert len([value for row in found.matrix for value in row if value >= 0]) == len(pairs)
    assert sum(details.best.kinds.values()) == len(pairs)


def test_attackers_do_not_train_on_what_they_hold_out(users: EnrolledUsers) -> None:
    altered = [torch.cat([x[:-24], torch.zeros_like(x[-24:])]) for x in TRAIN]
    pairs = [(0, 1)]
    kind = AttackerConfig(mode="separate")
    one, other = (
        all_attackers(users, train, pairs, kind, TRAINING, seed=0) for train in (TRAIN, altered)
    )
    assert torch.equal(one.net.encoder, other.net.encoder)
    assert torch.equal(one.held[1], TRAIN[1][-24:])


@pytest.mark.parametrize("wrong", [{"share": 1.1}, {"evasion": -1.0}, {"target": 0.0}])
def test_impossible_adversaries_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"expected|must lie"):
        AttackerConfig(**wrong)
