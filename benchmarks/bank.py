"""How fast a bank scores, against plain matrix products and the machine's memory.

- `batch`: 64 features against N enrollments, M = 32. `ratio` is the rate of the faster of two
  plain forms of the same two products (encode, decode; no sigmoid, no error, each result thrown
  away at once) over ours, `ratio_one_product` that of one big product with as many operations.
- `single`: one feature against 10,000 enrollments. `ratio` is the bytes of weights that we go
  through a second over those that a plain sum over the same tensors reads a second.
- `device`: with `--device`, one feature and 64 against a bank on an accelerator, `ratio` as above;
  instead of the others, which measure this processor.
- `scale`: time and memory up to 100,000 enrollments. `linear` is the time an enrollment at the
  largest number over that at the smallest.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.enrollments import HIDDEN, random_enrollment
from benchmarks.interleave import best_seconds
from sfumato.filter.bank.bank import Bank
from sfumato.filter.bank.workers import run_all

_BATCH = 64
_PEER_TILE = 32
_BACKBONE = "0" * 64


def run(*, quick: bool, device: str = "cpu") -> dict[str, Any]:
    """Run all three parts, or that of a device, and print a line for each measurement."""
    if device != "cpu":
        counts = (1000,) if quick else (10_000, 100_000, 1_000_000)
        return {"device": [on_device(128, count, device) for count in counts]}
    rounds = 3 if quick else 15
    sizes = {2048: 128, 784: 256, 128: 1024} if quick else {2048: 512, 784: 1024, 128: 8192}
    single = 1000 if quick else 10_000
    scale = (500, 1000) if quick else (12_500, 25_000, 50_000, 100_000)
    return {
        "batch": [batch(dim, count, rounds) for dim, count in sizes.items()],
        "single": [
            single_image(128, single, dtype, rounds) for dtype in (torch.float32, torch.bfloat16)
        ],
        "scale": growth(128, scale),
    }


def batch(dim: int, count: int, rounds: int) -> dict[str, float]:
    """Measure a batch against plain products of the same arithmetic."""
    bank = random_bank(dim, count, torch.float32)
    x = torch.rand(_BATCH, dim)
    weights = [segment.weights() for segment in bank.segments]
    encoder = torch.cat([w.encoder for w in weights])
    decoder = torch.cat([w.decoder for w in weights])
    codes = torch.rand(count, _BATCH, HIDDEN)
    doubled = torch.cat([encoder, encoder]).view(-1, dim)
    seconds = best_seconds(
        {
            "ours": partial(bank.errors, x),
            "two products": partial(_products, x, encoder, codes, decoder),
            "two products, tiles on threads": partial(_tiled, x, encoder, codes, decoder),
            "one product": partial(torch.mm, x, doubled.T),
        },
        rounds,
    )
    peer = min(v for k, v in seconds.items() if k.startswith("two"))
    operations = 4 * _BATCH * count * HIDDEN * dim
    figures = {
        "dim": dim,
        "enrollments": count,
        "gflops": operations / seconds["ours"] / 1e9,
        "peer_gflops": operations / peer / 1e9,
        "one_product_gflops": operations / seconds["one product"] / 1e9,
        "ratio": peer / seconds["ours"],
        "ratio_one_product": seconds["one product"] / seconds["ours"],
        "seconds": seconds["ours"],
    }
    print(
        f"batch 64, D {dim}, N {count}: {figures['gflops']:.1f} GFLOP/s, "
        f"{figures['ratio']:.2f} of plain products ({figures['peer_gflops']:.1f}), "
        f"{figures['ratio_one_product']:.2f} of one product"
    )
    return figures


def single_image(dim: int, count: int, dtype: torch.dtype, rounds: int) -> dict[str, Any]:
    """Measure one feature against the speed at which memory is read."""
    bank = random_bank(dim, count, dtype)
    x = torch.rand(1, dim)
    tensors = [t for s in bank.segments for w in [s.weights()] for t in (w.encoder, w.decoder)]
    # bfloat16 is read as pairs in float32: the sum must cost nothing beside the reading.
    words = [t.view(torch.float32) for t in tensors]
    target = [torch.empty_like(w) for w in words]
    seconds = best_seconds(
        {
            "ours": partial(bank.errors, x),
            "read": partial(_read, words),
            "copy": partial(_copy, words, target),
        },
        rounds,
    )
    read = sum(t.nbytes for t in tensors)
    name = str(dtype).removeprefix("torch.")
    figures = {
        "dim": dim,
        "enrollments": count,
        "dtype": name,
        "milliseconds": 1e3 * seconds["ours"],
        "gbytes_per_s": read / seconds["ours"] / 1e9,
        "read_gbytes_per_s": read / seconds["read"] / 1e9,
        "copy_gbytes_per_s": 2 * read / seconds["copy"] / 1e9,
        "ratio": seconds["read"] / seconds["ours"],
    }
    print(
        f"one image, D {dim}, N {count}, {name}: {figures['milliseconds']:.1f} ms, "
        f"{figures['gbytes_per_s']:.1f} GB/s of weights, {figures['ratio']:.2f} of reading "
        f"({figures['read_gbytes_per_s']:.1f}; copying moves {figures['copy_gbytes_per_s']:.1f})"
    )
    return figures


def growth(dim: int, counts: tuple[int, ...]) -> dict[str, Any]:
    """Measure a batch at growing numbers of enrollments, and the memory of the process."""
    bank = Bank.empty(dim, HIDDEN, backbone=_BACKBONE)
    enrollment = random_enrollment(dim, _BACKBONE)
    x = torch.rand(_BATCH, dim)
    rows = []
    for count in counts:
        start = time.perf_counter()
        before = len(bank)
        for number in range(before, count):
            bank.add(str(number), enrollment)
        added = (time.perf_counter() - start) / (count - before)
        seconds = best_seconds({"ours": partial(bank.errors, x)}, 3)["ours"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        rows.append(
            {
                "enrollments": count,
                "seconds": seconds,
                "microseconds_per_enrollment": 1e6 * seconds / count,
                "microseconds_per_add": 1e6 * added,
                "peak_gib": peak,
            }
        )
        print(
            f"N {count}, D {dim}, batch 64: {seconds:.2f} s, {1e6 * seconds / count:.1f} us an "
            f"enrollment, added in {1e6 * added:.0f} us each, peak {peak:.2f} GiB"
        )
    linear = rows[-1]["microseconds_per_enrollment"] / rows[0]["microseconds_per_enrollment"]
    return {"dim": dim, "rows": rows, "linear": linear}


def on_device(dim: int, count: int, device: str) -> dict[str, Any]:
    """Measure a bank in bfloat16 on an accelerator, against reading its memory once."""
    bank = random_bank(dim, count, torch.bfloat16, device)
    matrices = [s.tensors[name] for s in bank.segments for name in ("encoder", "decoder")]
    one, batch = torch.rand(1, dim), torch.rand(_BATCH, dim)
    seconds = best_seconds(
        {
            "one": partial(bank.errors, one),
            "batch": partial(bank.errors, batch),
            "read": lambda: sum(float(m.view(torch.int16).sum()) for m in matrices),
        },
        5,
    )
    read = sum(m.nbytes for m in matrices)
    figures = {
        "dim": dim,
        "enrollments": count,
        "device": str(bank.device),
        "one_ms": 1e3 * seconds["one"],
        "batch_ms": 1e3 * seconds["batch"],
        "gbytes_per_s": read / seconds["one"] / 1e9,
        "ratio": seconds["read"] / seconds["one"],
    }
    print(
        f"{figures['device']}, D {dim}, N {count}, bfloat16: one image {figures['one_ms']:.1f} ms "
        f"({figures['ratio']:.2f} of reading), 64 {figures['batch_ms']:.1f} ms"
    )
    return figures


def _read(words: list[Tensor]) -> None:
    run_all((partial(_sum, part) for part in _parts(words)), _nothing)


def _copy(words: list[Tensor], target: list[Tensor]) -> None:
    parts = zip(_parts(target), _parts(words), strict=True)
    run_all((partial(_copy_part, a, b) for a, b in parts), _nothing)


def _sum(part: Tensor) -> None:
    part.sum()


def _copy_part(target: Tensor, source: Tensor) -> None:
    target.copy_(source)


def _nothing() -> None:
    """End a thread's share of a peer's work."""


def _products(x: Tensor, encoder: Tensor, codes: Tensor, decoder: Tensor) -> None:
    torch.mm(x, encoder.view(-1, x.shape[1]).T)
    buffer = torch.empty_like(x)
    for own_codes, own_decoder in zip(codes, decoder, strict=True):
        torch.mm(own_codes, own_decoder.T, out=buffer)


def _tiled(x: Tensor, encoder: Tensor, codes: Tensor, decoder: Tensor) -> None:
    parts = zip(*(t.split(_PEER_TILE) for t in (encoder, codes, decoder)), strict=True)
    run_all((partial(_products, x, *part) for part in parts), _nothing)


def _parts(tensors: list[Tensor]) -> Iterator[Tensor]:
    for tensor in tensors:
        yield from tensor.split(max(1, (4 << 20) // tensor[0].nbytes))


def random_bank(dim: int, count: int, dtype: torch.dtype, device: str = "cpu") -> Bank:
    """Return a bank of `count` copies of one random enrollment, with the ids 0, 1, 2 and so on."""
    bank = Bank.empty(dim, HIDDEN, backbone=_BACKBONE, dtype=dtype, device=device)
    enrollment = random_enrollment(dim, _BACKBONE)
    for number in range(count):
        bank.add(str(number), enrollment)
    return bank
