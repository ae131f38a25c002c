"""Private training: gradients are cut as the slow way cuts them, and epsilon is known."""

from __future__ import annotations

from math import inf

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from papers.docl.dpsgd import PrivateConfig, clipped_gradient, train_private
from sfumato.filter.oneclass import OneClass, cross_entropy


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 9999), rows=st.integers(1, 5), clip=st.sampled_from([0.01, 0.3, 2.0, 1e3])
)
def test_the_gradient_is_the_sum_of_single_ones_each_cut(seed: int, rows: int, clip: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 7, generator=generator)
    seen = x * (torch.rand(x.shape, generator=generator) < 0.5) * 2
    net = OneClass(1, 7, 3, seed=seed)
    weights = tuple(p[0].detach() for p in net.parameters())
    expected = [torch.zeros_like(w) for w in weights]
    for row, hidden in zip(x, seen, strict=True):
        net.zero_grad()
        logits = net.logits(net.encode(hidden[None, None]))
        cross_entropy(row[None, None], logits).sum().backward()
        parts = [p.grad[0] for p in net.parameters() if p.grad is not None]
        norm = float(torch.cat([part.flatten() for part in parts]).norm())
        for total, part in zip(expected, parts, strict=True):
            total += part * min(1.0, clip / norm)
    found = clipped_gradient(weights, x, seen, clip)  # type: ignore[arg-type]
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_epsilon_falls_with_noise_and_grows_with_steps() -> None:
    def epsilon(noise: float, steps: int) -> float:
        return PrivateConfig(steps=steps, lr=0.01, noise_multiplier=noise).epsilon(3000, 1e-5)

    assert epsilon(0.0, 10) == inf
    assert epsilon(4.0, 100) < epsilon(1.0, 100) < epsilon(1.0, 300)
    # One release of a sum to which a picture adds at most 1, with noise of deviation 4.
    once = PrivateConfig(steps=1, lr=0.01, noise_multiplier=4.0, batch=10).epsilon(10, 1e-5)
    assert 0.9 < once < 1.3, "the Gaussian mechanism's, by Renyi accounting"


@pytest.mark.parametrize("views", [False, True])
def test_without_noise_it_learns_its_class_and_with_much_it_learns_nothing(views: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    own = (torch.rand(40, 1, 16, generator=generator) * 0.2 + 0.7 * torch.arange(16).lt(8)).clamp(
        0, 1
    )
    own = own.repeat(1, 3, 1) if views else own[:, 0]

    def error(noise: float) -> float:
        config = PrivateConfig(steps=150, lr=0.02, noise_multiplier=noise, hidden=4, hide=0.3)
        net = train_private([own, own], config, seed=1)
        x = own.reshape(-1, 16)
        return float((x - net(x.expand(2, -1, -1))).square().sum(-1).mean())

    quiet, loud = error(0.0), error(200.0)
    assert quiet < 0.4
    assert loud > 3 * quiet


def test_the_same_seed_trains_the_same() -> None:
    own = torch.rand(12, 6, generator=torch.Generator().manual_seed(3))
    config = PrivateConfig(steps=5, lr=0.02, noise_multiplier=1.0, hidden=2)
    one, other = (train_private([own], config, seed=4) for _ in range(2))
    assert torch.equal(one.encoder, other.encoder)
    assert not torch.equal(one.encoder, train_private([own], config, seed=5).encoder)
