"""Which faces of a photograph are protected: what every chooser has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import UInt8
from torch import Tensor

from sfumato.photo.find.box import Face
from sfumato.types import Fingerprinted


class Chooser(ABC, Fingerprinted):
    """Says of each face whether it is protected."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, picture: UInt8[Tensor, "3 h w"], faces: Sequence[Face]) -> Sequence[bool]:
        """Return for each face whether it is protected."""

    @abstractmethod
    def of_track(self, answers: Sequence[bool]) -> bool:
        """Return whether a face of a film is protected, by the answers on some of its frames."""
