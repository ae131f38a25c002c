from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.attack import faces as module
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.faces import SAME, MatchedFaces, RecognisedFaces, Viewed, embedded
from sfumato.data.imageset import MISSING
from sfumato.errors import DataError
from sfumato.features.backbone import open_backbone
from sfumato.types import Knowledge, Releases
from tests.attack.people import QUICK
from tests.drawn import drawn_face, needs_faces

PHOTOS = torch.arange(12)
WHO = PHOTOS // 2  # two photographs each


def traits(people: Tensor, seed: int) -> Tensor:
    """Return pictures whose first row says who it is, nearly."""
    noise = torch.rand(len(people), 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    noise[:, 0, 0] = torch.rand(99, 4, generator=torch.Generator().manual_seed(7))[people]
    return noise


@pytest.fixture
def _seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the network of faces: the first row, in which different people are far apart."""
    monkeypatch.setattr(module, "embedded", lambda faces: 9 * faces[:, 0, 0])


def setting(release: Tensor | None = None) -> tuple[Releases, Knowledge]:
    images = traits(WHO, 1)
    labels = {"who": WHO.clone(), "photo": PHOTOS.clone()}
    own = {"who": WHO, "photo": PHOTOS}  # other people, of the same numbers
    shown = images if release is None else release
    victim = Releases(protector="p", tensor=shown, images=images, labels=labels)
    return victim, Knowledge(images=traits(WHO + 20, 2), labels=own, query=lambda images: images)


HIDDEN = torch.full((12, 3, 4, 4), 0.5)


@pytest.mark.usefixtures("_seen")
def test_what_was_left_clear_is_matched_and_what_was_hidden_is_not() -> None:
    attack = MatchedFaces(group="who")
    clear, hidden = attack.run(*setting()), attack.run(*setting(HIDDEN))
    assert (clear.value, clear.floor, hidden.value) == (1, 0, 0)
    part = HIDDEN.clone()
    part[:3] = setting()[0].images[:3]
    assert attack.run(*setting(part)).value == 3 / 12
    # Both faces of one person, and one of another: of six people, not of twelve faces.
    assert attack.run(*setting(part)).interval[1] > 0.58
    # Two photographs of a person are taken for one: where nobody says who is who, by chance.
    assert MatchedFaces(group="photo").run(*setting()).floor == pytest.approx(1 / 11)
    alone = replace(setting()[0], labels={"who": torch.zeros(12, dtype=torch.int64)})
    with pytest.raises(DataError, match="two photographs or people"):
        attack.run(alone, setting()[1])


@pytest.mark.usefixtures("_seen")
def test_a_person_is_looked_for_in_other_photographs() -> None:
    attack = RecognisedFaces(group="photo", identity="who")
    assert attack.run(*setting()).value == 1
    hidden = attack.run(*setting(HIDDEN))
    assert hidden.value < 0.17  # the same release for all: one person at most
    assert hidden.floor == pytest.approx(2 / 12)
    assert hidden.details.people == 12  # of both sides
    victim, knowledge = setting()
    victim.labels["photo"][1] = 0  # the first person's two faces are in one photograph
    assert attack.run(victim, knowledge).details.unknown_victims == 2
    victim = replace(victim, labels={**victim.labels, "who": PHOTOS})
    assert attack.unfit(victim, knowledge) == "no who has two photographs among the victims'"
    unnamed = torch.full_like(WHO, MISSING)
    victim = replace(victim, labels={**setting()[0].labels, "who": unnamed})
    assert attack.unfit(victim, knowledge) == "no who has two photographs among the victims'"


@pytest.mark.usefixtures("_seen")
def test_without_names_a_face_is_looked_for_among_all_originals() -> None:
    attack = RecognisedFaces(group="photo")
    victim, knowledge = setting()
    people = replace(victim, images=traits(PHOTOS, 1), tensor=traits(PHOTOS, 3))
    found = attack.run(people, knowledge)
    assert (found.value, found.floor, found.floor_interval) == (1, 1 / 24, None)
    mixed = replace(people, tensor=people.tensor.roll(1, 0))
    assert attack.run(mixed, knowledge).value == 0
    assert attack.unfit(replace(victim, tensor=torch.rand(12, 5)), knowledge) is not None


@pytest.mark.usefixtures("_seen")
def test_another_attack_reads_what_the_network_makes_of_a_face() -> None:
    images = traits(torch.arange(60) % 6, 4)
    smile = (images[:, 0, 0, 0] > images[:, 0, 0, 0].median()).long()
    victim = Releases(
        protector="p", tensor=images[:30], images=images[:30], labels={"smile": smile[:30]}
    )
    knowledge = Knowledge(
        images=images[30:], labels={"smile": smile[30:]}, query=lambda images: images
    )
    inner = AttributeAttack(attributes=("smile",), config=QUICK)
    attack = Viewed(attack=inner, name="faces:smile", by="network")
    found = attack.run(victim, knowledge)
    assert found.attack == "faces:smile"
    assert found.value > 0.9
    assert attack.reads() == ("smile",)
    large = torch.rand(2, 3, 150, 150)
    assert Viewed(attack=inner, name="x", by="pixels").view(large).shape == (2, 3, 64, 64)


@needs_faces
def test_faces_are_told_apart_by_the_published_threshold() -> None:
    crops = torch.cat([open_backbone("face").crops(drawn_face(i)) for i in (0, 0, 1)])
    shifted = open_backbone("face").crops(drawn_face(0, turn=3))
    rows = embedded(torch.cat([crops, shifted]).float() / 255)
    assert rows.shape == (4, 128)
    assert float((rows[0] - rows[1]).norm()) < 1e-4
    assert float((rows[0] - rows[3]).norm()) < SAME
    with pytest.raises(DataError, match="expected aligned faces of 150x150"):
        embedded(torch.rand(1, 3, 20, 20))


@pytest.mark.usefixtures("_seen")
def test_a_face_is_never_found_in_its_own_photograph() -> None:
    """It would be: the release is the original, and nobody's two photographs are alike."""
    images = torch.rand(12, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    victim, knowledge = setting()
    victim = replace(victim, tensor=images, images=images)
    found = RecognisedFaces(group="photo", identity="who").run(victim, knowledge)
    assert found.value <= 0.25
    assert RecognisedFaces(group="photo").run(victim, knowledge).value == 1
