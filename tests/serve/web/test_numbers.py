"""The scripts compute what Python computes: features, training, statistics, and the file."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.data.imageset import ImageSet
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.picture import features_of
from sfumato.features.views import ViewDraws, stacked_views
from sfumato.filter.enroll import LEAST_SPREAD, enroll, page_settings
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.oneclass import OneClassConfig, squared_error
from tests.serve.web.conftest import Visitor
from tests.serve.world import HIDDEN, World

_FEATURES = """async ([backbone, pictures]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { openBackbone } = await import("/web/backbone.js");
  const { decode } = await import("/web/picture.js");
  const { input, feature } = openBackbone(bytes(backbone).buffer);
  const found = [];
  for (const picture of pictures) {
    found.push(Array.from(feature(input(await decode(new Blob([bytes(picture)]))))));
  }
  return found;
}"""
_VIEWS = """async ([backbone, pictures, augmentation, count, seed]) => {
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const { openBackbone } = await import("/web/backbone.js");
  const { decode } = await import("/web/picture.js");
  const { Views } = await import("/web/views.js");
  const { input, feature } = openBackbone(bytes(backbone).buffer);
  const views = new Views(augmentation, count, seed);
  const found = [];
  for (const picture of pictures) {
    const shown = input(await decode(new Blob([bytes(picture)])));
    found.push(views.of(shown).map((view) => Array.from(feature(view))));
  }
  return found;
}"""
_ENROLL = """async ([rows, views, settings, seed, backbone]) => {
  const { enroll } = await import("/web/oneclass.js");
  const { newKey, seal } = await import("/web/enrollment.js");
  const made = enroll(rows, views, settings, seed);
  return Array.from(await seal(made, backbone, await newKey()));
}"""


def picture(mode: str, size: tuple[int, int], kind: str, seed: int) -> bytes:
    """A smooth random picture: noise would hide a wrong filter's blur behind its own."""
    generator = np.random.default_rng(seed)
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    coarse = generator.integers(0, 256, (6, 7, channels), dtype=np.uint8)
    image = Image.fromarray(coarse[:, :, 0] if channels == 1 else coarse, mode)
    buffer = BytesIO()
    image.resize(size, Image.Resampling.BICUBIC).save(buffer, kind, quality=90)
    return buffer.getvalue()


PICTURES = [
    picture("L", (28, 28), "PNG", 0),
    picture("RGB", (45, 31), "PNG", 1),
    picture("RGB", (9, 13), "PNG", 2),
    picture("L", (120, 64), "PNG", 3),
    picture("RGB", (333, 201), "BMP", 4),
]


_SMALLER = """async ([planes, width, height, kept]) => {
  const { smaller } = await import("/web/picture.js");
  const made = smaller(planes, width, height, kept);
  return [made.height, made.width, made.planes.map((plane) => Array.from(plane))];
}"""


def test_a_large_picture_is_halved_as_the_service_does(visit: Visitor) -> None:
    page = visit()
    tab = page.open("/enroll")
    content, limits = PICTURES[1], ImageLimits(kept_pixels=400)
    whole = decode_image(content).double() / 255
    sent = [whole.flatten(1).tolist(), whole.shape[2], whole.shape[1], 400]
    height, width, planes = tab.evaluate(_SMALLER, sent)
    found = torch.tensor(planes).view(3, height, width)
    expected = decode_image(content, limits=limits).float() / 255
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1.01 / 255
    script = page.context.request.get(f"{page.url}/web/picture.js").text()
    assert f"const KEPT = {ImageLimits().kept_pixels:_};" in script


def features(backbone: Backbone, pictures: list[bytes]) -> Float[Tensor, "n d"]:
    return features_of(backbone, map(decode_image, pictures))


def in_browser(tab: Any, backbone: Backbone, pictures: list[bytes]) -> Float[Tensor, "n d"]:
    text = [base64.b64encode(content).decode() for content in pictures]
    sent = base64.b64encode(backbone.to_bytes()).decode()
    return torch.tensor(tab.evaluate(_FEATURES, [sent, text]))


