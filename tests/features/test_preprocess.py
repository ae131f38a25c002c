"""Preprocessing: as timm's own, for pictures of any size, and only sane settings."""

from __future__ import annotations

from dataclasses import fields
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.features import preprocess
from sfumato.features.preprocess import Preprocess

SMOOTH = np.add.outer(np.arange(90) * 2, np.arange(70))[..., None] * np.array([1.0, 0.7, 0.4])


@pytest.mark.parametrize("fit", ["squash", "center", "border"])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)])
def test_it_equals_timms_evaluation_transform(fit: str, size: tuple[int, int]) -> None:
    picture = SMOOTH.astype(np.uint8)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    ours = Preprocess(size=size, fit=fit, crop=0.8, interpolation="bicubic", mean=mean, std=std)(
        torch.from_numpy(picture).permute(2, 0, 1)[None]
    )
    theirs = create_transform(
        (3, *size), crop_mode=fit, crop_pct=0.8, interpolation="bicubic", mean=mean, std=std
    )(Image.fromarray(picture))
    # PIL rounds to 8 bits between resizing and normalising: half a level, a level at cut corners.
    assert ours.shape[1:] == theirs.shape
    assert float((ours[0] - theirs).abs().mean()) < 0.6 / 255 / 0.2


@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    channels=st.sampled_from([1, 3]),
    wanted=st.sampled_from([1, 3]),
    fit=st.sampled_from(["squash", "center", "border"]),
    crop=st.sampled_from([1.0, 0.875, 0.5]),
)
def test_any_picture_becomes_the_asked_size(
    height: int, width: int, channels: int, wanted: int, fit: str, crop: float
) -> None:
    images = torch.randint(0, 256, (2, channels, height, width), dtype=torch.uint8)
    rule = Preprocess(size=(9, 13), channels=wanted, fit=fit, crop=crop, interpolation="bicubic")
    out = rule(images)
    assert out.shape == (2, wanted, 9, 13)
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    torch.testing.assert_close(out, rule(images.float() / 255))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    channels=st.sampled_from([1, 3]),
    wanted=st.sampled_from([1, 3]),
    fit=st.sampled_from(["squash", "center", "border"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic"]),
    band=st.integers(1, 4000),
)
def test_bands_equal_the_whole_picture(
    height: int,
    width: int,
    channels: int,
    wanted: int,
    fit: str,
    interpolation: str,
    band: int,
) -> None:
    images = torch.randint(0, 256, (2, channels, height, width), dtype=torch.uint8)
    rule = Preprocess(size=(9, 13), channels=wanted, fit=fit, interpolation=interpolation)
    with mock.patch.object(preprocess, "_BAND", band):
        banded = rule(images)
    with mock.patch.object(preprocess, "_BAND", height * width):
        torch.testing.assert_close(banded, rule(images), rtol=0, atol=1e-6)
    whole = rule.values(images)
    target = list(rule.target(height, width))
    if target != [height, width]:
        mode = InterpolationMode(interpolation)
        whole = vision.resize(whole, target, mode, antialias=True).clamp(0, 1)
    whole = vision.center_crop(whole, [9, 13])
    torch.testing.assert_close(banded, whole, rtol=0, atol=1e-6)


def test_pictures_of_the_right_size_keep_their_values() -> None:
    images = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(Preprocess(size=(8, 8), channels=1)(images), images / 255)
    colour = Preprocess(size=(8, 8))(images)
    assert torch.equal(colour[:, 0], colour[:, 2])


def test_four_channels_are_refused() -> None:
    with pytest.raises(DataError, match="4 channels"):
        Preprocess(size=(8, 8))(torch.zeros(1, 4, 8, 8))


@pytest.mark.parametrize(
    "change",
    [
        {"size": (0, 8)},
        {"size": (8, 5000)},
        {"channels": 2},
        {"crop": 0.0},
        {"crop": float("nan")},
        {"mean": (0.5, 0.5)},
        {"std": (0.0,)},
        {"std": (float("nan"),)},
        {"mean": (float("inf"),)},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object]) -> None:
    good = Preprocess(size=(8, 8), channels=3)
    document = good.document() | change
    with pytest.raises(ConfigError):
        Preprocess(**document)
    with pytest.raises(ArtifactError):
        Preprocess.from_document(document)


def test_settings_survive_as_json() -> None:
    rule = Preprocess(size=(8, 9), fit="border", crop=0.9, mean=(0.1, 0.2, 0.3))
    assert Preprocess.from_document(rule.document()) == rule


@pytest.mark.parametrize("document", [{}, {"size": 3}, {"size": [8, 8], "odd": 1}, {"size": "ab"}])
def test_a_document_that_is_no_preprocessing_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ArtifactError):
        Preprocess.from_document(document)


@pytest.mark.parametrize(
    "change",
    [
        {"fit": "tile"},
        {"interpolation": "lanczos"},
        {"order": "grb"},
        {"layout": "chwn"},
        {"layout": None},
        {"channels": 1, "order": "bgr"},
        {"colour": "red"},
        {"size": [8]},
    ],
)
def test_a_document_of_unknown_settings_is_refused(change: dict[str, object]) -> None:
    document = Preprocess(size=(8, 8)).document()
    assert Preprocess.from_document(document) == Preprocess(size=(8, 8))
    with pytest.raises(ArtifactError, match="expected preprocessing settings"):
        Preprocess.from_document(document | change)


@pytest.mark.parametrize("name", [f.name for f in fields(Preprocess)])
def test_a_document_without_one_of_the_settings_is_refused(name: str) -> None:
    document = Preprocess(size=(8, 8)).document()
    del document[name]
    with pytest.raises(ArtifactError, match=f"missing: {name}"):
        Preprocess.from_document(document)


def test_channels_come_in_the_networks_order_with_its_own_mean_and_std() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)
    found = Preprocess(size=(5, 4), order="bgr", mean=mean, std=std)(images)
    blue = (images[:, 2] / 255 - mean[0]) / std[0]
    red = (images[:, 0] / 255 - mean[2]) / std[2]
    torch.testing.assert_close(found[:, 0], blue)
    torch.testing.assert_close(found[:, 2], red)


def test_channels_may_come_last() -> None:
    images = torch.randint(0, 256, (2, 3, 9, 7), dtype=torch.uint8)
    first = Preprocess(size=(5, 4))(images)
    last = Preprocess(size=(5, 4), layout="nhwc")(images)
    assert last.shape == (2, 5, 4, 3)
    assert torch.equal(last.permute(0, 3, 1, 2), first)


def test_bytes_and_signed_values_can_be_asked_for() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    as_bytes = Preprocess(size=(1, 1), channels=1, std=(1 / 255,))(images)
    torch.testing.assert_close(as_bytes.flatten(), torch.tensor([0.0, 255.0]))
    signed = Preprocess(size=(1, 1), channels=1, mean=(0.5,), std=(0.5,))(images)
    assert signed.flatten().tolist() == [-1.0, 1.0]
