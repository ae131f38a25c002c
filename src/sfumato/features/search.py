"""Nearest neighbours among features in the clear, exactly: every row is compared (faiss)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from sfumato.errors import DataError, InputError
from sfumato.extras import needs
from sfumato.features.tables.table import FeatureTable

Metric = Literal["cosine", "inner", "l2"]
_FINGERPRINT = "backbone"


@dataclass(frozen=True, slots=True)
class Hit:
    """A row of what was searched."""

    row: int
    value: float
    """Cosine or inner product, more is more alike; or the distance of `l2`, less is."""
    columns: dict[str, Any]
    """What is known of the row: its file's name, its labels."""


def search(
    gallery: FeatureTable, queries: FeatureTable, *, count: int = 5, metric: Metric = "cosine"
) -> list[list[Hit]]:
    """Return the `count` rows of `gallery` that are most alike to each query, best first.

    Raises:
        DataError: the two are of different backbones or lengths, or a number is not finite.
        InputError: `count` is not positive, or vectors are no rows of numbers.
        UnavailableError: faiss is not installed.
    """
    if count < 1:
        raise InputError(f"expected `count` to be positive, got {count}")
    _check(gallery, queries)
    needs("search", "searching features", "faiss")
    import faiss

    rows, asked = _rows(gallery, metric), _rows(queries, metric)
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    values, found = faiss.knn(asked, rows, min(count, len(rows)), metric=kind)
    if metric == "l2":
        values = np.sqrt(np.maximum(values, 0))  # faiss has squares
    known = gallery.columns
    return [
        [
            Hit(row, float(value), known.slice(row, 1).to_pylist()[0] if len(known) else {})
            for row, value in zip(positions.tolist(), of_query, strict=True)
        ]
        for positions, of_query in zip(found, values, strict=True)
    ]


def _check(gallery: FeatureTable, queries: FeatureTable) -> None:
    for table in (gallery, queries):
        if table.vectors.ndim != 2 or not len(table):
            raise InputError(f"expected a vector a row, got shape {tuple(table.vectors.shape)}")
    made = [table.metadata.get(_FINGERPRINT) for table in (gallery, queries)]
    if None not in made and made[0] != made[1]:
        raise DataError(f"expected features of one backbone, got {made[0]} and {made[1]}")
    if gallery.vectors.shape[1] != queries.vectors.shape[1]:
        raise DataError(
            f"expected queries of {gallery.vectors.shape[1]} numbers, "
            f"got {queries.vectors.shape[1]}; extract both with one backbone"
        )


def _rows(table: FeatureTable, metric: Metric) -> Float[np.ndarray, "n d"]:
    vectors: Tensor = table.vectors.float()
    if not bool(vectors.isfinite().all()):
        raise DataError("expected finite features to search among, got a NaN or an infinity")
    if metric == "cosine":
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return np.ascontiguousarray(vectors.numpy())
