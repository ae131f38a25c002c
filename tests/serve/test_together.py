"""Uploads that come together are decided together, and each as if it had come alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sfumato.errors import DataError
from sfumato.serve.bank.memory import BankState
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


def filled(start: Start, world: World) -> tuple[BankState, list[torch.Tensor], list[int]]:
    """A bank of three users and some strangers' features, with the accounts."""
    client, service = start()
    for digit, name in ((0, "ada"), (1, "bob"), (6, "cy")):
        who = bearer(service, name)
        answer = client.post("/v1/enrollments", content=world.enrollments[digit], headers=who)
        assert answer.status_code == 201
    images = torch.cat([world.images[digit][120:140] for digit in (0, 1, 6, 8)])
    accounts = [1 + index % 4 for index in range(len(images))]
    return service.state, list(world.backbone(images).split(1)), accounts


def test_a_batch_decides_as_one_by_one(start: Start, world: World) -> None:
    state, features, accounts = filled(start, world)
    now = start()[1].store.clock.now()
    alone = [state.decide(x, who, now) for x, who in zip(features, accounts, strict=True)]
    sizes: list[int] = []
    decide, held = state.batches.run, threading.Event()

    def counted(uploads: object) -> object:
        sizes.append(len(uploads))  # type: ignore[arg-type]
        held.wait(0.2)  # long enough for the others to come
        return decide(uploads)  # type: ignore[arg-type]

    state.batches.run = counted  # type: ignore[assignment]
    with ThreadPoolExecutor(40) as pool:
        together = list(pool.map(lambda x, who: state.decide(x, who, now), features, accounts))
    assert max(sizes) > 1
    assert sum(sizes) == len(features)
    assert {found.blocks for found in alone} == {True, False}
    for a, b in zip(alone, together, strict=True):
        assert (a.blocks, a.enrollment) == (b.blocks, b.enrollment)
        # The two ways sum in another order: a margin may differ in its last digits.
        assert a.margin == pytest.approx(b.margin, rel=1e-4, abs=1e-4)


def test_features_that_nobody_can_score_fail_alone(start: Start, world: World) -> None:
    state, features, accounts = filled(start, world)
    now = start()[1].store.clock.now()
    broken = [torch.full_like(features[0], torch.nan), *features[:9]]
    errors = []

    def decide(x: torch.Tensor, who: int) -> bool | None:
        try:
            return state.decide(x, who, now).blocks
        except DataError as error:
            errors.append(error)
            return None

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(decide, broken, [1, *accounts[:9]]))
    assert found[0] is None
    assert len(errors) == 1
    assert found[1:] == [decide(x, w) for x, w in zip(broken[1:], accounts[:9], strict=True)]
