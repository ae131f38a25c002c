"""What a platform measured on public pictures before it blocked anything: its operating point.

A backbone file carries it beside the network. It is no part of the fingerprint: enrollments fit a
backbone with any policy. Devices do not need it, so a service leaves it out of what it hands on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import ArtifactError, ConfigError
from sfumato.files import MALFORMED

LEAST_COHORT: Final = 200
"""Fewer public pictures have no lowest hundredth to speak of."""
MOST_COHORT: Final = 2000
"""More of them would cost each new enrollment more time, and move its limit by under 3 %."""
_NUMBERS: Final = ("dimension", "false_blocks", "contested")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Policy:
    """The public pictures that set the limits of enrollments, and how far those go.

    Raises:
        ConfigError: a number is out of its range, or the cohort is too small.
    """

    cohort: Float[Tensor, "n d"]
    """Features of public pictures, in [0, 1], of people who do not enroll."""
    dimension: float
    """How fast strangers' errors become rare: their share falls as the error to this power."""
    false_blocks: float
    """Share of strangers' uploads that the whole bank may block, unless a rule says otherwise."""
    contested: float
    """Likeness below which two enrollments are contested; see `filter.rule.screening`."""

    def __post_init__(self) -> None:
        if len(self.cohort) < LEAST_COHORT:
            raise ConfigError(
                f"expected at least {LEAST_COHORT} public pictures, got {len(self.cohort)}"
            )
        if not bool(((self.cohort >= 0) & (self.cohort <= 1)).all()):
            raise ConfigError("the features of public pictures must lie in [0, 1]")
        if not (math.isfinite(self.dimension) and self.dimension > 0):
            raise ConfigError(f"expected a dimension above 0, got {self.dimension}")
        if not 0 < self.false_blocks <= 0.5:
            raise ConfigError(f"false_blocks must lie in (0, 0.5], got {self.false_blocks}")
        if not 0 <= self.contested <= 1:
            raise ConfigError(f"contested must lie in [0, 1], got {self.contested}")

    def __repr__(self) -> str:
        """Return what tells it from others: a name of its own wherever policies are told apart."""
        return f"Policy({self.digest}, {self.document()})"

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over what sets limits; another target alone does not change it."""
        found = hashlib.sha256(json.dumps(self.dimension).encode())
        found.update(self.cohort.contiguous().numpy().tobytes())
        return found.hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the numbers as JSON values; the cohort is a tensor of the file."""
        return {name: getattr(self, name) for name in _NUMBERS}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], cohort: Tensor) -> Policy:
        """Return the policy that `document` wrote, checked as any other.

        Raises:
            ArtifactError: a number is unknown, missing or out of its range.
        """
        try:
            if sorted(document) != sorted(_NUMBERS):
                raise ArtifactError(f"expected {sorted(_NUMBERS)}, got {sorted(document)}")
            if cohort.dtype != torch.float32 or cohort.ndim != 2:
                raise ArtifactError("expected a cohort of float32 features, a row a picture")
            return cls(cohort=cohort, **{name: float(document[name]) for name in _NUMBERS})
        except (*MALFORMED, ConfigError) as error:
            raise ArtifactError(f"expected a backbone's policy: {error}") from error
