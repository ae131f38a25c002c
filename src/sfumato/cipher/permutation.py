"""Keys of ShuffleBits: unbiased permutations of bit positions, and their swap networks.

Position 0 is the least significant bit of a word. The paper's sequences number the bits of a
binary string; which end they start from only renames the keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sfumato.errors import ConfigError

WIDTHS = (8, 16, 32, 64)
"""Word widths in bits that have keys."""

_BLOCK_BYTES = 256  # one HKDF block of the stream; a key of 64 bits takes about 90 bytes


@dataclass(frozen=True, slots=True)
class ShuffleKey:
    """The bijection f of eqs (1)-(2): bit `i` of a word moves to position `targets[i]`.

    Raises:
        ConfigError: `targets` is no permutation of 8, 16, 32 or 64 positions.
    """

    targets: tuple[int, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if self.width not in WIDTHS or sorted(self.targets) != list(range(self.width)):
            raise ConfigError(
                f"expected a permutation of {WIDTHS} bit positions, got {self.width} entries "
                "that are none; draw a key with draw_key(width)"
            )

    @property
    def width(self) -> int:
        """Bits in a word."""
        return len(self.targets)

    def inverse(self) -> ShuffleKey:
        """Return g of eq (3), the decryption key: g(f(i)) = i, eq (4)."""
        sources = [0] * self.width
        for source, target in enumerate(self.targets):
            sources[target] = source
        return ShuffleKey(tuple(sources))

    def repeated(self, width: int) -> ShuffleKey:
        """Return the key for words of `width` bits that shuffles each narrower word in them.

        A kernel for words of 32 bits takes two of 16 at once, which compilers vectorise far
        better than 16 bits by themselves.
        """
        if width not in WIDTHS or width < self.width:
            raise ConfigError(f"expected a width of {WIDTHS}, {self.width} or more, got {width}")
        starts = range(0, width, self.width)
        return ShuffleKey(tuple(start + target for start in starts for target in self.targets))


def draw_key(width: int) -> ShuffleKey:
    """Draw a key for words of `width` bits, every permutation equally likely, from the system."""
    positions = list(range(width))
    secrets.SystemRandom().shuffle(positions)
    return ShuffleKey(tuple(positions))


def derive_key(secret: bytes, width: int, *, context: bytes = b"") -> ShuffleKey:
    """Derive the key that `secret` (32 bytes or more) and `context` determine, without bias.

    A Fisher-Yates shuffle whose draws come from HKDF-SHA256; a draw past its range is thrown
    away rather than reduced, because a remainder would favour the low positions.
    """
    stream = _stream(secret, context)
    positions = list(range(width))
    for last in range(width - 1, 0, -1):
        other = _below(last + 1, stream)
        positions[last], positions[other] = positions[other], positions[last]
    return ShuffleKey(tuple(positions))


def _below(bound: int, stream: Iterator[int]) -> int:
    mask = (1 << (bound - 1).bit_length()) - 1
    return next(draw for byte in stream if (draw := byte & mask) < bound)


def _stream(secret: bytes, context: bytes) -> Iterator[int]:
    for block in count():
        info = b"sfumato shufflebits v1" + block.to_bytes(4, "big") + context
        yield from HKDF(hashes.SHA256(), _BLOCK_BYTES, None, info).derive(secret)


def distances(width: int) -> tuple[int, ...]:
    """Return the swap distances of the network for `width` bits: width/2 ... 2 1 2 ... width/2."""
    falling = [1 << level for level in range(width.bit_length() - 2, -1, -1)]
    return (*falling, *reversed(falling[:-1]))


def swap_masks(key: ShuffleKey) -> tuple[int, ...]:
    """Return the masks of a Benes network of delta swaps that moves bits as `key` says.

    The stage with distance s and mask m swaps bits i and i + s wherever bit i of m is set. There
    are 2 log2(width) - 1 stages, and their distances are the same for every key: only masks
    change, so that one compiled kernel serves them all.
    """
    return _route(key.targets)


def _route(targets: Sequence[int]) -> tuple[int, ...]:
    """Route one block, then its two halves, which share their inner stages."""
    half = len(targets) // 2
    if half == 1:
        return (int(targets[0] == 1),)
    sources = {target: source for source, target in enumerate(targets)}
    in_high = _colour(targets, sources, half)
    first = sum(1 << i for i in range(half) if in_high[i])
    last = sum(1 << j for j in range(half) if in_high[sources[j]])
    inner = [
        _route([targets[i if in_high[i] == high else i + half] % half for i in range(half)])
        for high in (False, True)
    ]
    middle = (low | (high << half) for low, high in zip(*inner, strict=True))
    return (first, *middle, last)


def _colour(targets: Sequence[int], sources: dict[int, int], half: int) -> list[bool]:
    """Say which bits pass through the high half: of partners, at either end, exactly one.

    Partners are half a block apart. Each loop alternates between partners where bits enter and
    partners where they leave, so its length is even and the two colours always close.
    """
    colours: dict[int, bool] = {}
    for start in range(half):
        bit = start
        while bit not in colours:
            colours[bit] = False
            partner = bit ^ half
            colours[partner] = True
            bit = sources[targets[partner] ^ half]
    return [colours[bit] for bit in range(2 * half)]
