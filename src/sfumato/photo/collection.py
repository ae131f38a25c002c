"""Protectors that are made of the faces of the very collection that they release."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field

from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.protect.release.ksame_set import KSameSet
from sfumato.types import Protector


class OfFaces(Protector):
    """A protector that releases nothing before it has seen every face."""

    __slots__ = ()

    def release(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        """Raise a DataError: there are no faces yet."""
        raise DataError(f"{self.name} is made of all faces first, got {len(images)} to release")

    @abstractmethod
    def of_faces(self, faces: UInt8[Tensor, "n c h w"]) -> Protector:
        """Return the protector of these faces."""


@dataclass(frozen=True, slots=True)
class KSameFaces(OfFaces):
    """k-same over all faces of a folder of photographs: each becomes the mean of k of them.

    Faces of one person count as several: nobody knows who is who.

    Raises:
        ConfigError: k is below 2.
    """

    k: int
    name: str = field(init=False)

    def __post_init__(self) -> None:
        if self.k < 2:
            raise ConfigError(f"ksame:K needs K of at least 2, got {self.k}")
        object.__setattr__(self, "name", f"ksame:{self.k}")

    def of_faces(self, faces: UInt8[Tensor, "n c h w"]) -> Protector:
        """Return the protector of these faces.

        Raises:
            ConfigError: there are fewer than k different ones.
        """
        return KSameSet(self.k, ImageSet(name="the faces", images=faces))
