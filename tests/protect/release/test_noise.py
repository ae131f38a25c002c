from __future__ import annotations

import torch
from torch import Tensor

from sfumato.protect.release.noise import drawn_order, fresh_secret, secret_draws


def _drawn(secret: bytes, picture: int) -> Tensor:
    with secret_draws(secret, picture):
        return torch.rand(8)


def test_what_is_drawn_follows_from_secret_and_picture_and_from_nothing_else() -> None:
    secret = fresh_secret()
    torch.manual_seed(0)
    first = _drawn(secret, 3)
    torch.manual_seed(1)
    assert torch.equal(_drawn(secret, 3), first)
    assert not torch.equal(_drawn(secret, 4), first)
    assert not torch.equal(_drawn(fresh_secret(), 3), first)


def test_the_callers_numbers_go_on() -> None:
    torch.manual_seed(0)
    expected = torch.rand(8)
    torch.manual_seed(0)
    _drawn(fresh_secret(), 0)
    assert torch.equal(torch.rand(8), expected)


def test_every_bit_of_the_secret_counts() -> None:
    # A seed of PyTorch's generator on the CPU counts with its lower 32 bits only.
    torch.manual_seed(5)
    same = torch.rand(8)
    torch.manual_seed(5 + (1 << 32))
    assert torch.equal(torch.rand(8), same), "then a seed would do"
    secret = bytearray(32)
    drawn = [_drawn(bytes(secret), 0)]
    for i in range(32):
        secret[i] = 1
        drawn.append(_drawn(bytes(secret), 0))
    assert len({row.numpy().tobytes() for row in drawn}) == 33


def test_what_is_drawn_is_normal_and_uniform() -> None:
    with secret_draws(fresh_secret(), 0):
        normal, uniform = torch.randn(100_000), torch.rand(100_000)
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1) < 0.02
    assert abs(float(uniform.mean()) - 0.5) < 0.01


def test_an_order_is_a_permutation_that_the_secret_draws() -> None:
    secret = fresh_secret()
    order = drawn_order(secret, 50)
    assert sorted(order) == list(range(50))
    assert order == drawn_order(secret, 50) != drawn_order(fresh_secret(), 50)
