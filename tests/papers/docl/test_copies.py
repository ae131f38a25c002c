"""The copies recipe: edits edit, alpha keeps strangers, and the two ways are joined by or."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from papers.docl.copies import (
    Enrolled,
    Scene,
    Uploads,
    enroll_all,
    rates,
    read_uploads,
    strictest_alpha,
)
from papers.docl.edits import COLLAGE, EDITS, edited
from sfumato.data.decoding.decode import decode_image, encode_png
from sfumato.data.sources import load
from sfumato.features.backbone import open_backbone
from sfumato.filter.oneclass import OneClassConfig


@pytest.fixture(scope="module")
def scene() -> Scene:
    drawn = load("characters", count=96, size=64, seed=1)
    owner = drawn.label("identity")
    people = [drawn.images[owner == p] for p in range(3)]
    return Scene(people, drawn.images[owner > 3][:40], open_backbone("gradients:1x28x28"), None)


@pytest.fixture(scope="module")
def enrolled(scene: Scene) -> Enrolled:
    config = OneClassConfig.preset("plain", hidden=8, epochs=5, least_steps=60, batch_size=8)
    return enroll_all(scene, [x[:6] for x in scene.people], config, 0)


SIZES = {
    "half the size": (64, 64),
    "framed": (154, 154),
    "screenshot": (228, 128),
    "cropped to half": (90, 90),
    COLLAGE: (256, 256),
}
"""Of 128 by 128 pixels."""


@pytest.mark.parametrize("name", [*EDITS, COLLAGE])
def test_every_edit_gives_another_picture(name: str) -> None:
    picture, *others = load("characters", count=4, size=128).images
    file = edited(picture, name, others)
    assert file == edited(picture, name, others)
    found = decode_image(file)
    height, width = found.shape[1:]
    if name in SIZES:
        assert (height, width) == SIZES[name]
    elif name.startswith("cropped"):
        share = 0.05 if "5" in name else 0.10
        assert height == width == 128 - round(share * 128)
    else:
        assert (height, width) == (128, 128)
        assert not torch.equal(found, picture)
    if name == COLLAGE:
        part = found[:, :128, 128:].float()
        assert float((part - picture.float()).abs().mean()) < 5
    if name == "screenshot":
        assert float((found[:, 50:178].float() - picture.float()).abs().mean()) < 5
    if name == "re-photographed":
        assert found[0].float().mean() > found[2].float().mean()
    if name == "mirrored":
        apart = (found.flip(2).float() - picture.float()).abs().mean()
        assert float(apart) < 5 < float((found.float() - picture.float()).abs().mean())
    if name == "caption":
        assert float(found[:, -4:].float().mean()) < 5
    if name == "grey":
        assert torch.equal(found[0], found[1]) or found.shape[0] == 1


def test_alpha_is_the_largest_that_spares_strangers(scene: Scene, enrolled: Enrolled) -> None:
    strangers = read_uploads(scene, [scene.strangers], encode_png)
    for allowed in (0.0, 0.1, 0.5):
        alpha = strictest_alpha(enrolled, strangers, allowed)
        half = strangers.features[::2]
        assert float(enrolled.claimed_at(half, alpha).float().mean()) <= allowed + 1e-6
        assert float(enrolled.claimed_at(half, alpha + 1e-3).float().mean()) > allowed + 1e-6


def test_both_block_what_either_blocks_and_a_saved_copy_is_found(
    scene: Scene, enrolled: Enrolled
) -> None:
    own = [x[:4] for x in scene.people]
    saved = read_uploads(scene, own, lambda picture: edited(picture, "saved again", ()))
    assert saved.owner.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    found = enrolled.found(saved, 1.0)
    assert torch.equal(found["both"], found["pdq"] | found["class"])
    assert torch.equal(found["pdq"] | found["one view"], found["pdq"])
    turned = read_uploads(scene, own, lambda picture: edited(picture, "turned by 180", ()))
    found_turned = enrolled.found(turned, 1.0)
    assert bool(found_turned["pdq"].all())
    assert not bool(found_turned["one view"].any())
    assert bool(found["pdq"].all())
    found_rates = rates(enrolled, saved, 1.0, 0)
    assert found_rates["pdq"]["value"] == 1
    assert (
        found_rates["class"]["interval"][0]
        <= found_rates["class"]["value"]
        <= found_rates["class"]["interval"][1]
    )
    other = Uploads.read(scene, [encode_png(p) for p in scene.strangers[:5]], torch.arange(5))
    assert not bool(enrolled.found(other, 1.0)["pdq"].any())


def test_a_face_is_looked_for_where_it_was(scene: Scene, tmp_path: Path) -> None:
    boxed = Scene(scene.people, scene.strangers, scene.backbone, (16, 16, 48, 48))
    picture = scene.people[0][0]
    expected = decode_image(encode_png(picture), channels=3, size=(28, 28), box=(16, 16, 48, 48))
    assert torch.equal(boxed.seen(encode_png(picture)), expected)
    half = boxed.seen(edited(picture, "half the size", ())).float()
    assert float((half - expected.float()).abs().mean()) < 12
