"""`sfumato features search`: the nearest rows, among features that are opened in memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sfumato.cli.options import AsJson, finish
from sfumato.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.cipher.keys import KeyRing
    from sfumato.features.search import Hit
    from sfumato.features.tables.table import FeatureTable

_VALUES = {"cosine": "similarity", "inner": "product", "l2": "distance"}

Column = Annotated[
    str | None,
    typer.Option(help="Name of the vectors, where a file has several columns or tensors of them."),
]


def search(
    gallery: Annotated[Path, typer.Argument(help="Features to search among, sealed or not.")],
    queries: Annotated[Path, typer.Argument(help="Features to search for, sealed or not.")],
    count: Annotated[int, typer.Option(help="Rows to find for each query.", min=1)] = 5,
    metric: Annotated[
        Literal["cosine", "inner", "l2"],
        typer.Option(help="cosine, inner product, or Euclidean distance."),
    ] = "cosine",
    keys: Annotated[Path | None, typer.Option("--keys", help="Opens what is sealed.")] = None,
    passphrase: Annotated[
        str | None,
        typer.Option(
            envvar="SFUMATO_PASSPHRASE", help="Unlocks the key ring. Asked for where needed."
        ),
    ] = None,
    column: Column = None,
    as_json: AsJson = False,
) -> None:
    """Find the rows that are most alike to each query, among all (extra `search`: faiss).

    Sealed features are opened in memory. Nothing can be searched while it is sealed.
    """
    from sfumato.cipher.featurefile import is_sealed
    from sfumato.features.search import search as nearest

    ring = _ring(keys, passphrase) if is_sealed(gallery) or is_sealed(queries) else None
    among, asked = (_features(path, ring, column) for path in (gallery, queries))
    found = nearest(among, asked, count=count, metric=metric)
    known = asked.columns.to_pylist() or [{} for _ in found]
    rows = [
        {"row": row, "columns": _plain(about), "hits": [_hit(hit, metric) for hit in hits]}
        for row, (about, hits) in enumerate(zip(known, found, strict=True))
    ]
    finish({"metric": metric, "queries": rows}, _text(rows, _VALUES[metric]), as_json=as_json)


def _text(rows: Sequence[Mapping[str, Any]], value: str) -> str:
    lines = []
    for query in rows:
        lines.append(f"query {query['row']} {_told(query['columns'])}".rstrip())
        for hit in query["hits"]:
            told = f"  {hit[value]:.4f}  row {hit['row']} {_told(hit['columns'])}"
            lines.append(told.rstrip())
    return "\n".join(lines)


def _ring(path: Path | None, passphrase: str | None) -> KeyRing:
    from sfumato.cipher.keyfile import load_ring
    from sfumato.errors import ConfigError

    if path is None:
        raise ConfigError("the features are sealed: expected `keys`, the key ring's file")
    return load_ring(path, passphrase or typer.prompt("Passphrase", hide_input=True))


def _features(path: Path, ring: KeyRing | None, column: str | None) -> FeatureTable:
    from sfumato.cipher.featurefile import is_sealed, open_table
    from sfumato.features.tables.forms import read_table

    return open_table(path, ring) if ring and is_sealed(path) else read_table(path, column)


def _hit(hit: Hit, metric: str) -> dict[str, Any]:
    return {"row": hit.row, _VALUES[metric]: hit.value, "columns": _plain(hit.columns)}


def _plain(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold; other columns of a stranger's file as text.

    A number that is none (so pandas writes what is missing) is null: JSON has no NaN.
    """
    return {name: _as_json(value) for name, value in columns.items()}


def _as_json(value: object) -> str | int | float | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _told(columns: Mapping[str, Any]) -> str:
    # Names and values come from files of others: none may move or colour the terminal.
    told = (f"{name}={value}" for name, value in columns.items() if value is not None)
    return " ".join(map(printable, told))
