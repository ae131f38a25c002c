"""The attack on ShuffleBits alone: bit statistics of public features give the key away.

From one response: an assignment problem matches the bits' frequencies with those of public
features, the signs' correlations find the sign bit, and exchanges of two positions are tried until
the decoded numbers could not be likelier. Known values and more responses under one key sharpen it.
Against a sealed envelope it sees fair coins, notices, and falls back on the public mean.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from scipy.stats import bootstrap
from torch import Tensor
from torch.nn.functional import cosine_similarity

from sfumato.attack.on_cipher.bitmodel import (
    BitModel,
    bit_costs,
    bits,
    evidence,
    fit_bit_model,
    sign_gains,
)
from sfumato.cipher.header import TAG_BYTES, read_header
from sfumato.cipher.permutation import ShuffleKey
from sfumato.cipher.shufflebits import unshuffle_bits
from sfumato.cipher.stages import WORDS
from sfumato.data.order import random_order
from sfumato.errors import ConfigError
from sfumato.progress import track
from sfumato.types import Attack, Details, Finding, Knowledge, Releases

_IMPOSSIBLE = 1e9  # the cost of a place that a known value rules out
_TRIAL_VALUES = 512  # of the responses: exchanges are tried on these before all are asked
_MAX_EXCHANGES = 100  # some 10 are made; a bound for hostile or absurd inputs


@dataclass(frozen=True, slots=True)
class Known:
    """Values of a response that the adversary knows, and their shuffled words."""

    values: Float[Tensor, "m"]
    words: Int[Tensor, "m"]

    def places(self) -> Bool[Tensor, "w w"]:
        """Say whether bit i (row) may lie at j (column): they agree in every known value."""
        plain = bits(self.values.contiguous().view(self.words.dtype))
        return (plain.unsqueeze(2) == bits(self.words).unsqueeze(1)).all(0)

    def fixed(self) -> int:
        """Count the bits whose place these values alone leave no doubt of."""
        return int((self.places().sum(1) == 1).sum())


def recover_key(
    model: BitModel, words: Int[Tensor, "r d"], known: Known | None = None
) -> ShuffleKey:
    """Return the likeliest key of responses that were shuffled under one.

    Raises:
        ConfigError: the words are not as wide or as many as the public features'.
    """
    if words.dtype != WORDS[model.width] or words.shape[1] != len(model.ones):
        raise ConfigError(
            f"expected {len(model.ones)} words of {model.width} bits a response, got "
            f"{words.shape[1]} of {words.dtype}"
        )
    costs = bit_costs(model, words)
    costs[-1] -= sign_gains(model, words)
    if known is not None:
        costs[~known.places()] = _IMPOSSIBLE
    _, places = linear_sum_assignment(costs.numpy())
    frozen = costs >= _IMPOSSIBLE
    return _exchanged(model, words, ShuffleKey(tuple(int(p) for p in places)), frozen)


def recover_features(
    model: BitModel, words: Int[Tensor, "r d"], known: Known | None = None
) -> Float[Tensor, "r d"]:
    """Return the features that responses under one key most likely hold.

    Where the best key explains the words no better than coin tosses do, there is nothing to be
    recovered from them, and the best guess is the public mean.
    """
    values = unshuffle_bits(words, recover_key(model, words, known), model.dtype)
    if float(evidence(model, values).sum()) <= -words.numel() * model.width * math.log(2):
        return model.mean.to(model.dtype).expand(words.shape).clone()
    plausible = torch.where(values.isfinite(), values.double(), model.mean)
    span = model.high - model.low  # beyond public values by more than that, it is a wrong bit
    return plausible.clamp(model.low - span, model.high + span).to(model.dtype)


def _exchanged(
    model: BitModel, words: Int[Tensor, "r d"], key: ShuffleKey, frozen: Bool[Tensor, "w w"]
) -> ShuffleKey:
    """Exchange the places of two bits as long as the decoded numbers become likelier.

    The sign stays where the signs' correlations put it: single numbers do not show it.
    """
    count = words.shape[1]
    order = random_order(count, 0)
    dims = order[: max(32, _TRIAL_VALUES // len(words))]
    pairs = torch.combinations(torch.arange(model.width - 1))
    plain = unshuffle_bits(words, key, model.dtype).view(words.dtype)
    places = list(key.targets)
    total = float(evidence(model, plain.view(model.dtype)).sum())
    for _ in range(_MAX_EXCHANGES):
        trials = _exchanges(plain[:, dims], pairs).view(model.dtype)
        gains = evidence(model, trials, dims).sum(1)
        gains[_ruled_out(pairs, places, frozen)] = -torch.inf
        best = pairs[gains.argmax()]
        swapped = _exchanges(plain, best[None])[0]
        new = float(evidence(model, swapped.view(model.dtype)).sum())
        if not new > total + 1e-6:
            break
        plain, total = swapped, new
        low, high = best.tolist()
        places[low], places[high] = places[high], places[low]
    return ShuffleKey(tuple(places))


def _exchanges(words: Int[Tensor, "r s"], pairs: Int[Tensor, "p 2"]) -> Int[Tensor, "p r s"]:
    """Return the words with each pair of bits exchanged in turn."""
    low, high = (end.to(words.dtype).view(-1, 1, 1) for end in pairs.unbind(1))
    moved = ((words >> (high - low)) ^ words) & (torch.ones_like(low) << low)
    return words ^ moved ^ (moved << (high - low))


def _ruled_out(
    pairs: Int[Tensor, "p 2"], places: list[int], frozen: Bool[Tensor, "w w"]
) -> Bool[Tensor, "p"]:
    at = torch.tensor(places)
    first, second = pairs.unbind(1)
    return frozen[first, at[second]] | frozen[second, at[first]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BitDetails(Details):
    """What the attack on the cipher reports beside its figure."""

    kind: ClassVar[str] = "bitstatistics"
    victims: int
    responses_per_key: int
    known_values: int
    bit_positions_right: float
    """Median over responses, of `width`."""
    width: int
    lowest_cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BitStatistics(Attack):
    """The attack as an audit runs it, on ShuffleBits words or on envelopes.

    The value is the median cosine similarity between recovered and true features; the floor that
    of the public mean, which needs no release; the ceiling 1. Needs `knowledge.query_plain`.
    """

    name = "bitstatistics"
    learns = False  # on releases: it knows what features look like
    responses: int = 1
    """Consecutive responses that share one key; with ShuffleBits used rightly, one."""
    known_values: int = 0
    """Values of each response's start that the adversary knows; left out of the score."""
    seed: int = 0
    """Of the interval's resampling; the attack itself is deterministic."""

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:  # noqa: ARG002
        """Say why the attack has no meaning here, or None."""
        if knowledge.query_plain is not None:
            return None
        return "this release is not encrypted: there are no moved bits to put back"

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        """Recover each response from its words and the adversary's own public features."""
        if knowledge.query_plain is None:
            raise ConfigError("bitstatistics needs features of public images: query_plain")
        model = fit_bit_model(knowledge.query_plain(knowledge.images).cpu())
        truth = knowledge.query_plain(victim.images).cpu()
        words = response_words(victim.tensor.cpu(), model)
        recovered = [
            self._recovered(model, words[rows], truth[rows])
            for rows in track(torch.arange(len(words)).split(self.responses), "bitstatistics")
        ]
        return self._finding(victim.protector, model, torch.cat(recovered), truth)

    def _recovered(
        self, model: BitModel, words: Int[Tensor, "r d"], truth: Float[Tensor, "r d"]
    ) -> Float[Tensor, "r d"]:
        known = None
        if self.known_values:
            start = slice(self.known_values)
            known = Known(truth[:, start].flatten(), words[:, start].flatten())
            if not bool(known.places().any(1).all()):
                known = None  # no permutation explains the known values: these are not its words
        return recover_features(model, words, known)

    def _finding(
        self,
        protector: str,
        model: BitModel,
        recovered: Float[Tensor, "n d"],
        truth: Float[Tensor, "n d"],
    ) -> Finding:
        scored = slice(self.known_values, None)
        values = cosine_similarity(recovered[:, scored], truth[:, scored]).double()
        mean = model.mean.to(truth.dtype).expand(truth.shape)
        floors = cosine_similarity(mean[:, scored], truth[:, scored])
        same = bits(recovered.view(WORDS[model.width])) == bits(truth.view(WORDS[model.width]))
        positions = same.all(1).sum(1).double()
        return Finding(
            attack=self.name,
            protector=protector,
            metric="median cosine similarity",
            value=float(values.median()),
            floor=float(floors.median()),
            ceiling=1.0,
            interval=_interval(values, self.seed),
            seeds=(self.seed,),
            floor_interval=_interval(floors.double(), self.seed),
            details=BitDetails(
                victims=len(values),
                responses_per_key=self.responses,
                known_values=self.known_values,
                bit_positions_right=float(positions.median()),
                width=model.width,
                lowest_cosine=float(values.min()),
            ),
        )


