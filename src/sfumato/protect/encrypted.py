"""Features as a release: in the clear, with ShuffleBits alone, or sealed in envelopes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from sfumato.cipher.envelope import seal
from sfumato.cipher.header import TAG_BYTES
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.permutation import draw_key
from sfumato.cipher.shufflebits import shuffle_bits
from sfumato.types import KeyedProtector, Protector


@runtime_checkable
class Extractor(Protocol):
    """Pictures to features; a `features.Backbone` is one."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def __call__(self, images: Float[Tensor, "n c h w"], /) -> Float[Tensor, "n d"]:
        """Return float32 features."""
        ...


Images = Float[Tensor, "n c h w"]
_WIDTH = 32
_BATCH = 64


@dataclass(frozen=True, slots=True)
class Features(Protector):
    """Releases a backbone's features as they are."""

    backbone: Extractor
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"features:{self.backbone.name}")

    def release(self, images: Images) -> Float[Tensor, "n d"]:
        """Return the features in [0, 1]."""
        with torch.no_grad():
            return torch.cat([self.backbone(part) for part in images.split(_BATCH)])


@dataclass(frozen=True, slots=True)
class EncryptedFeatures(KeyedProtector):
    """Releases a backbone's features under keys that are drawn anew in each request.

    `shufflebits` moves the bits of every float by one key a request; `sealed` puts every row in
    an AES-256-GCM envelope and releases the words of its ciphertext (the header is the same for
    everyone, and the tag says nothing without the key).
    """

    backbone: Extractor
    cipher: Literal["shufflebits", "sealed"]
    name: str = field(init=False)
    overhead_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.cipher}:{self.backbone.name}")
        added = 0 if self.cipher == "shufflebits" else _envelope_adds()
        object.__setattr__(self, "overhead_bytes", added)

    def plain(self, images: Images) -> Float[Tensor, "n d"]:
        """Return what is inside the ciphertext: public, as the extractor is."""
        return Features(self.backbone).release(images)

    def release(self, images: Images) -> Int32[Tensor, "n d"]:
        """Return ciphertext as words: integers, so that no value can be canonicalised."""
        plain = self.plain(images)
        if self.cipher == "shufflebits":
            return shuffle_bits(plain, draw_key(_WIDTH))
        key = EnvelopeKey.draw()
        return torch.stack([_sealed_words(row, key) for row in plain])


def _envelope_adds() -> int:
    """Return the bytes of an envelope's header and tag."""
    row = torch.zeros(1)
    return len(seal(row, EnvelopeKey.draw())) - row.itemsize


def _sealed_words(row: Float[Tensor, "d"], key: EnvelopeKey) -> Int32[Tensor, "d"]:
    content = seal(row, key)
    size = row.numel() * row.itemsize
    body = content[-size - TAG_BYTES : -TAG_BYTES]
    return torch.frombuffer(bytearray(body), dtype=torch.int32)
