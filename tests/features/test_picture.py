"""Every way from a picture to its feature is one: extracted, served, enrolled and decided on."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from sfumato.cipher.request import RequestKey
from sfumato.cli.main import app
from sfumato.data.decoding.decode import decode_image, decode_views
from sfumato.data.lazy import open_lazily
from sfumato.data.options import SourceOptions
from sfumato.errors import DataError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.picture import feature_of, features_in, features_of
from sfumato.features.preprocess import Preprocess
from sfumato.filter.private_pictures import read_features
from sfumato.serve.features import FeatureService, FeatureSettings, create_feature_app
from sfumato.serve.pictures.extract import see
from sfumato.serve.wire import FEATURES_PATH, PUBLIC_KEY_HEADER

SIZES = [(60, 25), (25, 60), (31, 31), (48, 20)]


def photo(size: tuple[int, int], seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos")
    for i, size in enumerate(SIZES):
        (path / f"{i}.png").write_bytes(photo(size, i))
    return path


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def served(backbone: Backbone, content: bytes) -> Tensor:
    key = RequestKey.draw()
    public = base64.urlsafe_b64encode(key.public).decode()
    service = FeatureService(backbone, FeatureSettings(workers=0))
    with TestClient(create_feature_app(service)) as client:
        answer = client.post(FEATURES_PATH, content=content, headers={PUBLIC_KEY_HEADER: public})
    service.close()
    return key.open(answer.content)


@pytest.mark.parametrize("spec", ["gradients:1x28x28", "raw:3x16x20"])
def test_extracted_served_enrolled_and_decided_on_are_equal_to_the_bit(
    spec: str, folder: Path, tmp_path: Path
) -> None:
    saved, out = tmp_path / "public.backbone", tmp_path / "own.features"
    open_backbone(spec).save(saved)
    command = ["features", "extract", f"folder:{folder}", "--backbone", str(saved), "-o", str(out)]
    CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)
    backbone = Backbone.load(saved)
    extracted = load_file(out)["features"]
    files = contents(folder)
    assert torch.equal(extracted, features_of(backbone, map(decode_image, files)))
    assert torch.equal(extracted, read_features(folder, backbone).features)
    assert torch.equal(
        extracted, torch.cat([see(backbone, decode_views(c), hashes=False).features for c in files])
    )
    assert torch.equal(extracted, torch.cat([served(backbone, content) for content in files]))


def test_the_network_says_what_is_cut(folder: Path) -> None:
    """A long picture is cut, squashed or padded as the backbone's own settings have it."""
    picture = decode_image(contents(folder)[0])
    rows = {}
    for fit in ("squash", "center", "border"):
        wanted = Preprocess(size=(8, 8), fit=fit)
        backbone = Backbone.wrap(nn.Flatten(), name=fit, preprocess=wanted)
        backbone = backbone.fit(open_lazily(f"folder:{folder}", SourceOptions()))
        rows[fit] = feature_of(backbone, picture)
        expected = backbone.scaler(wanted(picture[None]).flatten(1))
        assert torch.equal(rows[fit], expected)
    assert not torch.allclose(rows["squash"], rows["center"], atol=0.05)


def test_public_pictures_of_any_size_fit_a_scaler(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.backbone"
    command = ["filter", "backbone", "--spec", "raw:3x6x6", "--public", f"folder:{folder}"]
    command += ["--dims", "2", "-o", str(out)]
    CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)
    found = Backbone.load(out)
    assert found.dim == 2
    table, left_out = features_in(found, open_lazily(f"folder:{folder}", SourceOptions()))
    assert table.vectors.shape == (len(SIZES), 2)
    assert left_out == ()


def test_no_picture_is_an_error_and_a_broken_one_is_named(folder: Path, tmp_path: Path) -> None:
    backbone = open_backbone("raw:1x4x4")
    with pytest.raises(DataError, match="at least one picture"):
        features_of(backbone, [])
    (tmp_path / "a.png").write_bytes(photo((9, 5), 0))
    (tmp_path / "b.png").write_bytes(b"broken")
    images = open_lazily(f"folder:{tmp_path}", SourceOptions())
    table, left_out = features_in(backbone, images)
    assert len(table) == 1
    assert [file for file, _ in left_out] == ["b.png"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match="expected a usable picture, got none"):
        features_in(backbone, open_lazily(f"folder:{tmp_path}", SourceOptions()))


def test_a_row_keeps_its_file_and_its_labels(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(photo((9, 5), ord(name)))
    (tmp_path / "b.png").write_bytes(b"broken")
    (tmp_path / "metadata.csv").write_text(
        "file_name,mood,writer\nc.png,happy,\na.png,sad,3\nb.png,sad,4\n"
    )
    backbone = open_backbone("raw:1x4x4")
    table, left_out = features_in(backbone, open_lazily(f"folder:{tmp_path}", SourceOptions()))
    assert table.columns.to_pydict() == {
        "file_name": ["a.png", "c.png"],
        "mood": ["sad", "happy"],
        "writer": ["3", None],
    }
    assert table.metadata == {
        "backbone": backbone.fingerprint, "images": f"folder:{tmp_path}"
    }  # fmt: skip
    assert len(left_out) == 1
    (tmp_path / "metadata.csv").write_text("file_name,features\na.png,x\n")
    with pytest.raises(DataError, match="cannot be called 'features'"):
        features_in(backbone, open_lazily(f"folder:{tmp_path}", SourceOptions()))