def fitted(spec: str, world: World, dims: int | None = None) -> Backbone:
    images = torch.cat([world.images[digit][:20] for digit in range(10)])
    return open_backbone(spec).fit(ImageSet(name="digits", images=images), dims=dims)


@pytest.mark.parametrize(
    "spec", ["raw:1x28x28", "raw:3x16x20", "gradients:1x28x28", "gradients:3x9x5", "raw:1x64x120"]
)
def test_features_are_pythons(visit: Visitor, spec: str) -> None:
    backbone, tab = open_backbone(spec), visit().open("/enroll")
    found, expected = in_browser(tab, backbone, PICTURES), features(backbone, PICTURES)
    assert float((found - expected).abs().max()) < 1e-4
    assert float(expected.std()) > 0.05


@pytest.mark.parametrize("spec", ["raw:1x8x8", "gradients:1x8x8"])
def test_projection_and_scaler_are_pythons(visit: Visitor, world: World, spec: str) -> None:
    backbone, tab = fitted(spec, world, dims=12), visit().open("/enroll")
    pictures = [world.png(digit, 30) for digit in range(10)]
    found, expected = in_browser(tab, backbone, pictures), features(backbone, pictures)
    assert found.shape == (10, 12)
    assert float((found - expected).abs().max()) < 1e-4


def test_lossy_and_transparent_pictures_are_nearly_pythons(visit: Visitor) -> None:
    """Two decoders may differ by a level or two; the picture must be the same."""
    pictures = [picture("RGB", (160, 120), "JPEG", 5), picture("RGBA", (40, 30), "PNG", 6)]
    backbone, tab = open_backbone("raw:3x24x32"), visit().open("/enroll")
    found, expected = in_browser(tab, backbone, pictures), features(backbone, pictures)
    assert float((found - expected).abs().max()) < 3 / 255


def test_a_turned_photograph_is_upright(visit: Visitor) -> None:
    image = Image.open(BytesIO(picture("RGB", (60, 40), "PNG", 7)))
    exif, buffer = Image.Exif(), BytesIO()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", quality=95, exif=exif)
    backbone, tab = open_backbone("raw:3x24x16"), visit().open("/enroll")
    found = in_browser(tab, backbone, [buffer.getvalue()])
    assert float((found - features(backbone, [buffer.getvalue()])).abs().max()) < 3 / 255


TRAININGS = {
    "ours": OneClassConfig(hidden=8, least_steps=60, epochs=10),
    "the paper's": OneClassConfig.paper(hidden=8, least_steps=60, epochs=10),
    "all that may be hidden": OneClassConfig(
        hidden=8, least_steps=60, epochs=10, noise=0.5, code_noise=0.2, lr=0.7, average=2.0
    ),
}


def made_there(
    tab: Any, rows: Tensor, config: OneClassConfig, seed: int = 11, views: Tensor | None = None
) -> Enrollment:
    seen = rows[:, None] if views is None else views
    arguments = [rows.tolist(), seen.tolist(), page_settings(config), seed, "ab" * 32]
    return open_enrollment(bytes(tab.evaluate(_ENROLL, arguments))).enrollment


