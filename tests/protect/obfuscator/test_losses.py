from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torchmetrics.functional.image import peak_signal_noise_ratio

from sfumato.protect.obfuscator.losses import (
    bounded_loss,
    excess_rate,
    nearest_prior,
    obfuscator_loss,
    psnr,
    rate_loss,
    reconstructor_loss,
    within_rate,
)


def test_psnr_is_the_usual_one() -> None:
    images, guesses = torch.rand(5, 3, 8, 8), torch.rand(5, 3, 8, 8)
    for image, guess, value in zip(images, guesses, psnr(images, guesses), strict=True):
        expected = peak_signal_noise_ratio(guess, image, data_range=1.0)
        torch.testing.assert_close(value, expected)


def test_a_perfect_guess_has_a_finite_gradient() -> None:
    images = torch.rand(2, 1, 4, 4)
    guesses = images.clone().requires_grad_()
    psnr(images, guesses).sum().backward()
    assert guesses.grad is not None
    assert guesses.grad.isfinite().all()


def test_equations_2_and_3_pull_in_opposite_directions() -> None:
    images, guesses = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    entropy = F.cross_entropy(logits, labels)
    loss = obfuscator_loss(logits, labels, images, guesses, 0.5)
    torch.testing.assert_close(loss, entropy - 0.5 * reconstructor_loss(images, guesses))


def test_an_inverted_picture_is_rewarded_by_the_papers_loss_only() -> None:
    images = (torch.rand(4, 1, 8, 8) > 0.5).float()
    grey = torch.full((1, 8, 8), 0.5)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    worse = obfuscator_loss(logits, labels, images, 1 - images, 1.0)
    plain = obfuscator_loss(logits, labels, images, grey.expand_as(images), 1.0)
    assert worse < plain - 5
    entropy = F.cross_entropy(logits, labels)
    for guesses in (1 - images, grey.expand_as(images)):
        bounded = bounded_loss(logits, labels, images, guesses, 1.0, grey)
        torch.testing.assert_close(bounded, entropy)
    assert bounded_loss(logits, labels, images, images, 1.0, grey) > entropy + 10


def test_the_excess_rate_is_the_divergence_of_two_gaussians() -> None:
    means, priors = torch.randn(6, 2, 3, 3), torch.randn(4, 2, 3, 3)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    for mean, label, rate in zip(means, labels, excess_rate(means, priors, labels), strict=True):
        one = torch.distributions.Normal(mean, 1.0)
        other = torch.distributions.Normal(priors[label], 1.0)
        expected = torch.distributions.kl_divergence(one, other).sum()
        torch.testing.assert_close(rate, expected)


def test_the_rate_bounds_what_a_map_tells() -> None:
    """Two pictures of one class, told apart as well as is possible, stay below the bound."""
    means = torch.tensor([0.7, -0.7]).view(2, 1, 1, 1).repeat(500, 1, 1, 1)
    labels, priors = torch.zeros(1000, dtype=torch.int64), torch.zeros(1, 1, 1, 1)
    bound = float(excess_rate(means, priors, labels).mean())
    maps = means + torch.randn(means.shape, generator=torch.Generator().manual_seed(0))
    likely = torch.sigmoid(2 * 0.7 * maps).flatten()  # the exact posterior of the first picture
    right = torch.where(means.flatten() > 0, likely, 1 - likely)
    told = math.log(2) + float(right.log().mean())
    assert 0.1 < told < bound


def test_no_map_says_more_than_the_bound_whatever_the_picture() -> None:
    priors = 3 * torch.randn(5, 2, 3, 3)
    maps = torch.cat([10 * torch.randn(400, 2, 3, 3), priors + 0.01 * torch.randn(5, 2, 3, 3)])
    told = nearest_prior(maps, priors)
    assert torch.equal(told, torch.cdist(maps.flatten(1), priors.flatten(1)).argmin(1))
    for most in (4.0, 0.25, 0.0):
        moved = within_rate(maps, priors, most)
        rates = excess_rate(moved, priors, told)
        assert float(rates.max()) <= most, "not even in the last bit"
        assert float(rates[:400].min()) > 0.999 * most - 1e-9
        assert torch.equal(nearest_prior(moved, priors), told), "the class stays"
    torch.testing.assert_close(within_rate(maps, priors, 1e6), maps)
    torch.testing.assert_close(within_rate(maps, priors, 0.25)[400:], maps[400:])


def test_the_bound_holds_of_the_best_guess_between_two_pictures() -> None:
    """Two pictures of one cell, as far apart as the bound allows, told apart as well as can be."""
    priors = torch.zeros(1, 1, 1, 1)
    means = within_rate(torch.tensor([50.0, -50.0]).view(2, 1, 1, 1), priors, 0.5)
    assert float(means.abs().max()) == pytest.approx(1.0, abs=1e-4)
    noise = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    maps = means.flatten()[:, None] + noise
    chances = torch.sigmoid(2 * means.flatten()[:, None] * maps)
    told = math.log(2) + float(chances.log().mean())
    assert 0.2 < told < 0.5


def test_the_rate_is_weighed_by_lambda() -> None:
    means, priors = torch.randn(4, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    rate = excess_rate(means, priors, labels).mean()
    loss = rate_loss(logits, labels, means, priors, 0.2)
    assert float(loss) == pytest.approx(float(F.cross_entropy(logits, labels) + 0.2 * rate))
