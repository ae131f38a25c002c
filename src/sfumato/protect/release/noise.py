"""Randomness of releases, drawn so that nobody can draw it again and subtract it.

Each release has one secret of 32 bytes, which is thrown away with the release's notes. What is
drawn for a picture depends on that secret and on the picture's pixels alone, or on whom it shows:
not on its neighbours in a batch, and not on whether the release was interrupted before it. A
picture that a collection holds twice is drawn for once, so that nothing is gained by averaging.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sfumato.data.pixels import digest

SECRET_BYTES = 32
_WORDS = 624  # of the Mersenne Twister's state
_START = 24  # bytes of PyTorch's stored state before the words: its seed and where it stands


def fresh_secret() -> bytes:
    """Return a new secret from the operating system."""
    return secrets.token_bytes(SECRET_BYTES)


def drawn_order(secret: bytes, count: int) -> list[int]:
    """Return the numbers from 0 to `count` - 1 in an order that the secret draws."""
    return torch.randperm(count, generator=drawn_generator(secret, b"order")).tolist()


def drawn_generator(secret: bytes, purpose: bytes) -> torch.Generator:
    """Return a generator that draws what the secret has for one purpose."""
    generator = torch.Generator()
    generator.set_state(_state(secret, purpose))
    return generator


@contextmanager
def secret_draws(
    secret: bytes, picture: UInt8[Tensor, "c h w"], person: str | None = None
) -> Iterator[None]:
    """Let torch draw what the secret has for this picture, for the time of a `with` block.

    With a `person`, all pictures of that name are drawn for alike. The caller's own state is
    untouched.
    """
    purpose = b"picture" + digest(picture) if person is None else b"person" + person.encode()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(_stream(secret, purpose, 8)[:8], "little"))
        # On the CPU a seed counts with 32 bits only, which a computer tries out in an hour.
        torch.set_rng_state(_state(secret, purpose))
        yield


def _state(secret: bytes, purpose: bytes) -> UInt8[Tensor, "bytes"]:
    state = torch.Generator().get_state()
    words = np.frombuffer(_stream(secret, purpose, 4 * _WORDS), "<u4").astype(np.int64)
    state[_START : _START + words.nbytes] = torch.from_numpy(words.view(np.uint8))
    return state


def _stream(secret: bytes, purpose: bytes, count: int) -> bytes:
    return hashlib.shake_256(secret + purpose).digest(count)