def errors(made: Enrollment, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    codes = (x @ made.encoder.T + made.encoder_bias).relu()
    again = (codes @ made.decoder.T + made.decoder_bias).sigmoid()
    return squared_error(x[None], again[None])[0]


@pytest.mark.parametrize("count", [3, 500])
@pytest.mark.parametrize("spec", ["raw:1x28x28", "gradients:1x20x28", "raw:3x16x20"])
def test_views_are_pythons(visit: Visitor, spec: str, count: int) -> None:
    """The same turns, zooms and moves from the same seed, in as many views for so many pictures."""
    backbone, augmentation = open_backbone(spec), Augmentation(most=5)
    tab, sent = visit().open("/enroll"), base64.b64encode(backbone.to_bytes()).decode()
    text = [base64.b64encode(content).decode() for content in PICTURES]
    arguments = [sent, text, asdict(augmentation), count, 13]
    found = torch.tensor(tab.evaluate(_VIEWS, arguments))
    draws = ViewDraws(backbone, augmentation, count, seed=13)
    expected = stacked_views([draws.of(decode_image(content)) for content in PICTURES])
    assert expected is not None
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 2e-4
    assert float((expected[:, 0] - expected[:, -1]).abs().mean()) > 0.01


@pytest.mark.parametrize(("count", "calibration"), [(37, "cross-fitted"), (200, "held-out")])
@pytest.mark.parametrize("training", TRAININGS)
def test_a_training_is_pythons(
    visit: Visitor, world: World, training: str, count: int, calibration: str
) -> None:
    """The same seed takes the same weights, batches and noise, so only rounding sets them apart.

    Another seed gives errors that differ by some 3 %, and weights that have nothing in common.
    """
    config = TRAININGS[training]
    rows = world.backbone(torch.cat([world.images[3], world.images[8]])[:count])
    views = None
    if (
        config.augmentation is not None
    ):  # any rows will do: the training does not ask whose they are
        views = torch.stack([rows, rows.roll(1, 0) * 0.9, rows.flip(1)], 1)
    expected = enroll(rows, config, backbone="ab" * 32, seed=11, views=views)
    found = made_there(visit().open("/enroll"), rows, config, views=views)
    assert found.calibration == expected.calibration == calibration
    assert (found.count, found.backbone) == (count, expected.backbone)
    assert found.mu == pytest.approx(expected.mu, rel=2e-3)
    assert found.sigma == pytest.approx(expected.sigma, rel=5e-3)
    new = world.backbone(torch.cat([world.images[3][-20:], world.images[5][:20]]))
    assert torch.allclose(errors(found, new), errors(expected, new), rtol=0.01)
    for name in ("encoder", "decoder", "code_mean", "code_covariance"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert float((ours - theirs).norm() / theirs.norm()) < 0.02, name


def test_the_page_hands_over_the_shipped_training(visit: Visitor, world: World) -> None:
    settings = json.loads(visit().open("/enroll").get_attribute("#training", "data-settings"))
    assert settings == json.loads(json.dumps(page_settings(OneClassConfig(hidden=HIDDEN))))


def test_equal_pictures_have_the_sigma_that_python_gives(visit: Visitor, world: World) -> None:
    """Their errors have no spread, so that sigma is its floor: here and in Python alike."""
    rows = world.backbone(world.images[4][:1]).expand(12, -1)
    config = OneClassConfig(hidden=4, least_steps=30, epochs=1, batch_size=16)
    settings, tab = page_settings(config), visit().open("/enroll")
    settings["calibration"]["few"] = 2  # held out: one network measures

    def sigma() -> tuple[float, float]:
        seen = rows[:, None].tolist()
        content = tab.evaluate(_ENROLL, [rows.tolist(), seen, settings, 1, "ab" * 32])
        made = open_enrollment(bytes(content)).enrollment
        return made.mu, made.sigma

    python = enroll(rows, config, backbone="ab" * 32, seed=1, calibration="held-out")
    assert sigma() == pytest.approx((python.mu, python.sigma), rel=0.01)
    assert python.sigma == pytest.approx(LEAST_SPREAD * python.mu, rel=1e-6)
    settings["calibration"]["least"] = 7.5
    assert sigma() == (7.5, 7.5)


def test_two_pictures_are_enough_and_one_is_not(visit: Visitor, world: World) -> None:
    tab = visit().open("/enroll")
    rows = world.backbone(world.images[0][:2])
    config = OneClassConfig(hidden=4, least_steps=5, epochs=1)
    made = made_there(tab, rows, config)
    assert made.count == 2
    assert bool(errors(made, rows).isfinite().all())
    with pytest.raises(Exception, match="at least 2 usable pictures, got 1"):
        made_there(tab, rows[:1], config)
