"""A standing for tests that make prototypes without a fit."""

from __future__ import annotations

from typing import Any

STANDING: dict[str, Any] = {
    "rule": {"k": 10, "values": None, "share": None},
    "k": 10, "values": 5, "share": 0.5, "released": 3, "fewest_pictures": 12, "fewest_values": 6,
    "largest_share": 0.25, "nearest_original": 0.2, "closest_allowed": 0.1, "real_pictures": False,
}  # fmt: skip
"""What the pictures of a fitted anonymiser were counted to stand for."""
