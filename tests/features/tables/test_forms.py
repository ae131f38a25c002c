"""Features in every form: read, written, converted without loss, or refused by name."""

from __future__ import annotations

import datetime
import io
import json
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import FormatError, InputError
from sfumato.features.tables import arrowfile, numpyfile
from sfumato.features.tables import forms as forms_
from sfumato.features.tables.forms import (
    Form,
    check_table,
    files_of,
    inspect,
    read,
    read_table,
    write_table,
)
from sfumato.features.tables.table import FeatureTable

VECTORS = np.arange(12, dtype=np.float32).reshape(3, 4) / 7
COLUMNS = pa.table(
    {
        "file_name": ["a.png", "b/\u00e9.png", "c.png"],
        "identity": ["ann", None, "bo"],
        "age": pa.array([3, 4, 5], pa.int16()),
    }
)
TABLE = FeatureTable(
    vectors=torch.from_numpy(VECTORS), columns=COLUMNS, metadata={"backbone": "ab" * 32}
)
KINDS = {
    "list": pa.list_(pa.float32()),
    "large list": pa.large_list(pa.float64()),
    "fixed": pa.list_(pa.float32(), 4),
    "half": pa.list_(pa.float16(), 4),
}


def test_a_form_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    for form, name in enumerate(("x.npz", "x.parquet", "x.arrow", "x.features")):
        path = tmp_path / name
        columns = COLUMNS.drop_columns("identity")  # an array of NumPy has no missing text
        write_table(FeatureTable(vectors=TABLE.vectors, columns=columns), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        moved = path.rename(tmp_path / f"{form}.bin")
        found = read_table(moved)
        assert found.vectors.equal(TABLE.vectors)
        assert found.columns.to_pydict() == columns.to_pydict(), name


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".features", ".safetensors"])
def test_everything_known_of_a_row_comes_back(tmp_path: Path, suffix: str) -> None:
    write_table(TABLE, tmp_path / f"a{suffix}")
    found = read_table(tmp_path / f"a{suffix}")
    assert found.vectors.equal(TABLE.vectors)
    assert found.columns.equals(COLUMNS)
    assert found.metadata == TABLE.metadata
    assert found.unplaced == ()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".stream"])
def test_a_column_of_vectors_is_found(tmp_path: Path, kind: str, suffix: str) -> None:
    rows = VECTORS.astype(np.float16).tolist()
    table = pa.table({"id": [1, 2, 3], "emb": pa.array(rows, KINDS[kind])})
    path = tmp_path / f"x{suffix}"
    written(table, path)
    form, files = files_of(path)
    assert inspect(files, form, None, "x").shape == (3, 4)
    found = read_table(path)
    assert found.name == "emb"
    assert found.vectors.tolist() == rows
    wanted = {"half": torch.float16, "large list": torch.float64}
    assert found.vectors.dtype == wanted.get(kind, torch.float32)
    assert found.columns.to_pydict() == {"id": [1, 2, 3]}


def written(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=2)
        return
    opened = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, opened(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)


def test_a_folder_of_datasets_is_read_shard_by_shard(tmp_path: Path) -> None:
    rows = {"emb": VECTORS.tolist(), "label": ["x", "y", "z"]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "set", num_shards=2)
    found = read_table(tmp_path / "set")
    assert np.allclose(found.vectors.numpy(), VECTORS)
    assert found.columns.to_pydict() == {"label": ["x", "y", "z"]}
    assert "huggingface" in found.metadata
    form, files = files_of(tmp_path / "set")
    assert form is Form.DATASETS
    assert read({n: p.read_bytes() for n, p in files.items()}, form, None, "x").vectors.equal(
        found.vectors
    )


def test_the_vectors_are_the_named_or_the_only_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.rand(3, 4), "b": torch.rand(3, 5), "ids": torch.arange(3)}, path)
    with pytest.raises(InputError, match=r"several vectors; name one in `column`: 'a', 'b', 'ids'"):
        read_table(path)
    with pytest.raises(InputError, match="no vectors 'c'"):
        read_table(path, "c")
    found = read_table(path, "b")
    assert found.vectors.shape == (3, 5)
    assert found.columns.to_pydict() == {"ids": [0, 1, 2]}
    with pytest.raises(InputError, match="a would be lost"):
        write_table(found, tmp_path / "y.parquet")
    save_file({"a": torch.rand(3, 4), "ids": torch.arange(3)}, path, metadata={"made by": "us"})
    assert read_table(path).name == "a"
    assert read_table(path).metadata == {"made by": "us"}


