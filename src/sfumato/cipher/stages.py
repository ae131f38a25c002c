"""The swap network of ShuffleBits on words: fused by a compiler, or in chunks that stay in a cache.

Words of 8 and 16 bits are swapped four and two to a word of 32: arithmetic is fastest there, and
no swap crosses a word's edge, because the masks of a key leave the upper bits clear.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Int
from torch import Tensor

from sfumato.cipher.permutation import distances
from sfumato.errors import ConfigError

WORDS = {8: torch.int8, 16: torch.int16, 32: torch.int32, 64: torch.int64}
"""The integer type in which shuffled words of each width travel: it has no NaN to canonicalise."""

_WIDE = 32
_WIDE_BYTES = _WIDE // 8
# A chunk and its scratch space stay in the L2 caches of two cores while all stages pass over
# them; 2 MiB was the fastest of 128 KiB to 2 MiB (docs/LOG.md).
_CHUNK_BYTES = 2 << 20
_FEW = 1 << 12  # words; a compiler makes kernels of their own for one word and for none
_TRIED = 1 << 13
_SPREAD = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 / golden ratio: multiples have all kinds of bits

Words = Int[Tensor, "*shape"]
Masks = Int[Tensor, "stages"]
Kernel = Callable[[Tensor, Tensor, Tensor], object]
"""Writes the swapped words of the first tensor, under the masks, into the last."""


def swap_stages(words: Words, masks: Masks, width: int) -> Words:
    """Return `words` after all delta swaps of words of `width` bits: what a compiler fuses.

    A mask selects only bits i with i + s < width, so the copies of the sign that an arithmetic
    shift brings in at the top, and the bits of the next narrow word, are never looked at.
    """
    for stage, distance in enumerate(distances(width)):
        moved = ((words >> distance) ^ words) & masks[stage]
        words = words ^ moved ^ (moved << distance)
    return words


def swap_at_once(
    words: Words, masks: Masks, width: int, out: Words | None, *, together: Masks
) -> Words:
    """Return all words swapped in one expression, written to `out` where given.

    `together` are the masks for narrow words in a wide one, `widened_masks`: a compiler that has to
    widen them in the loop does not vectorise it.
    """
    shape = words.shape
    if width < _WIDE and _fits(words) and (out is None or _fits(out)):
        wide = swap_stages(_widened(words), together, width)
        if out is None:
            return wide.view(words.dtype).view(shape)
        _widened(out).copy_(wide)
        return out
    swapped = swap_stages(words, masks, width)
    return swapped if out is None else out.copy_(swapped)


def swap_in_chunks(words: Words, masks: Masks, width: int, out: Words | None) -> Words:
    """Return words on the processor swapped, written to `out` where given.

    Raises:
        ConfigError: `out` is not contiguous.
    """
    out = torch.empty(words.shape, dtype=words.dtype) if out is None else out
    if not out.is_contiguous():
        raise ConfigError("expected a contiguous `out`")
    source, target = words.reshape(-1), out.view(-1)
    if width >= _WIDE:
        _swap(source, masks, target, width)
        return out
    fit = _whole(source, target)
    if fit:
        _swap(_widened(source[:fit]), widened_masks(masks, width), _widened(target[:fit]), width)
    target[fit:] = swap_stages(source[fit:], masks, width)
    return out


def widened_masks(masks: Masks, width: int) -> Masks:
    """Return the masks for all words of `width` bits in one of 32; those of wider ones as is."""
    if width >= _WIDE:
        return masks
    return masks.to(WORDS[_WIDE]) * sum(1 << at for at in range(0, _WIDE, width))


@cache
def compile_kernel(width: int) -> Kernel | None:
    """Compile the stages for words of `width` bits; `swap_in_chunks` uses the kernel from then on.

    It takes some seconds, or a minute where nothing is in the compiler's cache. None where there is
    no compiler, or one that is wrong.
    """

    def kernel(words: Tensor, masks: Tensor, out: Tensor) -> None:
        out.copy_(swap_stages(words, masks, width))

    compiled: Kernel = torch.compile(kernel, dynamic=True)
    words = (torch.arange(_TRIED) * _SPREAD).to(WORDS[max(width, _WIDE)])
    masks = torch.tensor([1 << (stage % 3) for stage in range(len(distances(width)))])
    masks = widened_masks(masks.to(WORDS[width]), width)
    found = torch.empty_like(words)
    try:
        compiled(words, masks, found)
    except Exception:
        return None
    if not torch.equal(found, swap_stages(words, masks, width)):
        return None
    _KERNELS[width] = compiled
    return compiled


_KERNELS: dict[int, Kernel] = {}


def _swap(words: Tensor, masks: Tensor, out: Tensor, width: int) -> None:
    kernel = _KERNELS.get(width)
    if kernel is not None and len(words) >= _FEW:
        kernel(words, masks, out)
        return
    out.copy_(words)
    size = _CHUNK_BYTES // words.element_size()
    scratch = torch.empty(min(size, len(out)), dtype=out.dtype)
    pairs = list(zip(distances(width), masks.tolist(), strict=True))
    for chunk in out.split(size):
        _swap_in_place(chunk, scratch[: len(chunk)], pairs)


def _swap_in_place(chunk: Tensor, moved: Tensor, stages: list[tuple[int, int]]) -> None:
    for distance, mask in stages:
        torch.bitwise_right_shift(chunk, distance, out=moved)
        moved.bitwise_xor_(chunk).bitwise_and_(mask)
        # No bit of `moved` meets one that is moved up: to multiply is to set both, in one pass.
        chunk.bitwise_xor_(moved.mul_(1 + (1 << distance)))


def _widened(words: Tensor) -> Tensor:
    return words.view(-1).view(WORDS[_WIDE])


def _fits(words: Tensor) -> bool:
    """Say whether narrow words can be looked at as wide ones."""
    each = words.element_size()
    # A compiler cannot ask where a tensor begins, and torch refuses the view where it may not be.
    at = 0 if torch.compiler.is_compiling() else words.storage_offset() * each
    return words.is_contiguous() and not (at % _WIDE_BYTES or words.numel() * each % _WIDE_BYTES)


def _whole(source: Tensor, target: Tensor) -> int:
    """Return how many narrow words of both can be looked at as wide ones, from the first."""
    each = source.element_size()
    if any(part.storage_offset() * each % _WIDE_BYTES for part in (source, target)):
        return 0
    return len(source) - len(source) % (_WIDE_BYTES // each)
