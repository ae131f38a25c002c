"""What public features say of others' bits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from scipy.stats import t as student

from sfumato.attack.on_cipher.bitmodel import (
    BitModel,
    bit_costs,
    bits,
    evidence,
    fit_bit_model,
    sign_gains,
)
from sfumato.cipher.stages import WORDS


@pytest.mark.parametrize("value", [0.25, -3.0])
def test_features_that_never_change_are_told_from_others(value: float) -> None:
    model = fit_bit_model(torch.full((5, 3), value))
    assert bool((model.scale > 0).all())
    own, other = evidence(model, torch.full((3,), value)), evidence(model, torch.rand(3) + 1)
    assert bool(torch.stack([own, other]).isfinite().all())
    assert float(own) > float(other)


def public(count: int = 40, dims: int = 5, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Features as a ReLU leaves them: about half are exactly zero, in one dimension all are."""
    made = torch.randn(count, dims, generator=torch.Generator().manual_seed(1)).clamp(min=0)
    made[:, 2] = 0
    return made.to(dtype)


def slow_evidence(model: BitModel, row: list[float]) -> float:
    """A pattern's probability: density times the spacing of floats there, or anything at all."""
    found = 0.0
    info = torch.finfo(model.dtype)
    for k, x in enumerate(row):
        zero, centre, scale = (float(v[k]) for v in (model.zeros, model.centre, model.scale))
        anything = 0.01 * 2.0**-model.width
        if not math.isfinite(x):
            found += math.log(anything)
        elif x == 0:
            found += math.log(zero + anything)
        else:
            spacing = 2.0 ** math.floor(math.log2(max(abs(x), info.tiny))) * info.eps
            density = student.pdf(x, 4, loc=centre, scale=scale)
            found += math.log((1 - zero) * density * spacing + anything)
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@given(seed=st.integers(0, 1000), size=st.sampled_from([1e-6, 0.1, 1.0, 50.0]))
@settings(max_examples=20)
def test_evidence_is_the_likelihood_told_in_words(
    dtype: torch.dtype, seed: int, size: float
) -> None:
    model = fit_bit_model(public(dtype=dtype))
    row = torch.randn(5, generator=torch.Generator().manual_seed(seed)).mul(size).to(dtype)
    row[seed % 5] = (0.0, math.inf, math.nan, -math.inf, 0.0)[seed // 5 % 5]
    found = float(evidence(model, row.double()))
    assert found == pytest.approx(slow_evidence(model, row.tolist()), rel=1e-4)
    some = torch.tensor([3, 1])
    parts = [float(evidence(model, row[[k]].double(), torch.tensor([k]))) for k in (3, 1)]
    assert float(evidence(model, row[some].double(), some)) == pytest.approx(sum(parts))


def test_what_is_learned_of_values_is_counted_by_dimension() -> None:
    rows = public()
    model = fit_bit_model(rows)
    for k in (0, 1, 3, 4):
        other = rows[:, k][rows[:, k] != 0].double()
        assert float(model.zeros[k]) == pytest.approx((40 - len(other) + 0.05) / 40.1)
        assert float(model.centre[k]) == pytest.approx(float(other.mean()))
        assert float(model.scale[k]) == pytest.approx(float(other.std(correction=0)))
        assert (float(model.low[k]), float(model.high[k])) == (0, float(rows[:, k].max()))
    every = rows[rows != 0].double()
    assert float(model.zeros[2]) == pytest.approx(40.05 / 40.1)
    assert float(model.centre[2]) == pytest.approx(float(every.mean()))
    assert torch.allclose(model.mean, rows.double().mean(0))
    assert model.width == 32


def test_bits_are_those_of_pythons_numbers_and_their_shares_have_a_doubt() -> None:
    rows = public(count=9, dims=3)
    words = rows.view(WORDS[32])
    seen = bits(words)
    for row, word in zip(seen.flatten(0, 1).tolist(), words.flatten().tolist(), strict=True):
        assert row == [float((word & 0xFFFFFFFF) >> i & 1) for i in range(32)]
    average = seen.mean((0, 1)).clamp(1e-3, 1 - 1e-3)
    expected = (seen.sum(0) + average) / (9 + 1)
    assert torch.allclose(fit_bit_model(rows).ones, expected, atol=1e-6)


def test_costs_and_gains_are_log_likelihoods() -> None:
    rows = public(count=30, dims=4)
    model, words = fit_bit_model(rows), rows[:6].view(WORDS[32])
    seen, costs = bits(words), bit_costs(model, words)
    for i, j in ((0, 0), (3, 30), (31, 22), (23, 31)):
        told = torch.where(seen[:, :, j] == 1, model.ones[:, i], 1 - model.ones[:, i])
        assert float(costs[i, j]) == pytest.approx(-float(told.log().sum()), rel=1e-4)
    signs = model.ones[:, -1]
    axes = model.sign_axes
    wide = 0.5 * torch.eye(4) + 0.5 * axes.T @ torch.diag(model.sign_variances) @ axes
    base = multivariate_normal(torch.zeros(4).numpy(), torch.eye(4).numpy())
    law = multivariate_normal(torch.zeros(4).numpy(), wide.numpy())
    gains = sign_gains(model, words)
    constant = law.logpdf([0] * 4) - base.logpdf([0] * 4)
    for position in (0, 22, 30, 31):
        y = (seen[:, :, position] - signs) / (signs * (1 - signs)).clamp_min(0.02).sqrt()
        ratio = law.logpdf(y.numpy()) - base.logpdf(y.numpy()) - constant
        assert float(gains[position]) == pytest.approx(float(ratio.sum()), rel=1e-3, abs=1e-3)


def test_one_vector_says_nothing_of_others() -> None:
    from sfumato.errors import DataError

    assert fit_bit_model(public(count=2)).width == 32
    with pytest.raises(DataError, match="two public feature vectors or more, got 1"):
        fit_bit_model(public(count=1))
