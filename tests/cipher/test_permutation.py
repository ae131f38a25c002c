"""Keys are permutations without bias, and their swap networks move every bit where they say."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.cipher.independent as independent
from sfumato.cipher.permutation import (
    WIDTHS,
    ShuffleKey,
    derive_key,
    distances,
    draw_key,
    swap_masks,
)
from sfumato.errors import ConfigError

VECTORS = json.loads((Path(__file__).parent / "vectors/shufflebits.json").read_text())
KEYS = st.sampled_from(WIDTHS).flatmap(lambda n: st.permutations(range(n))).map(tuple)


def swapped(word: int, key: ShuffleKey) -> int:
    for distance, mask in zip(distances(key.width), swap_masks(key), strict=True):
        moved = ((word >> distance) ^ word) & mask
        word ^= moved ^ (moved << distance)
    return word


@given(KEYS)
@settings(deadline=None)
def test_the_swap_network_moves_each_bit_to_its_target(targets: tuple[int, ...]) -> None:
    key = ShuffleKey(targets)
    assert [swapped(1 << i, key) for i in range(key.width)] == [1 << t for t in targets]


@given(KEYS)
@settings(deadline=None)
def test_the_inverse_undoes_the_key(targets: tuple[int, ...]) -> None:
    key = ShuffleKey(targets)
    inverse = key.inverse()
    assert [inverse.targets[target] for target in key.targets] == list(range(key.width))
    assert inverse.inverse() == key


@pytest.mark.parametrize("width", WIDTHS)
def test_no_mask_touches_the_sign_bit_or_a_bit_twice(width: int) -> None:
    for _ in range(50):
        for distance, mask in zip(distances(width), swap_masks(draw_key(width)), strict=True):
            assert mask >> (width - distance) == 0
            assert mask & (mask << distance) == 0


@pytest.mark.parametrize(
    "targets", [(), (0,), tuple(range(24)), (0,) * 32, tuple(range(1, 33)), tuple(range(-8, 0))]
)
def test_what_is_no_permutation_is_refused(targets: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="draw_key"):
        ShuffleKey(targets)


def test_a_key_does_not_print_itself() -> None:
    assert str(ShuffleKey(tuple(range(32)))) == "ShuffleKey()"


def test_derived_keys_repeat_and_depend_on_secret_context_and_width() -> None:
    secret = bytes(range(32))
    assert derive_key(secret, 32) == derive_key(secret, 32)
    keys = {derive_key(secret, 32), derive_key(secret, 32, context=b"x"), derive_key(b"s" * 32, 32)}
    assert len(keys) == 3
    assert sorted(derive_key(secret, 64).targets) == list(range(64))


@pytest.mark.parametrize("source", ["drawn", "derived"])
def test_every_bit_reaches_every_position_equally_often(source: str) -> None:
    count = 6000
    seed = bytes(range(32))
    table = [[0] * 8 for _ in range(8)]
    for i in range(count):
        key = draw_key(8) if source == "drawn" else derive_key(seed, 8, context=i.to_bytes(4))
        for bit, target in enumerate(key.targets):
            table[bit][target] += 1
    # Each cell is binomial(6000, 1/8): seven standard deviations are 179. The system's own draws
    # are further away in one run of two thousand million.
    assert all(abs(cell - count / 8) < 179 for row in table for cell in row)


def test_the_distances_fall_to_one_and_rise_again() -> None:
    assert distances(32) == (16, 8, 4, 2, 1, 2, 4, 8, 16)
    assert all(max(a, b) == 2 * min(a, b) for a, b in pairwise(distances(64)))


@pytest.mark.parametrize("vector", VECTORS)
def test_frozen_derivations_hold(vector: dict[str, Any]) -> None:
    secret, context = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["context"])
    key = derive_key(secret, len(vector["targets"]), context=context)
    assert list(key.targets) == vector["targets"]
    assert [hex(mask) for mask in swap_masks(key)] == vector["masks"]
    if not context:
        assert independent.permutation(secret, key.width) == vector["targets"]
