"""Images with named labels: the one shape in which pictures travel through Sfumato."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from sfumato.data.leftout import LeftOut
from sfumato.errors import DataError

MISSING = -1
"""The label of an image that has none for an attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Images of one size with any number of named labels.

    Shapes: `images` is uint8 `(n, c, h, w)` with c = 1 (grey) or 3 (RGB), possibly memory-mapped;
    every entry of `labels` is int64 `(n,)`, an index into the tuple of value names of the same
    attribute in `classes`, or `MISSING`. `files`, where there are any, names each image's origin.

    Raises:
        DataError: the parts disagree in length, or a label lies outside its classes.
    """

    name: str
    images: UInt8[Tensor, "n c h w"]
    labels: Mapping[str, Int64[Tensor, "n"]] = field(default_factory=dict)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    split: str = "all"
    skipped: tuple[LeftOut, ...] = ()
    """Files of the source that hold no usable picture, each with the reason."""

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.files and len(self.files) != count:
            raise DataError(f"{self.name}: {count} images but {len(self.files)} file names")
        if set(self.labels) != set(self.classes):
            raise DataError(
                f"{self.name}: labels {sorted(self.labels)} but classes {sorted(self.classes)}"
            )
        for attribute, values in self.labels.items():
            if values.shape != (count,):
                raise DataError(f"{self.name}: {count} images but {len(values)} of {attribute!r}")
            highest = len(self.classes[attribute]) - 1
            if count and (int(values.min()) < MISSING or int(values.max()) > highest):
                raise DataError(f"{self.name}: {attribute!r} has values outside 0..{highest}")

    def __len__(self) -> int:
        return len(self.images)

    def label(self, attribute: str) -> Int64[Tensor, "n"]:
        """Return one attribute's labels, or raise a DataError that lists those there are."""
        if attribute not in self.labels:
            known = ", ".join(sorted(self.labels)) or "none"
            raise DataError(f"{self.name} has no label {attribute!r}; it has: {known}")
        return self.labels[attribute]

    def subset(self, index: Int64[Tensor, "m"] | Bool[Tensor, "n"] | Sequence[int]) -> ImageSet:
        """Return the images at `index` (positions, or a mask) with their labels."""
        where = torch.as_tensor(index)
        if where.dtype == torch.bool:
            where = where.nonzero().squeeze(1)
        where = where.to(torch.int64)
        return replace(
            self,
            images=self.images[where],
            labels={name: values[where] for name, values in self.labels.items()},
            files=tuple(self.files[i] for i in where.tolist()) if self.files else (),
        )

    def where(self, attribute: str, value: str) -> ImageSet:
        """Return the images whose `attribute` has the named value."""
        values = self.label(attribute)
        if value not in self.classes[attribute]:
            known = ", ".join(self.classes[attribute][:12])
            raise DataError(f"{self.name}: {attribute!r} has no value {value!r}; it has: {known}")
        return self.subset(values == self.classes[attribute].index(value))

    def floats(self) -> Float[Tensor, "n c h w"]:
        """Return the images as float32 in [0, 1]. Copies: take a `subset` of a large set first."""
        return self.images.float().div_(255)

    def fingerprint(self) -> str:
        """SHA-256 (hex) over pixels and labels: the same set gives the same one anywhere."""
        digest = hashlib.sha256(repr(tuple(self.images.shape)).encode())
        for start in range(0, len(self), 4096):
            chunk = self.images[start : start + 4096]
            digest.update(chunk.numpy().tobytes())
        for attribute in sorted(self.labels):
            digest.update(f"{attribute}:{self.classes[attribute]}".encode())
            digest.update(self.labels[attribute].numpy().tobytes())
        return digest.hexdigest()
