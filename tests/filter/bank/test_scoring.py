"""Scoring by tiles equals the obvious loop, and leaves no enrollment in its memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sfumato.filter.bank.scoring import BATCH, Weights, picked, tile_errors, wipe_scratch


@pytest.fixture(autouse=True)
def _nothing_is_left_to_other_tests() -> Iterator[None]:
    yield
    wipe_scratch()


DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


def weights(count: int, dim: int, hidden: int, dtype: torch.dtype, seed: int = 0) -> Weights:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator) + 0.1

    return Weights(
        draw(hidden, dim).to(dtype), draw(hidden), draw(dim, hidden).to(dtype), draw(dim)
    )


def slowly(x: Tensor, w: Weights) -> Tensor:
    """Eqs (2), (3) and (6), one enrollment at a time, in double precision."""
    rows = []
    for encoder, b, decoder, c in zip(
        w.encoder.double(), w.encoder_bias, w.decoder.double(), w.decoder_bias, strict=True
    ):
        codes = (x.double() @ encoder.T + b).clamp(min=0)
        y = 1 / (1 + torch.exp(-(codes @ decoder.T + c)))
        rows.append(((x - y) ** 2).sum(1))
    return torch.stack(rows).float()


@settings(max_examples=30)
@given(
    count=st.integers(1, 5),
    batch=st.sampled_from([1, 2, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH]),
    dim=st.integers(1, 12),
    hidden=st.integers(1, 4),
    dtype=DTYPES,
)
def test_errors_are_those_of_the_slow_loop(
    count: int, batch: int, dim: int, hidden: int, dtype: torch.dtype
) -> None:
    stored = weights(count, dim, hidden, dtype)
    x = torch.rand(batch, dim)
    out = torch.full((count, batch), math.nan)
    tile_errors(x, stored, out)
    torch.testing.assert_close(out, slowly(x, stored), rtol=3e-5, atol=1e-6)


@settings(max_examples=30)
@given(dtype=DTYPES, places=st.lists(st.integers(0, 6), min_size=1, max_size=12))
def test_picked_enrollments_are_those_of_their_places(
    dtype: torch.dtype, places: list[int]
) -> None:
    stored = weights(7, 5, 3, dtype)
    rows = torch.tensor(places)
    tile = picked([(stored, rows)])
    assert len(tile) == len(places)
    for name in Weights.__slots__:
        assert torch.equal(getattr(tile, name), getattr(stored, name)[rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pieces_of_several_stacks_are_one_tile(dtype: torch.dtype) -> None:
    stacks = [weights(count, 5, 3, dtype, seed=count) for count in (2, 4, 3)]
    places = [torch.tensor(some) for some in ([1], [3, 0, 0], [2, 1])]
    tile = picked(list(zip(stacks, places, strict=True)))
    for name in Weights.__slots__:
        wanted = [getattr(w, name)[some] for w, some in zip(stacks, places, strict=True)]
        assert torch.equal(getattr(tile, name), torch.cat(wanted))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("count", "dim"), [(3, 1), (5000, 64), (2, 1 << 20)])
def test_tiles_are_all_enrollments_once_and_in_order(
    count: int, dim: int, dtype: torch.dtype
) -> None:
    stored = Weights(*(torch.zeros(1, dtype=dtype).expand(count, *shape) for shape in
                       ((4, dim), (4,), (dim, 4), (dim,))))  # fmt: skip
    tiles = list(stored.tiles())
    starts = [start for start, _ in tiles]
    ends = [start + len(tile) for start, tile in tiles]
    assert [*starts, count] == [0, *ends]
    # An encoder's tile is at most 4 MiB, or 2 MiB of what is widened; one enrollment is a tile.
    most = (1 << 20 if dtype == torch.float32 else 1 << 19) // (4 * dim)
    assert max(len(tile) for _, tile in tiles) == max(1, min(most, count))


def test_numbers_that_overflow_reconstruct_nothing() -> None:
    stored = weights(2, 3, 2, torch.float32)
    stored.decoder[1, 0], stored.encoder[1] = torch.tensor([3e38, -3e38]), 3e38
    out = torch.zeros(2, 4)
    tile_errors(torch.ones(4, 3), stored, out)
    assert bool(out[0].isfinite().all())
    assert bool((out[1] == math.inf).all())


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """A thread that has scored nothing yet: scratch is kept by thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


FEW, MANY = torch.tensor([0, 1]), torch.arange(6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_that_grows_leaves_nothing_where_it_was(
    dtype: torch.dtype, thread: ThreadPoolExecutor
) -> None:
    def left() -> list[bool]:
        stored = weights(6, 5, 3, dtype)
        first = picked([(stored, FEW)])
        assert all(bool(getattr(first, name).any()) for name in Weights.__slots__)
        picked([(stored, MANY)])
        return [bool(getattr(first, name).any()) for name in Weights.__slots__]

    assert thread.submit(left).result() == [False] * 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("after", [[], [FEW], [FEW, FEW, MANY]])
def test_all_that_was_ever_used_is_wiped(
    dtype: torch.dtype, after: list[Tensor], thread: ThreadPoolExecutor
) -> None:
    def left() -> list[bool]:
        stored = weights(6, 5, 3, dtype)
        most = picked([(stored, MANY)])
        for places in after:
            picked([(stored, places)])
        wipe_scratch()
        return [bool(getattr(most, name).any()) for name in Weights.__slots__]

    assert thread.submit(left).result() == [False] * 4


def test_one_enrollment_is_read_where_it_lies_and_wiping_leaves_it(
    thread: ThreadPoolExecutor,
) -> None:
    def left() -> bool:
        stored = weights(3, 5, 3, torch.float32)
        one = picked([(stored, torch.tensor([2]))])
        wipe_scratch()
        return torch.equal(one.encoder[0], stored.encoder[2]) and bool(one.encoder.any())

    assert thread.submit(left).result()
