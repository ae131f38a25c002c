"""Victims and adversary share nothing, or it is said what they share."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sfumato.audit.measure.disjoint import check_disjoint, sides
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import DataError


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("identity", [None, "person"])
def test_the_two_sides_share_nothing_and_are_the_whole(
    blobs: ImageSet, identity: str | None, seed: int
) -> None:
    victims, adversary = sides(blobs, identity, seed=seed)
    said = check_disjoint(victims, adversary, identity)
    assert said == f"no {identity or 'file'} is on both sides"
    assert sorted([*victims.files, *adversary.files]) == sorted(blobs.files)
    assert min(len(victims), len(adversary)) >= 80
    if identity:
        people = [set(side.label("person").tolist()) for side in (victims, adversary)]
        assert people[0] | people[1] == set(range(5))
        assert not people[0] & people[1]
    other = sides(blobs, identity, seed=seed + 2)[0]
    assert identity is not None or other.files != victims.files


def test_who_is_on_both_sides_is_named(blobs: ImageSet) -> None:
    first, second = blobs.where("person", "a"), blobs.where("person", "b")
    assert check_disjoint(first, second, "person") == "no person is on both sides"
    with pytest.raises(DataError, match=r"has 1 of the victims' own \(b\)"):
        check_disjoint(blobs.subset(range(2)), second, "person")


@pytest.mark.parametrize("unnamed", ["victims", "adversary"])
def test_people_without_a_name_prove_nothing(blobs: ImageSet, unnamed: str) -> None:
    """One of them may be a person of the other side."""
    two = {"victims": blobs.where("person", "a"), "adversary": blobs.where("person", "b")}
    labels = {"person": two[unnamed].label("person").clone()}
    labels["person"][3] = MISSING
    two[unnamed] = replace(two[unnamed], labels=labels, classes={"person": tuple("abcde")})
    with pytest.raises(DataError, match="some images have no 'person', so nothing is proved"):
        check_disjoint(two["victims"], two["adversary"], "person")


def test_files_are_told_by_name_and_pictures_without_files_by_their_pixels(
    blobs: ImageSet,
) -> None:
    first, second = blobs.subset(range(5)), blobs.subset(range(4, 9))
    with pytest.raises(DataError, match=r"has 1 of the victims' own \(blob4\.png\)"):
        check_disjoint(first, second, None)
    bare = [replace(side, files=()) for side in (first, second)]
    for one, other in ((bare[0], bare[1]), (first, bare[1]), (bare[0], second)):
        with pytest.raises(DataError, match="has 1 of the victims' own"):
            check_disjoint(one, other, None)
    apart = replace(blobs.subset(range(5, 9)), files=())
    assert check_disjoint(first, apart, None) == "no picture is on both sides"


def test_a_few_of_many_shared_are_named(blobs: ImageSet) -> None:
    with pytest.raises(DataError, match=r"has 9 of .* \(blob0\.png, blob1\.png, blob2\.png\); spl"):
        check_disjoint(blobs.subset(range(9)), blobs.subset(range(9)), None)


def test_one_pixel_makes_another_picture(blobs: ImageSet) -> None:
    one = replace(blobs.subset(range(3)), files=())
    changed = one.images.clone()
    changed[:, 0, 0, 0] ^= 1
    assert check_disjoint(one, replace(one, images=changed), None)
    assert not torch.equal(changed, one.images)
