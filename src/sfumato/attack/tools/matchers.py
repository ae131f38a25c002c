"""Ways to say whether two releases show the same person, from none learned to fully learned."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from sfumato.attack.tools.learners import LearnerConfig, embedding, train_namer
from sfumato.attack.tools.read import Standard
from sfumato.attack.tools.scores import area
from sfumato.data.order import numpy_seed
from sfumato.errors import DataError
from sfumato.types import Trained

Embed = Callable[[Float[Tensor, "n *shape"]], Float[Tensor, "n d"]]
_COMPONENTS = 128
_KEPT_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class Matcher:
    """Maps releases to vectors whose cosine similarity tells people apart."""

    name: str
    embed: Embed
    validated: float
    """Its figure on what the adversary held out of its training."""


def used_matchers(matchers: Sequence[Matcher], seeds: Sequence[int]) -> tuple[Trained, ...]:
    """Return what a finding says of the matcher of each seed."""
    return tuple(
        Trained(learner=matcher.name, seed=seed, validated=matcher.validated)
        for matcher, seed in zip(matchers, seeds, strict=True)
    )


def train_matchers(
    rows: Float[Tensor, "n *shape"],
    people: Int64[Tensor, "n"],
    validated: Callable[[Embed], float],
    config: LearnerConfig,
    *,
    seed: int,
) -> list[Matcher]:
    """Train every matcher on these releases; `validated` gives each its validated figure.

    Raises:
        DataError: there are fewer than two people.
    """
    count = len(people.unique())
    if count < 2:
        raise DataError(f"a matcher learns from two people at least, the adversary has {count}")
    standard = Standard.of(rows)

    def flat(new: Float[Tensor, "n *shape"]) -> Float[Tensor, "n d"]:
        return standard(new).flatten(1)

    embeds: Mapping[str, Embed] = {
        "cosine": flat,
        "discriminant": _discriminant(flat, rows, people, seed),
        "network": _network(standard, rows, people, config, seed),
    }
    return [Matcher(name, embed, validated(embed)) for name, embed in embeds.items()]


def similarities(a: Float[Tensor, "n d"], b: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Return all cosine similarities."""
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


def pairs(
    people: Int64[Tensor, "n"], *, seed: int = 0
) -> tuple[Int64[Tensor, "g 2"], Int64[Tensor, "i 2"]]:
    """Return genuine and impostor pairs of rows: all of them, or a random part of very many."""
    index = torch.triu_indices(len(people), len(people), 1).T
    same: Bool[Tensor, "p"] = people[index[:, 0]] == people[index[:, 1]]
    return _some(index[same], seed), _some(index[~same], seed)


def _some(index: Int64[Tensor, "p 2"], seed: int) -> Int64[Tensor, "q 2"]:
    if len(index) <= _KEPT_PAIRS:
        return index
    generator = torch.Generator().manual_seed(seed)
    return index[torch.randperm(len(index), generator=generator)[:_KEPT_PAIRS]]


def pair_scores(vectors: Float[Tensor, "n d"], index: Int64[Tensor, "p 2"]) -> Float[Tensor, "p"]:
    """Return the cosine similarity of each pair of rows."""
    normal = F.normalize(vectors, dim=1)
    parts = [(normal[i[:, 0]] * normal[i[:, 1]]).sum(1) for i in index.split(20_000)]
    return torch.cat(parts)


def separation(vectors: Float[Tensor, "n d"], people: Int64[Tensor, "n"]) -> float:
    """Return how well cosine similarity tells pairs of one person from pairs of two (AUC)."""
    genuine, impostor = (pair_scores(vectors, index) for index in pairs(people))
    return area(genuine, impostor)


def _discriminant(
    flat: Embed, rows: Float[Tensor, "n *shape"], people: Int64[Tensor, "n"], seed: int
) -> Embed:
    """Linear discriminant analysis of principal components, with shrunk covariance."""
    x = flat(rows).numpy()
    if not x.any():  # a constant release: there is no direction to tell people apart by
        return flat
    projection = PCA(min(_COMPONENTS, x.shape[1], len(x) - 1), random_state=numpy_seed(seed))
    with warnings.catch_warnings():
        # Of a constant release, a perfect protector's, every share of the variance is 0/0.
        warnings.simplefilter("ignore", RuntimeWarning)
        reduced = projection.fit_transform(x)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto")
    model.fit(reduced, people.numpy())

    def embed(new: Float[Tensor, "n *shape"]) -> Float[Tensor, "n d"]:
        return torch.from_numpy(model.transform(projection.transform(flat(new).numpy()))).float()

    return embed


def _network(
    standard: Standard,
    rows: Float[Tensor, "n *shape"],
    people: Int64[Tensor, "n"],
    config: LearnerConfig,
    seed: int,
) -> Embed:
    """The hidden layer of a network that learned to name the adversary's people."""
    labels = people.unique(return_inverse=True)[1]
    named = embedding(train_namer(standard(rows), labels, config, seed=seed))
    return lambda new: named(standard(new))
