"""Colour profiles (ICC) written from their definition, as no library here writes them."""

from __future__ import annotations

import struct

import numpy as np
from jaxtyping import Float

Point = tuple[float, float]
_STEPS = 9  # grid points a channel
_D50 = (0.9642, 1.0, 0.8249)
# Bradford's adaptation from D65 to D50, the white of every profile.
_TO_D50 = np.array(
    [
        [1.0478112, 0.0228866, -0.0501270],
        [0.0295424, 0.9904844, -0.0170491],
        [-0.0092345, 0.0150436, 0.7521316],
    ]
)
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def _xyz(values: Float[np.ndarray, " 3"] | tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*map(float, values))


def _profile(space: bytes, pcs: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"mluc\0\0\0\0"
        + struct.pack(">II", 1, 12)
        + b"enUS"
        + struct.pack(">II", 2, 28)
        + b"\0t",
        b"cprt": b"mluc\0\0\0\0"
        + struct.pack(">II", 1, 12)
        + b"enUS"
        + struct.pack(">II", 2, 28)
        + b"\0t",
        b"wtpt": _xyz(_D50),
        **tags,
    }
    place = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + b"\0" * (-len(content) % 4)
    head = struct.pack(">I", place + len(body)) + b"lcms" + b"\x04\x20\0\0" + kind + space + pcs
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 24 + struct.pack(">I", 0)
    head += _fixed(*_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _curve(gamma: float | tuple[float, ...]) -> bytes:
    if isinstance(gamma, tuple):
        return b"para\0\0\0\0\0\3\0\0" + _fixed(*gamma)
    return b"para\0\0\0\0\0\0\0\0" + _fixed(gamma)


def rgb_matrix(primaries: tuple[Point, ...], gamma: float | tuple[float, ...]) -> bytes:
    """A display's profile: primaries (x, y) under D65, and one curve."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    matrix = _TO_D50 @ (columns * np.linalg.solve(columns, white))
    tags = {name: _xyz(matrix[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    curves = {name: _curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return _profile(b"RGB ", b"XYZ ", b"mntr", tags | curves)


def grey_curve(gamma: float) -> bytes:
    return _profile(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": _curve(gamma)})


def _table(inks: Float[np.ndarray, "n channels"], lab: Float[np.ndarray, "n 3"]) -> bytes:
    """An 8-bit table from a device to Lab."""
    channels = inks.shape[1]
    values = np.stack([lab[:, 0] * 2.55, lab[:, 1] + 128, lab[:, 2] + 128], 1)
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([channels, 3, _STEPS, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    body = values.round().clip(0, 255).astype(np.uint8).tobytes()
    return head + ramp * channels + body + ramp * 3


def _grid(channels: int) -> Float[np.ndarray, "n channels"]:
    steps = [np.linspace(0, 1, _STEPS)] * channels
    return np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, channels)


def rgb_table() -> bytes:
    """A profile that is a table: lightness by the sum, colour by the differences."""
    grid = _grid(3)
    red, green, blue = grid.T
    lab = np.stack([20 * red + 60 * green + 20 * blue, 40 * (red - green), 40 * (green - blue)], 1)
    return _profile(b"RGB ", b"Lab ", b"prtr", {b"A2B0": _table(grid, lab)})


def cmyk_table() -> bytes:
    """A printer's profile; ink darkens, cyan to green, magenta to red, yellow to yellow."""
    grid = _grid(4)
    c, m, y, k = grid.T
    light = (95 - 25 * c - 30 * m - 8 * y) * (1 - 0.85 * k)
    lab = np.stack([light, (30 * m - 20 * c) * (1 - k), (30 * y - 20 * c) * (1 - k)], 1)
    return _profile(b"CMYK", b"Lab ", b"prtr", {b"A2B0": _table(grid, lab)})


SRGB = rgb_matrix(_SRGB, _SRGB_CURVE)
DISPLAY_P3 = rgb_matrix(_P3, _SRGB_CURVE)
SWAPPED = rgb_matrix((_SRGB[1], _SRGB[0], _SRGB[2]), _SRGB_CURVE)
"""sRGB with red and green exchanged: it can be told from no conversion at a glance."""
