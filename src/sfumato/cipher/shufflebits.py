"""ShuffleBits (paper `shufflebits`, eqs (1)-(4)): the bits of every word, moved by a secret key.

It hides nothing by itself from an adversary who knows what such features look like
(`sfumato.attack.on_cipher.bitstatistics` recovers them from one response). Use it inside an
envelope.
"""

from __future__ import annotations

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from sfumato.cipher.permutation import ShuffleKey, swap_masks
from sfumato.cipher.stages import WORDS, swap_at_once, swap_in_chunks, widened_masks
from sfumato.errors import ConfigError

_TYPES = {
    8: (torch.int8, torch.uint8),
    16: (torch.float16, torch.bfloat16, torch.int16, torch.uint16),
    32: (torch.float32, torch.int32, torch.uint32),
    64: (torch.float64, torch.int64, torch.uint64),
}


class ShuffleBits(nn.Module):
    """Moves the bits of every element by one key; put it at the end of a network.

    Shape: `(*)` of any float or integer type as wide as the key, to `(*)` of the signed integer
    type of that width. The key is never part of `state_dict`; `rekey` changes it without a new
    compilation. On a GPU, and for bulk data on a CPU, wrap the module in `torch.compile`: the
    stages then run as one kernel, at nearly the speed of a copy if `out` is given. Words of 8 and
    16 bits are shuffled several to a word of 32, which is what compilers vectorise.

    Raises:
        ConfigError: elements are not as wide as the key.
    """

    masks: Int[Tensor, "stages"]
    together: Int[Tensor, "stages"]

    def __init__(self, key: ShuffleKey) -> None:
        super().__init__()
        self.width = key.width
        self.register_buffer("masks", mask_tensor(key), persistent=False)
        self.register_buffer("together", widened_masks(self.masks, key.width), persistent=False)

    def rekey(self, key: ShuffleKey) -> None:
        """Take another key of the same width, as a new request needs."""
        if key.width != self.width:
            raise ConfigError(f"expected a key for {self.width} bits, got one for {key.width}")
        self.masks.copy_(mask_tensor(key))
        self.together.copy_(widened_masks(self.masks, self.width))

    def forward(
        self,
        x: Shaped[Tensor, "*shape"],
        masks: Int[Tensor, "stages"] | None = None,
        *,
        out: Int[Tensor, "*shape"] | None = None,
    ) -> Int[Tensor, "*shape"]:
        """Return the shuffled words, written to `out` where given.

        `masks` stands in for the key's own: it lets an exported graph take the key as an input.
        """
        check_width(x, self.width)
        together = self.together if masks is None else widened_masks(masks, self.width)
        masks = self.masks if masks is None else masks
        if torch.onnx.is_in_onnx_export():
            from sfumato.cipher.onnxexport import shuffle_in_graph

            return shuffle_in_graph(x, masks, self.width)
        words = x.detach().view(WORDS[self.width])
        if torch.compiler.is_compiling() or words.device.type != "cpu":
            return swap_at_once(words, masks, self.width, out, together=together)
        return swap_in_chunks(words, masks, self.width, out)


def shuffle_bits(x: Shaped[Tensor, "*shape"], key: ShuffleKey) -> Int[Tensor, "*shape"]:
    """Return the words of `x` with their bits moved: bit i to f(i), eqs (1)-(2)."""
    return ShuffleBits(key).to(x.device).forward(x)


def unshuffle_bits(
    words: Int[Tensor, "*shape"], key: ShuffleKey, dtype: torch.dtype
) -> Shaped[Tensor, "*shape"]:
    """Return what `shuffle_bits` was given, to the bit, eqs (3)-(4)."""
    if dtype not in _TYPES[key.width]:
        raise ConfigError(f"expected a float or integer type of {key.width} bits, got {dtype}")
    return shuffle_bits(words, key.inverse()).view(dtype)


def mask_tensor(key: ShuffleKey) -> Int[Tensor, "stages"]:
    """Return the swap masks of a key as words; every mask leaves the sign bit clear."""
    return torch.tensor(swap_masks(key), dtype=WORDS[key.width])


def check_width(x: Shaped[Tensor, "..."], width: int) -> None:
    """Raise a ConfigError unless the elements of `x` are words of `width` bits."""
    if x.dtype not in _TYPES[width]:
        raise ConfigError(
            f"expected floats or integers of {width} bits, as wide as the key, got {x.dtype}"
        )