def response_words(release: Tensor, model: BitModel) -> Int[Tensor, "n d"]:
    """Return the words of ShuffleBits releases (n, d), or the ciphertexts of envelopes (n, bytes).

    Raises:
        ConfigError: the release is neither.
    """
    if release.dtype == WORDS[model.width] and release.shape[1:] == model.mean.shape:
        return release
    if release.dtype != torch.uint8 or release.ndim != 2:
        raise ConfigError(
            f"expected words of {model.width} bits in {len(model.mean)} dimensions, or envelopes "
            f"as uint8 (n, bytes), got {release.dtype} of shape {tuple(release.shape)}"
        )
    return torch.stack([_ciphertext(row, model) for row in release])


def _ciphertext(envelope: Tensor, model: BitModel) -> Int[Tensor, "d"]:
    stream = io.BytesIO(envelope.numpy().tobytes())
    header = read_header(stream.read)
    if header.chunks != 1 or header.dtype != model.dtype or header.shape[-1:] != model.mean.shape:
        raise ConfigError("expected envelopes of one response each, of the backbone's features")
    content = stream.read(header.body_bytes - TAG_BYTES)
    return torch.frombuffer(bytearray(content), dtype=WORDS[model.width])


def _interval(values: Float[Tensor, "n"], seed: int) -> tuple[float, float]:
    if len(values) < 2:
        return float(values.min()), float(values.max())
    result = bootstrap(
        (values.numpy(),), np.median, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return float(result.low), float(result.high)
