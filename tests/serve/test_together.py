"""Uploads that come together are decided together, and each as if it had come alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from sfumato.data.decoding.decode import View
from sfumato.errors import DataError
from sfumato.serve.bank.interface import Upload
from sfumato.serve.bank.memory import BankState
from sfumato.serve.pictures.extract import Seen
from sfumato.serve.records.auth import add_account
from sfumato.serve.service import FilterService
from tests.serve.conftest import Start, bearer
from tests.serve.world import World
from tests.waiting import PATIENCE, wait_until


def filled(start: Start, world: World) -> FilterService:
    """A bank of three users."""
    client, service = start()
    for digit, name in ((0, "ada"), (1, "bob"), (6, "cy")):
        who = bearer(service, name)
        answer = client.post("/v1/enrollments", content=world.enrollments[digit], headers=who)
        assert answer.status_code == 201
    return service


@pytest.mark.parametrize("most", [64, 7])
def test_a_batch_decides_as_one_by_one(start: Start, world: World, most: int) -> None:
    service = filled(start, world)
    images = torch.cat([world.images[digit][120:140] for digit in (0, 1, 6, 8)])
    now = service.store.clock.now()
    asked = [
        Upload(x, 1 + index % 4, now) for index, x in enumerate(world.backbone(images).split(1))
    ]
    assert isinstance(service.state, BankState)
    service.state.most = most
    together = service.state.decide_each(asked)
    alone = [service.state.decide(one.features, one.account_id, now) for one in asked]
    assert {found.blocks for found in alone} == {True, False}
    for a, b in zip(alone, together, strict=True):
        assert (a.blocks, a.enrollment) == (b.blocks, b.enrollment)
        # The two ways sum in another order: a margin may differ in its last digits.
        assert a.margin == pytest.approx(b.margin, rel=1e-4, abs=1e-4)


def test_features_that_nobody_can_score_fail_alone(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = filled(start, world)
    eve, _ = add_account(service.store.engine, "eve")
    sound, broken = [world.png(0, index) for index in range(120, 128)], world.png(8, 0)
    alone = [service.decide(eve, content).decision for content in sound]
    assert "block" in alone
    see, decide = service.uploads.asking.looking.pictures.see, service.state.decide_each
    put, came = service.uploads.ready.put, list[object]()
    groups: list[int] = []

    def nothing_finite(views: Iterator[View], *, hashes: bool) -> Seen:
        found = see(views, hashes=hashes)
        if torch.equal(found.features, world.backbone(world.images[8][0][None])):
            return replace(found, features=torch.full_like(found.features, torch.nan))
        return found

    def held(uploads: list[Upload]) -> object:
        wait_until(lambda: len(came) == 1 + len(sound))  # the others come while the first waits
        groups.append(len(uploads))
        return decide(uploads)

    def noted(item: tuple[Any, Seen]) -> None:
        put(item)
        came.append(item)

    monkeypatch.setattr(service.uploads.asking.looking.pictures, "see", nothing_finite)
    monkeypatch.setattr(service.uploads.ready, "put", noted)
    monkeypatch.setattr(service.state, "decide_each", held)
    sent = [service.ask(eve, content) for content in [broken, *sound]]
    assert isinstance(sent[0].exception(PATIENCE), DataError)
    assert [one.result(PATIENCE).decision for one in sent[1:]] == alone
    assert max(groups) > 1