def test_a_form_that_would_lose_something_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.npy has no place for file_name, identity, age"):
        write_table(TABLE, tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"'identity' \(string, 1 missing\)"):
        write_table(TABLE, tmp_path / "a.npz")
    maps = FeatureTable(vectors=torch.rand(2, 3, 4, 4))
    with pytest.raises(InputError, match="a vector a row"):
        write_table(maps, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
    write_table(maps, tmp_path / "a.npy")
    assert read_table(tmp_path / "a.npy").vectors.equal(maps.vectors)


def test_arrays_of_any_order_and_byte_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for array in (np.asfortranarray(VECTORS), VECTORS.astype(">f4"), VECTORS[:0], VECTORS[:, ::2]):
        np.save(path, array)
        for source in (path, path.read_bytes()):
            found = read({"features": source}, Form.NPY, None, "x").vectors
            assert found.numpy().tolist() == array.tolist()
            assert found.shape == array.shape


def test_bfloat16_is_widened_where_a_form_lacks_it(tmp_path: Path) -> None:
    vectors = torch.rand(3, 4).bfloat16()
    write_table(FeatureTable(vectors=vectors), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").vectors.equal(vectors.float())


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".npz", ".npy"])
def test_so_are_floats_of_a_byte(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    vectors = torch.rand(3, 4).to(dtype)
    write_table(FeatureTable(vectors=vectors), tmp_path / f"a{suffix}")
    assert read_table(tmp_path / f"a{suffix}").vectors.equal(vectors.float())


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bool, torch.float4_e2m1fn_x2])
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".npz", ".npy"])
def test_what_could_not_be_read_again_is_not_written(
    tmp_path: Path, dtype: torch.dtype, suffix: str
) -> None:
    vectors = torch.ones(3, 4, dtype=torch.complex64).view(torch.uint8).view(dtype)
    with pytest.raises(InputError, match=rf"floats or integers for \{suffix}, got torch\."):
        write_table(FeatureTable(vectors=vectors), tmp_path / f"a{suffix}")
    with pytest.raises(InputError):
        write_table(FeatureTable(vectors=torch.tensor(1.0)), tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_column_of_numbers_that_arrow_lacks_is_not_lost_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    odd = {"f8": torch.rand(3).to(torch.float8_e4m3fn), "c": torch.ones(3, dtype=torch.complex64)}
    save_file({"x": torch.rand(3, 4), "ids": torch.arange(3), **odd}, path)
    found = read_table(path)
    assert found.columns.column_names == ["ids"]
    assert sorted(found.unplaced) == ["c", "f8"]


@pytest.mark.parametrize(
    "array",
    [
        np.ones(3, "c8"),
        np.ones(3, "g"),
        np.array(["2020", "2021", "2022"], "M8[Y]"),
        np.zeros(3, [("a", "i4"), ("b", "f4")]),
    ],
    ids=str,
)
def test_an_array_that_no_column_can_be_does_not_hide_the_vectors(
    tmp_path: Path, array: np.ndarray
) -> None:
    np.savez(tmp_path / "a.npz", features=VECTORS, odd=array, ids=np.arange(3))
    found = read_table(tmp_path / "a.npz")
    assert found.vectors.equal(TABLE.vectors)
    assert (found.columns.column_names, found.unplaced) == (["ids"], ("odd",))


def test_columns_of_any_name_have_a_place_in_npz(tmp_path: Path) -> None:
    """NumPy's own writer has arguments of these names; the last is where metadata are kept."""
    for name in ("file", "args", "kwds", "allow_pickle", "", "a/b", "sfumato"):
        columns = pa.table({name: ["a", "b", "c"]})
        write_table(FeatureTable(vectors=TABLE.vectors, columns=columns), tmp_path / "a.npz")
        found = read_table(tmp_path / "a.npz")
        assert found.columns.to_pydict() == {name: ["a", "b", "c"]}
        vectors = FeatureTable(vectors=TABLE.vectors, name=name)
        write_table(vectors, tmp_path / "b.npz")
        assert read_table(tmp_path / "b.npz").vectors.equal(TABLE.vectors)
    known = {"backbone": "x"}
    for table in (
        FeatureTable(vectors=TABLE.vectors, columns=columns, metadata=known),
        FeatureTable(vectors=TABLE.vectors, name="sfumato", metadata=known),
    ):
        with pytest.raises(InputError, match="'sfumato', which is where it keeps metadata"):
            write_table(table, tmp_path / "c.npz")
    assert not (tmp_path / "c.npz").exists()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 1, 2], pa.timestamp("s", "Europe/Berlin")),
        pa.array([datetime.time(1)] * 3),
        pa.array(["a\0", "b", "c"]),
    ],
    ids=["a zone", "times of day", "a last character that NumPy drops"],
)
def test_a_column_that_an_array_would_change_is_refused(tmp_path: Path, column: pa.Array) -> None:
    table = FeatureTable(vectors=TABLE.vectors, columns=pa.table({"when": column}))
    for refused in (write_table, check_table):
        with pytest.raises(InputError, match=r"column 'when' .* has no place in \.npz"):
            refused(table, tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [KINDS["list"], KINDS["fixed"]], ids=str)
