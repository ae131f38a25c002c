"""A copy of an enrolled picture is blocked where the class model lets it pass."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from PIL import Image

from sfumato.data.decoding.decode import encode_png
from sfumato.data.sources import load
from sfumato.errors import EnrollmentError
from sfumato.filter.copies import Copies, count_near
from sfumato.filter.enrollment import open_enrollment, seal_enrollment
from sfumato.filter.neardup import pdq, stack
from tests.serve.conftest import Start, bearer
from tests.serve.world import World


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return load("characters", count=6, size=96, seed=3).images


def enrolled(world: World, seed: int, pictures: torch.Tensor) -> bytes:
    """An enrollment whose class claims nothing, with hashes of pictures."""
    made = open_enrollment(world.small(seed)).enrollment
    copies = stack(map(pdq, pictures))
    return seal_enrollment(replace(made, copies=copies), Ed25519PrivateKey.generate())


def jpeg(picture: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(encode_png(picture))).convert("RGB")
    image.resize((80, 80)).save(buffer, "JPEG", quality=50)
    return buffer.getvalue()


def decision(client: TestClient, who: dict[str, str], picture: torch.Tensor) -> str:
    return decided(client, who, jpeg(picture))


def decided(client: TestClient, who: dict[str, str], file: bytes) -> str:
    answer = client.post("/v1/uploads", content=file, headers=who)
    assert answer.status_code == 200
    return str(answer.json()["decision"])


def test_copies_are_blocked_for_others_and_other_pictures_are_not(
    start: Start, world: World, pictures: torch.Tensor
) -> None:
    client, service = start()
    ada, eve = bearer(service, "ada"), bearer(service, "eve")
    judge = bearer(service, "judge", role="moderator")
    assert client.get("/v1/policy").json()["copies"]
    content = enrolled(world, 1, pictures[:3])
    made = client.post("/v1/enrollments", content=content, headers=ada).json()
    assert made["status"] == "active"
    for _ in range(2):
        assert [decision(client, eve, p) for p in pictures] == ["block"] * 3 + ["share"] * 3
        assert {decision(client, ada, p) for p in pictures} == {"share"}
        client, service = start()
    off = f"/v1/enrollments/{made['id']}/disable"
    client.post(off, json={"hours": 1}, headers=judge)
    assert decision(client, eve, pictures[0]) == "share"
    client.post(off, json={"hours": 0}, headers=judge)
    sent = client.post("/v1/uploads", content=jpeg(pictures[0]), headers=eve).json()
    client.post(f"/v1/decisions/{sent['id']}/appeal", json={}, headers=eve)
    appeal = client.get("/v1/appeals", headers=judge).json()[0]
    assert (appeal["claim"], appeal["enrollment"]) == ("copy", made["id"])
    assert 0 <= appeal["margin"] <= 31
    client.delete(f"/v1/enrollments/{made['id']}", headers=ada)
    assert decision(client, eve, pictures[0]) == "share"


def test_the_first_who_enrolled_a_picture_owns_it(
    start: Start, world: World, pictures: torch.Tensor
) -> None:
    client, service = start()
    ada, eve, bob = (bearer(service, name) for name in ("ada", "eve", "bob"))
    judge = bearer(service, "judge", role="moderator")
    sent = [
        client.post("/v1/enrollments", content=enrolled(world, seed, some), headers=who).json()
        for who, seed, some in ((ada, 1, pictures[:1]), (eve, 2, pictures[:2]))
    ]
    assert [one["status"] for one in sent] == ["active", "review"]
    waiting = client.get("/v1/quarantine", headers=judge).json()
    assert "hashes of pictures that somebody else" in waiting[0]["reason"]
    assert decision(client, bob, pictures[1]) == "share"
    path = f"/v1/quarantine/{sent[1]['id']}"
    assert client.post(path, json={"verdict": "admit"}, headers=judge).status_code == 204
    assert decision(client, bob, pictures[1]) == "block"
    decisions = {n: decision(client, h, pictures[0]) for n, h in (("ada", ada), ("eve", eve))}
    assert decisions == {"ada": "share", "eve": "block"}
    assert decision(client, bob, pictures[0]) == "block"


def test_hashes_of_an_owners_photos_do_not_block_the_owner(start: Start, world: World) -> None:
    """Whoever sends hashes of photos first with a network that knows none of them claims copies."""
    client, service = start()
    eve, ada, bob = (bearer(service, name) for name in ("eve", "ada", "bob"))
    # Digits are too small and flat for a hash; enlarged they have one.
    photos = world.images[0][120:126].repeat_interleave(16, 2).repeat_interleave(16, 3)
    thief = client.post("/v1/enrollments", content=enrolled(world, 1, photos), headers=eve)
    assert thief.json()["status"] == "active"
    files = [encode_png(photo) for photo in photos]
    copied = [file for file in files if decided(client, ada, file) == "block"]
    assert len(copied) >= 2
    owner = client.post("/v1/enrollments", content=world.enrollments[0], headers=ada)
    assert owner.json()["status"] == "active"
    # What her own class does not claim she has to appeal.
    claimed = [file for file in copied if decided(client, ada, file) == "share"]
    assert len(claimed) >= len(copied) - 1
    assert {decided(client, bob, file) for file in copied} == {"block"}
    client.delete(f"/v1/enrollments/{owner.json()['id']}", headers=ada)
    assert {decided(client, ada, file) for file in copied} == {"block"}


def test_no_more_hashes_than_pictures(world: World, pictures: torch.Tensor) -> None:
    made = open_enrollment(world.small(1)).enrollment
    hashes = stack(map(pdq, pictures))
    assert hashes is not None
    with pytest.raises(EnrollmentError, match="at most the 6 enrolled images, got 7"):
        replace(made, copies=torch.cat([hashes, hashes[:1]]))


def test_hashes_near_to_somebody_elses_are_counted() -> None:
    copies = Copies()
    generator = torch.Generator().manual_seed(1)
    hashes = torch.randint(0, 256, (20, 32), generator=generator, dtype=torch.uint8)
    copies.add("ada", hashes[:12].clone())
    copies.add("bob", hashes[12:15].clone())
    near = hashes[10:].clone()
    near[:, 0] ^= 255  # eight bits
    assert count_near(near, copies.of_others(())) == 5
    assert count_near(near, copies.of_others({"ada"})) == 3
    assert count_near(near, copies.of_others({"ada", "bob"})) == 0


def test_hashes_are_overwritten_when_they_are_forgotten() -> None:
    copies = Copies()
    generator = torch.Generator().manual_seed(0)
    hashes = torch.randint(1, 256, (4, 32), generator=generator, dtype=torch.uint8)
    first, second = hashes[:2].clone(), hashes[2:].clone()
    copies.add("first", first)
    copies.add("second", second)
    found = copies.first(hashes[2:3], lambda _: True)
    assert found is not None
    assert (found.enrollment, found.distance) == ("second", 0)
    assert copies.stacked is not None
    stacked = copies.stacked[0]
    copies.remove("first")
    assert not first.any()
    assert not stacked.any()
    assert copies.first(hashes[:1], lambda _: True) is None
    found = copies.first(hashes[2:3], lambda _: True)
    assert found is not None
    assert copies.first(hashes[2:3], lambda _: False) is None
