"""Colour profiles for what files say in numbers: PNG's gAMA and cHRM, and coding points (cICP)."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from jaxtyping import Float

from sfumato.errors import ImageError

Point = tuple[float, float]
Primaries = tuple[Point, Point, Point, Point]
"""Chromaticities (x, y) of white, red, green and blue."""
Curve = tuple[float, ...]
"""From a sample to light: the exponent g alone, or g, a, b, c, d of ((a x + b)^g above d, c x)."""

_D65: Final = (0.3127, 0.3290)
SRGB: Final[Primaries] = (_D65, (0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_VIDEO_CURVE: Final = (2.4,)  # BT.1886: what a screen makes of a video signal, not the camera's
_C: Final = (0.310, 0.316)
# ITU-T H.273, tables 2 and 3.
_PRIMARIES: Final[dict[int, Primaries]] = {
    1: SRGB,
    4: (_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    8: (_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    10: ((1 / 3, 1 / 3), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
_CURVES: Final[dict[int, Curve]] = {
    1: _VIDEO_CURVE,
    4: (2.2,),
    5: (2.8,),
    6: _VIDEO_CURVE,
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),
    8: (1.0,),
    11: _VIDEO_CURVE,
    13: _SRGB_CURVE,
    14: _VIDEO_CURVE,
    15: _VIDEO_CURVE,
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0),
}
_BRIGHT: Final = {16: "PQ", 18: "HLG"}
_D50: Final = (0.9642, 1.0, 0.8249)
_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def coded_profile(primaries: int, transfer: int) -> bytes | None:
    """Return the ICC profile of two code points (H.273); None where they are unknown, or sRGB.

    Raises:
        ImageError: the picture is brighter than a screen's white (PQ or HLG): what is shown of it
            is each viewer's own choice.
    """
    if transfer in _BRIGHT:
        raise ImageError(
            f"expected colours up to white, got high dynamic range ({_BRIGHT[transfer]}), which "
            "every viewer shows in its own way; save it in standard range"
        )
    if primaries not in _PRIMARIES or transfer not in _CURVES or (primaries, transfer) == (1, 13):
        return None
    return matrix_profile(_PRIMARIES[primaries], _CURVES[transfer])


def matrix_profile(primaries: Primaries, curve: Curve) -> bytes | None:
    """Return the ICC profile (version 4) of three primaries, a white and one curve for all.

    None where the points span no colours or cannot be written.
    """
    try:
        with np.errstate(all="raise"):
            columns = _to_d50(primaries)
        tags = {name: _xyz(columns[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
        shape = b"para\0\0\0\0" + (b"\0\0\0\0" if len(curve) == 1 else b"\0\3\0\0")
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), shape + _fixed(*curve))
    except (ArithmeticError, np.linalg.LinAlgError, struct.error, ValueError):
        return None
    return _packed(tags | {b"wtpt": _xyz(np.array(_D50))})


def _to_d50(primaries: Primaries) -> Float[np.ndarray, "3 3"]:
    """Return the XYZ of full red, green and blue as columns, adapted to a profile's white."""
    points = np.array([[x, y, 1 - x - y] for x, y in primaries])
    white, columns = points[0] / primaries[0][1], points[1:].T
    columns = columns * np.linalg.solve(columns, white)
    gains = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    adapted: Float[np.ndarray, "3 3"] = (
        np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ columns
    )
    return adapted


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(values: Float[np.ndarray, " 3"]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values.tolist())


def _packed(tags: dict[bytes, bytes]) -> bytes:
    start = 128 + 4 + 12 * len(tags)
    table, body = b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    head = struct.pack(">I4x4s", start + len(body), b"\x04\x20\0\0") + b"mntrRGB XYZ "
    head = head.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + _fixed(*_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
