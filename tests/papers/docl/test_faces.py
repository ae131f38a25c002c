"""The faces recipe: test pictures train nothing, and the setting is the middle of a plateau."""

from __future__ import annotations

import torch

from papers.docl.faces import ADVANTAGES, ALPHAS, People, accepted_share, enrolled_world, steadiness
from sfumato.data.sources import load
from sfumato.filter.oneclass import OneClassConfig


def test_training_and_test_pictures_are_disjoint_and_whole() -> None:
    digits = load("digits")
    rows = [digits.where("digit", str(k)).floats().flatten(1)[:40] for k in range(3)]
    world = enrolled_world(
        rows, OneClassConfig.preset("plain", hidden=8, epochs=5, least_steps=20, batch_size=16), 0
    )
    for x, train, tests in zip(rows, world.train, world.tests, strict=True):
        assert torch.equal(torch.cat([train, tests]), x)
        assert len(tests) == 10
    accepted = [accepted_share(world, rows[0], alpha) for alpha in ALPHAS]
    assert accepted == sorted(accepted, reverse=True)
    assert accepted[0] > accepted[-1]


def test_people_are_drawn_once_a_set_and_only_with_enough_pictures() -> None:
    people = People({p: torch.zeros(p, 2) for p in range(60)}, torch.zeros(1, 2))
    sets = people.draw(30, 5, seed=0)
    assert [len(set(chosen)) for chosen in sets] == [10] * 5
    assert min(p for chosen in sets for p in chosen) >= 30
    assert sets == people.draw(30, 5, seed=0)


def test_the_middle_of_a_plateau_is_chosen_and_an_idle_advantage_is_not() -> None:
    good = set(ALPHAS[2:5])
    worst = {(a, alpha): 0.98 if alpha in good else 0.9 for a in ADVANTAGES for alpha in ALPHAS}
    best = max(worst, key=lambda at: steadiness(worst, *at))
    assert best == (0.0, ALPHAS[3])
    paying = {at: value + 0.05 * (at[0] == 1.0) for at, value in worst.items()}
    assert max(paying, key=lambda at: steadiness(paying, *at)) == (1.0, ALPHAS[3])
