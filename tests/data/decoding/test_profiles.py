"""Colours by the code points of ITU-T H.273, against the tables and formulas of its own text."""

from __future__ import annotations

import numpy as np
import pytest
from jaxtyping import Float

from sfumato.data import decode_image
from sfumato.data.decoding.profiles import coded_profile
from sfumato.errors import ImageError
from tests.data.decoding.viewer_files import cicp, png

LINEAR, SRGB_CURVE = 8, 13
D65, C, E, DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
# Table 2: x and y of green, blue and red, and the white.
PRIMARIES = {
    1: ((0.300, 0.600), (0.150, 0.060), (0.640, 0.330), D65),
    4: ((0.21, 0.71), (0.14, 0.08), (0.67, 0.33), C),
    5: ((0.29, 0.60), (0.15, 0.06), (0.64, 0.33), D65),
    6: ((0.310, 0.595), (0.155, 0.070), (0.630, 0.340), D65),
    7: ((0.310, 0.595), (0.155, 0.070), (0.630, 0.340), D65),
    8: ((0.243, 0.692), (0.145, 0.049), (0.681, 0.319), C),
    9: ((0.170, 0.797), (0.131, 0.046), (0.708, 0.292), D65),
    10: ((0.0, 1.0), (0.0, 0.0), (1.0, 0.0), E),
    11: ((0.265, 0.690), (0.150, 0.060), (0.680, 0.320), DCI),
    12: ((0.265, 0.690), (0.150, 0.060), (0.680, 0.320), D65),
    22: ((0.295, 0.605), (0.155, 0.077), (0.630, 0.340), D65),
}


def smpte_240(v: float) -> float:
    return v / 4 if v < 0.0913 else ((v + 0.1115) / 1.1115) ** (1 / 0.45)


def srgb(v: float) -> float:
    return v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4


# Table 3, from a sample to light; a video signal as a screen shows it (BT.1886).
CURVES = {
    **dict.fromkeys((1, 6, 11, 14, 15), lambda v: v**2.4),
    4: lambda v: v**2.2,
    5: lambda v: v**2.8,
    7: smpte_240,
    LINEAR: lambda v: v,
    SRGB_CURVE: srgb,
    17: lambda v: 52.37 / 48 * v**2.6,
}
# Bradford's cone responses, by which white is adapted.
CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def xyz(point: tuple[float, float]) -> Float[np.ndarray, "3"]:
    x, y = point
    return np.array([x, y, 1 - x - y])


def to_d65(code: int) -> Float[np.ndarray, "3 3"]:
    """Light of red, green and blue to XYZ under D65's white."""
    green, blue, red, white = PRIMARIES[code]
    columns = np.stack([xyz(red), xyz(green), xyz(blue)], 1)
    here, there = xyz(white) / white[1], xyz(D65) / D65[1]
    light = columns * np.linalg.solve(columns, here)
    gains = (CONES @ there) / (CONES @ here)
    adapted: Float[np.ndarray, "3 3"] = np.linalg.inv(CONES) @ np.diag(gains) @ CONES @ light
    return adapted


def encoded(light: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    light = light.clip(0, 1)
    bent: Float[np.ndarray, "..."] = np.where(
        light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light
    )
    return 255 * bent


def decoded(values: Float[np.ndarray, "h w 3"], *codes: int) -> Float[np.ndarray, "h w 3"]:
    image = decode_image(png("rgb", 8, values=values.astype(np.uint16), before=[cicp(*codes)]))
    return image.permute(1, 2, 0).numpy().astype(float)


@pytest.mark.parametrize("code", PRIMARIES)
def test_primaries_are_those_of_the_table(code: int) -> None:
    # Colours near grey: those that the screen's own primaries cannot make are cut off.
    values = np.array([[[140, 120, 120], [120, 140, 120], [120, 120, 140], [255, 255, 255]]])
    light = values / 255 @ (np.linalg.inv(to_d65(1)) @ to_d65(code)).T
    found = decoded(values.astype(float), code, LINEAR)
    assert np.abs(found - encoded(light)).max() <= 1.5


@pytest.mark.parametrize("code", CURVES)
def test_curves_are_those_of_the_table(code: int) -> None:
    ramp = np.arange(256.0)
    values = np.stack([ramp] * 3, -1)[None]
    light = np.array([CURVES[code](v / 255) for v in ramp])
    found = decoded(values, 1, code)[0, :, 0]
    # Near black, where sRGB is steep, eight bits of a profile's own tables are coarse.
    assert np.abs(found - encoded(light))[32:].max() <= 1.5


@pytest.mark.parametrize("transfer", [16, 18])
def test_what_is_brighter_than_white_is_refused(transfer: int) -> None:
    with pytest.raises(ImageError, match="high dynamic range"):
        decoded(np.zeros((1, 1, 3)), 9, transfer)


@pytest.mark.parametrize("codes", [(2, 2), (1, 2), (3, 13), (1, 13), (0, 13), (23, 8)])
def test_codes_without_a_meaning_change_nothing(codes: tuple[int, int]) -> None:
    values = np.array([[[140.0, 20.0, 220.0]]])
    assert np.array_equal(decoded(values, *codes), values)


@pytest.mark.parametrize("code", [1, 5, 6, 9, 12, 22])
def test_grey_is_the_same_grey_in_all_primaries_with_the_screens_white(code: int) -> None:
    """So is its curve, the screen's own."""
    ramp = np.arange(256.0)
    found = decoded(np.stack([ramp] * 3, -1)[None], code, 13)
    assert np.abs(found - ramp[None, :, None]).max() <= 1


def test_what_a_screen_shows_anyway_needs_no_profile() -> None:
    assert coded_profile(1, 13) is None
    assert coded_profile(9, 13) is not None
    assert coded_profile(2, 13) is None
