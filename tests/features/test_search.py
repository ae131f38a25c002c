"""Search compares every row, says what is known of it, and refuses what cannot be compared."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
import torch

from sfumato import extras
from sfumato.errors import DataError, InputError, UnavailableError
from sfumato.features.search import Metric, search
from sfumato.features.tables.table import FeatureTable

pytest.importorskip("faiss")


def table(vectors: torch.Tensor, **metadata: str) -> FeatureTable:
    names = pa.table({"file_name": [f"{row}.png" for row in range(len(vectors))]})
    return FeatureTable(vectors=vectors, columns=names, metadata=metadata)


@pytest.mark.parametrize("metric", ["cosine", "inner", "l2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_it_finds_what_a_comparison_of_all_finds(metric: Metric, dtype: torch.dtype) -> None:
    gallery, asked = torch.randn(50, 8).to(dtype), torch.randn(4, 8).to(dtype)
    rows, queries = gallery.float(), asked.float()
    values = {
        "cosine": torch.nn.functional.cosine_similarity(queries[:, None], rows[None], dim=-1),
        "inner": queries @ rows.T,
        "l2": -torch.cdist(queries, rows),
    }[metric]
    wanted = values.topk(3)
    found = search(table(gallery), table(asked), count=3, metric=metric)
    assert [[hit.row for hit in hits] for hits in found] == wanted.indices.tolist()
    sign = -1 if metric == "l2" else 1
    measured = torch.tensor([[sign * hit.value for hit in hits] for hits in found])
    assert torch.allclose(measured, wanted.values, atol=1e-3)
    assert found[0][0].columns == {"file_name": f"{found[0][0].row}.png"}


def test_no_more_rows_are_found_than_there_are() -> None:
    assert len(search(table(torch.rand(2, 3)), table(torch.rand(1, 3)), count=9)[0]) == 2


def test_what_cannot_be_compared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = table(torch.rand(2, 3), backbone="aa")
    with pytest.raises(DataError, match="of one backbone, got aa and bb"):
        search(sound, table(torch.rand(2, 3), backbone="bb"))
    with pytest.raises(DataError, match="of 3 numbers, got 4"):
        search(sound, table(torch.rand(2, 4)))
    with pytest.raises(DataError, match="finite"):
        search(sound, table(torch.tensor([[1.0, float("nan"), 0.0]])))
    with pytest.raises(InputError, match="a vector a row"):
        search(sound, FeatureTable(vectors=torch.rand(3)))
    with pytest.raises(InputError, match="`count`"):
        search(sound, sound, count=0)
    there = extras.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "faiss" else there(name, *rest)

    monkeypatch.setattr(extras, "find_spec", without)
    with pytest.raises(UnavailableError, match=r"sfumato\[search\]"):
        search(sound, sound)
