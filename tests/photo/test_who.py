from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.filter.enroll import enroll
from sfumato.filter.enrollment import Enrollment
from sfumato.filter.oneclass import OneClassConfig
from sfumato.photo.find.box import Face
from sfumato.photo.who import LIMITS, PersonChooser, protected
from tests.drawn import drawn_face, needs_faces

pytestmark = needs_faces
ME, OTHER = 1, 2
FACE = Face(left=80, top=70, right=150, bottom=165)
NOBODY = Face(left=260, top=20, right=290, bottom=60)
VIEWS = [(size, turn) for size in (110, 160, 220, 300) for turn in (-6, 0, 6)]


def photograph(person: int) -> Tensor:
    """Return a picture with a person on its left side and nobody on its right."""
    wide = torch.full((3, 200, 320), 128, dtype=torch.uint8)
    wide[:, 20:180, 30:190] = drawn_face(person)
    return wide


def views(person: int) -> list[Tensor]:
    return [drawn_face(person, size=size, turn=turn) for size, turn in VIEWS]


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    people = [drawn_face(person) for person in range(10, 26)]
    return open_backbone("face").fit(ImageSet(name="drawn", images=torch.stack(people)))


@pytest.fixture(scope="module")
def me(backbone: Backbone) -> Enrollment:
    features = torch.cat([backbone.features(view)[:1] for view in views(ME)])
    config = OneClassConfig.preset("plain")
    return enroll(features, config, backbone=backbone.fingerprint, seed=0)


def test_the_person_alone_or_everybody_else(backbone: Backbone, me: Enrollment) -> None:
    answers = {
        (whom, person): PersonChooser(me, backbone, whom)(photograph(person), [FACE])
        for whom in ("only", "except")
        for person in (ME, OTHER)
    }
    assert answers == {
        ("only", ME): [True],
        ("only", OTHER): [False],
        ("except", ME): [False],
        ("except", OTHER): [True],
    }


def test_what_cannot_be_told_is_protected(backbone: Backbone, me: Enrollment) -> None:
    for whom in ("only", "except"):
        assert PersonChooser(me, backbone, whom)(photograph(ME), [NOBODY]) == [True]
        assert protected(whom, None)


def test_a_match_is_closer_where_a_stranger_would_be_left_clear() -> None:
    assert LIMITS["except"] < LIMITS["only"]
    between = (LIMITS["except"] + LIMITS["only"]) / 2
    assert protected("only", between)
    assert protected("except", between)


def test_a_track_is_protected_on_the_safe_side(backbone: Backbone, me: Enrollment) -> None:
    only, except_ = (PersonChooser(me, backbone, whom) for whom in ("only", "except"))
    assert only.of_track([True, False, False])
    assert not only.of_track([False, False])
    assert except_.of_track([True, False])
    assert not except_.of_track([True, False, False])


def test_another_backbone_is_refused(me: Enrollment) -> None:
    with pytest.raises(ConfigError, match="another backbone"):
        PersonChooser(me, open_backbone("face"), "only")
    with pytest.raises(ConfigError, match="expected the backbone `face`"):
        PersonChooser(me, open_backbone("raw:1x8x8"), "only")
