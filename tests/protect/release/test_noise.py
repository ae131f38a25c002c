from __future__ import annotations

import torch
from torch import Tensor

from sfumato.protect.release.noise import drawn_order, fresh_secret, secret_draws

_PICTURE = torch.arange(64, dtype=torch.uint8).view(1, 8, 8)


def _drawn(secret: bytes, picture: Tensor = _PICTURE) -> Tensor:
    with secret_draws(secret, picture):
        return torch.rand(8)


def test_what_is_drawn_follows_from_secret_and_picture_and_from_nothing_else() -> None:
    secret = fresh_secret()
    torch.manual_seed(0)
    first = _drawn(secret)
    torch.manual_seed(1)
    assert torch.equal(_drawn(secret, _PICTURE.clone()), first)
    other = _PICTURE.clone()
    other[0, 7, 7] += 1
    assert not torch.equal(_drawn(secret, other), first)
    assert not torch.equal(_drawn(secret, _PICTURE.view(1, 4, 16)), first), "the size counts"
    assert not torch.equal(_drawn(fresh_secret()), first)


def test_the_callers_numbers_go_on() -> None:
    torch.manual_seed(0)
    expected = torch.rand(8)
    torch.manual_seed(0)
    _drawn(fresh_secret())
    assert torch.equal(torch.rand(8), expected)


def test_every_bit_of_the_secret_counts() -> None:
    # A seed of PyTorch's generator on the CPU counts with its lower 32 bits only.
    torch.manual_seed(5)
    same = torch.rand(8)
    torch.manual_seed(5 + (1 << 32))
    assert torch.equal(torch.rand(8), same), "then a seed would do"
    secret = bytearray(32)
    drawn = [_drawn(bytes(secret))]
    for i in range(32):
        secret[i] = 1
        drawn.append(_drawn(bytes(secret)))
    assert len({row.numpy().tobytes() for row in drawn}) == 33


def test_what_is_drawn_is_normal_and_uniform() -> None:
    with secret_draws(fresh_secret(), _PICTURE):
        normal, uniform = torch.randn(100_000), torch.rand(100_000)
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1) < 0.02
    assert abs(float(uniform.mean()) - 0.5) < 0.01


def test_an_order_is_a_permutation_that_the_secret_draws() -> None:
    secret = fresh_secret()
    order = drawn_order(secret, 50)
    assert sorted(order) == list(range(50))
    assert order == drawn_order(secret, 50) != drawn_order(fresh_secret(), 50)