@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_batches_without_rows_say_nothing_of_the_others(
    tmp_path: Path, kind: pa.DataType, opened: Any
) -> None:
    schema = pa.schema([("emb", kind), ("label", pa.string())])
    none = pa.record_batch([pa.array([], kind), pa.array([], pa.string())], schema)
    some = pa.record_batch([pa.array(VECTORS.tolist(), kind), pa.array(["a", "b", "c"])], schema)
    for batches in ([none, some], [some, none, some], [none]):
        with pa.OSFile(str(tmp_path / "a"), "wb") as sink, opened(sink, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
        found = read_table(tmp_path / "a")
        count = 3 * batches.count(some)
        assert found.columns.column("label").to_pylist() == ["a", "b", "c"] * batches.count(some)
        assert len(found) == count
        assert found.vectors.equal(TABLE.vectors.repeat(batches.count(some), 1)) or not count
        form, files = files_of(tmp_path / "a")
        assert inspect(files, form, None, "x").shape == tuple(found.vectors.shape)


def test_a_column_cannot_have_the_vectors_name() -> None:
    with pytest.raises(FormatError, match="every column once, got 'features' twice"):
        FeatureTable(vectors=TABLE.vectors, columns=pa.table({"features": [1, 2, 3]}))


def npz(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return out.getvalue()


def npy(array: np.ndarray, *, shape: str | None = None) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    content = out.getvalue()
    return content.replace(b"(3, 4), }", f"({shape}), }}".encode()) if shape else content


class Trap:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (Path("trapped"),))


HOSTILE = {
    "pickle": (npy(np.array([Trap()], object)), "pickles"),
    "pickle in npz": (npz(features=npy(np.array([[Trap()]], object))), "pickles"),
    "bare pickle": (pickle.dumps(Trap()), "features file"),
    "more than there is": (npy(VECTORS, shape="3, 9"), "does not agree with its length"),
    "more than memory": (npy(VECTORS, shape="9**9, 9**9"), "NumPy"),
    "a giant": (npy(VECTORS, shape="900000000000, 4"), "at most"),
    "text": (npy(np.array(["a", "b"])), "floats or integers"),
    "no member": (npz(), "vectors of numbers, got none"),
    "cut zip": (npz(features=npy(VECTORS))[:80], "NumPy"),
    "cut parquet": (b"PAR1" + bytes(30), "Parquet"),
    "cut arrow": (b"ARROW1" + bytes(30), "Arrow"),
    "cut stream": (b"\xff\xff\xff\xff" + bytes(2), "Arrow"),
    "empty": (b"", "features file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_and_run_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    path = tmp_path / "x"
    path.write_bytes(content)
    for call in (read_table, lambda at: inspect(files_of(at)[1], files_of(at)[0], None, "x")):
        with pytest.raises(FormatError, match=message):
            call(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0], [3.0]], "expected 2 numbers in every row of 'emb', got 1 in row 1"),
        ([[1.0], None], "lacks values"),
        ([[1.0], [None]], "lacks values"),
    ],
)
def test_rows_that_are_no_vectors_are_named(
    rows: list[object], message: str, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"emb": pa.array(rows, pa.list_(pa.float32()))}), tmp_path / "x")
    form, files = files_of(tmp_path / "x")
    for call in (read, inspect):
        with pytest.raises(FormatError, match=message):
            call(files, form, None, "x")


def test_a_folder_leads_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"state\.json"):
        read_table(tmp_path)
    (tmp_path / "dataset_dict.json").write_text("{}")
    with pytest.raises(InputError, match="several splits"):
        read_table(tmp_path)
    (tmp_path / "dataset_dict.json").unlink()
    for name in ("../secret", "/etc/passwd", "a\\b", ".x", ""):
        (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
        with pytest.raises(FormatError, match="its own folder"):
            read_table(tmp_path)
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "a.arrow").symlink_to(tmp_path / "b")
    with pytest.raises(FormatError, match="missing or a link"):
        read_table(tmp_path)


def test_what_would_not_fit_in_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(TABLE, tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", features=VECTORS)
    for module in (arrowfile, numpyfile):
        monkeypatch.setattr(module, "LIMIT_BYTES", 40)
    for name in ("a.parquet", "a.npz"):
        with pytest.raises(FormatError, match="at most 40 bytes"):
            read_table(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the features"):
        forms_.read_table(tmp_path / "none")
