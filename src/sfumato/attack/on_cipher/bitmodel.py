"""What public features say of the bits of anyone's: the adversary's knowledge against ShuffleBits.

Three views of one float in dimension k, from coarse to fine: each bit by itself, the signs of all
dimensions together, and the whole number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sfumato.attack.tools.read import drawn_rows
from sfumato.cipher.stages import WORDS
from sfumato.errors import DataError

_DOUBT = 0.5  # made-up observations of each bit, at its average over all dimensions
_SIGN_ROWS = 1000  # public features whose signs are compared with each other; costs their square
_SIGN_SHRINKAGE = 0.5  # of the signs' correlations toward none: rows are fewer than dimensions
_FREEDOM = 4.0  # of Student's t for values: features have heavy tails
_OUTLIERS = 0.01  # share of values that may be anything at all


@dataclass(frozen=True, slots=True, kw_only=True)
class BitModel:
    """Statistics of public features in `d` dimensions, of words of `w` bits.

    `ones` is the probability of each bit; `sign_axes` and `sign_variances` are the principal
    axes of the standardised signs; `zeros`, `centre` and `scale` describe the values: exactly
    zero with probability `zeros`, else Student's t.
    """

    dtype: torch.dtype
    ones: Float[Tensor, "d w"]
    sign_axes: Float[Tensor, "k d"]
    sign_variances: Float[Tensor, "k"]
    mean: Float[Tensor, "d"]
    low: Float[Tensor, "d"]
    high: Float[Tensor, "d"]
    zeros: Float[Tensor, "d"]
    centre: Float[Tensor, "d"]
    scale: Float[Tensor, "d"]

    @property
    def width(self) -> int:
        """Bits in a word."""
        return self.ones.shape[1]


def bit(words: Int[Tensor, "*shape"], position: int) -> Float[Tensor, "*shape"]:
    """Return one bit of every word, as 0.0 or 1.0."""
    return ((words >> position) & 1).float()


def bits(words: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape w"]:
    """Return all bits of every word, the least significant first."""
    return torch.stack([bit(words, i) for i in range(8 * words.element_size())], -1)


def fit_bit_model(public: Float[Tensor, "n d"]) -> BitModel:
    """Learn the statistics of public features of the victim's backbone.

    Raises:
        DataError: there are fewer than two.
    """
    if len(public) < 2:
        raise DataError(f"expected two public feature vectors or more, got {len(public)}")
    width = 8 * public.element_size()
    words = public.contiguous().view(WORDS[width])
    share = torch.stack([bit(words, i).mean(0) for i in range(width)], 1)
    average = share.mean(0).clamp(1e-3, 1 - 1e-3)
    ones = (share * len(public) + 2 * _DOUBT * average) / (len(public) + 2 * _DOUBT)
    some = drawn_rows(torch.arange(len(words)), _SIGN_ROWS, seed=0)
    axes, variances = _sign_axes(bit(words[some], width - 1), ones[:, -1])
    values = public.double()
    zeros, centre, scale = _value_model(values)
    return BitModel(
        dtype=public.dtype,
        ones=ones,
        sign_axes=axes,
        sign_variances=variances,
        mean=values.mean(0),
        low=values.amin(0),
        high=values.amax(0),
        zeros=zeros,
        centre=centre,
        scale=scale,
    )


def bit_costs(model: BitModel, words: Int[Tensor, "r d"]) -> Float[Tensor, "w w"]:
    """Return minus the log-likelihood that bit i of the features (row) lies at j (column)."""
    seen = bits(words)
    yes, no = model.ones.log(), torch.log1p(-model.ones)
    return -torch.einsum("dw,rdj->wj", yes, seen) - torch.einsum("dw,rdj->wj", no, 1 - seen)


def sign_gains(model: BitModel, words: Int[Tensor, "r d"]) -> Float[Tensor, "w"]:
    """Return, by position, how much its bits vary between dimensions as signs do.

    The log-likelihood ratio of a Gaussian with the signs' shrunk correlations against one with
    none. It tells the sign from mantissa bits where each dimension is as often below zero as above.
    """
    gains = torch.zeros(model.width)
    variances = (1 - _SIGN_SHRINKAGE) * model.sign_variances + _SIGN_SHRINKAGE
    rest = _SIGN_SHRINKAGE
    for position in range(model.width):
        y = _standardised(bit(words, position), model.ones[:, -1])
        along = (y @ model.sign_axes.T).square()
        gains[position] = -0.5 * (along * (1 / variances - 1 / rest)).sum()
        gains[position] -= 0.5 * y.square().sum() * (1 / rest - 1)
    return gains


def evidence(
    model: BitModel, values: Float[Tensor, "*batch d"], dims: Int[Tensor, "s"] | None = None
) -> Float[Tensor, "*batch"]:
    """Return the log-likelihood of bit patterns, read as floats in dimensions `dims` (or all).

    A pattern's probability is the density times the spacing of floats at its value.
    """
    take = slice(None) if dims is None else dims
    zeros, centre, scale = model.zeros[take], model.centre[take], model.scale[take]
    finite = values.isfinite()
    x = torch.where(finite, values, 1.0).double()
    z = (x - centre) / scale
    density = _T_CONSTANT - scale.log() - (_FREEDOM + 1) / 2 * torch.log1p(z.square() / _FREEDOM)
    exponent = x.abs().clamp_min(torch.finfo(model.dtype).tiny).log2().floor()
    spacing = exponent * math.log(2) + math.log(torch.finfo(model.dtype).eps)
    likelihood = torch.where(x == 0, zeros.log(), torch.log1p(-zeros) + density + spacing)
    anything = math.log(_OUTLIERS) - model.width * math.log(2)
    likelihood = torch.where(finite, likelihood, -torch.inf)
    return torch.logaddexp(likelihood, torch.full_like(likelihood, anything)).sum(-1)


_T_CONSTANT = (
    math.lgamma((_FREEDOM + 1) / 2) - math.lgamma(_FREEDOM / 2) - 0.5 * math.log(_FREEDOM * math.pi)
)


def _standardised(
    seen: Float[Tensor, "*batch d"], ones: Float[Tensor, "d"]
) -> Float[Tensor, "*batch d"]:
    # A sign that is nearly always the same must not count for more than the others.
    return (seen - ones) / (ones * (1 - ones)).clamp_min(0.02).sqrt()


def _sign_axes(
    signs: Float[Tensor, "n d"], ones: Float[Tensor, "d"]
) -> tuple[Float[Tensor, "k d"], Float[Tensor, "k"]]:
    z = _standardised(signs, ones) / len(signs) ** 0.5
    _, singular, axes = torch.linalg.svd(z, full_matrices=False)
    return axes, singular.square()


def _value_model(
    values: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, "d"], Float[Tensor, "d"], Float[Tensor, "d"]]:
    """Return the share of exact zeros, and mean and deviation of the others, by dimension."""
    other = values != 0
    count = other.sum(0).clamp_min(1)
    zeros = ((~other).double().sum(0) + 0.05) / (len(values) + 0.1)
    overall = values.sum() / other.sum().clamp_min(1)
    centre = torch.where(other.any(0), values.sum(0) / count, overall)
    squares = ((values - centre) * other).square()
    spread = (squares.sum() / other.sum().clamp_min(1)).sqrt().clamp_min(1e-12)
    scale = (squares.sum(0) / count).sqrt()
    scale = torch.where(other.sum(0) > 1, scale, spread)
    return zeros, centre, scale.clamp_min(0.01 * spread)
