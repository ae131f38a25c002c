"""How fast ShuffleBits and envelopes are, against a plain copy of the same bytes.

Rates are GB (10^9 bytes) of plaintext a second on 256 MB, more than any cache. `ratio` compares
with `Tensor.copy_` between two tensors in the same rounds. `compiled` is the module in
`torch.compile` with `out`, `eager` the module as it is; `byte_tables` is NumPy's usual fast way,
and `string_loop` what the authors' code does with each float.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.interleave import best_seconds
from sfumato.cipher.envelope import seal_stream
from sfumato.cipher.header import Suite
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.permutation import ShuffleKey, draw_key
from sfumato.cipher.shufflebits import ShuffleBits
from sfumato.cipher.stages import WORDS, compile_kernel

_LOOPED = 1 << 14  # floats for the string loop: at 0.7 MB/s all of them would take minutes


def run(*, quick: bool) -> dict[str, Any]:
    """Run all parts and print a line for each measurement."""
    size = (32 if quick else 256) << 20
    rounds = 3 if quick else 8
    types = (torch.float32,) if quick else (torch.float32, torch.float64, torch.float16)
    found = {
        "shufflebits": [shuffling(dtype, size, rounds) for dtype in types],
        "others": others(size, 2),
        "sealing": sealing(size, 2),
    }
    if compile_kernel(32) is not None:
        found["bulk sealing"] = sealing(size, rounds, "bulk sealing")
    return found


def shuffling(dtype: torch.dtype, size: int, rounds: int) -> dict[str, Any]:
    """Measure the module on one type against a copy."""
    width = max(32, 8 * dtype.itemsize)
    words = torch.randint(-(2**31), 2**31 - 1, (size // 8,)).view(WORDS[width])
    out = torch.zeros_like(words)
    x = words.view(dtype).view({32: torch.float32, 64: torch.float64}[width])
    module = ShuffleBits(draw_key(8 * dtype.itemsize).repeated(width))
    compiled = torch.compile(module, dynamic=True)
    seconds = best_seconds(
        {
            "copy": partial(out.copy_, words),
            "compiled": partial(compiled, x, out=out),
        },
        rounds,
    )
    # Twice only: it takes 20 times as long, and would have the others wait in a busy moment.
    seconds |= best_seconds({"eager": partial(module, x, out=out)}, 2)
    return _rates(f"shufflebits {dtype}", size, seconds)


def others(size: int, rounds: int) -> dict[str, Any]:
    """Measure the two usual ways on float32."""
    x, key = torch.rand(size // 4), draw_key(32)
    few = x[:_LOOPED].tolist()
    tables = best_seconds({"byte_tables": byte_tables(x.numpy(), key)}, rounds)
    loop = best_seconds({"string_loop": partial(string_loop, few, key)}, rounds)
    return {
        **_rates("others", size, tables),
        **_rates("others", 4 * len(few), loop),
    }


def sealing(size: int, rounds: int, title: str = "sealing") -> dict[str, Any]:
    """Measure sealing in chunks, the result thrown away.

    What is called again once the kernel is compiled shuffles as it does for many gigabytes.
    """
    x, key = torch.rand(size // 4), EnvelopeKey.draw()
    contenders = {s.name.lower(): partial(seal_stream, x, len, key, suite=s) for s in Suite}
    return _rates(title, size, best_seconds(contenders, rounds))


def byte_tables(x: np.ndarray, key: ShuffleKey) -> Callable[[], np.ndarray]:
    """Return a look-up of the four bytes of each float in tables of 256 words."""
    tables = np.zeros((4, 256), dtype=np.uint32)
    values = np.arange(256, dtype=np.uint32)
    for i, target in enumerate(key.targets):
        tables[i // 8] |= ((values >> np.uint32(i % 8)) & 1) << np.uint32(target)
    octets = x.view(np.uint8).reshape(-1, 4)
    return lambda: (
        tables[0][octets[:, 0]]
        | tables[1][octets[:, 1]]
        | tables[2][octets[:, 2]]
        | tables[3][octets[:, 3]]
    )


def string_loop(values: list[float], key: ShuffleKey) -> list[float]:
    """Permute a Python string of each float's bits."""
    sources = key.inverse().targets
    shuffled = []
    for value in values:
        bits = f"{struct.unpack('>I', struct.pack('>f', value))[0]:032b}"[::-1]
        word = "".join(bits[source] for source in sources)[::-1]
        shuffled.append(struct.unpack(">f", int(word, 2).to_bytes(4, "big"))[0])
    return shuffled


def _rates(title: str, size: int, seconds: dict[str, float]) -> dict[str, Any]:
    figures: dict[str, Any] = {"what": title, "megabytes": size >> 20}
    for name, taken in seconds.items():
        figures[name] = size / taken / 1e9
        ratio = f"{seconds['copy'] / taken:6.2f} of copy" if "copy" in seconds else ""
        print(f"cipher {title:26} {name:30} {figures[name]:9.4f} GB/s {ratio}", flush=True)
    if "copy" in seconds:
        figures["ratio"] = seconds["copy"] / seconds["compiled"]
    return figures
