"""`sfumato features` on real digits: extract, seal, open, rotate keys, and every clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from sfumato.cli import app
from sfumato.data.decoding.decode import encode_png
from sfumato.errors import (
    ConfigError,
    EnvelopeError,
    FormatError,
    InputError,
    KeyRingError,
    SfumatoError,
)
from sfumato.features.tables.forms import read_table, write_table
from sfumato.features.tables.table import FeatureTable

ENVIRONMENT = {"SFUMATO_PASSPHRASE": "pass phrase"}


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfumato.cipher.keyfile.lock_ring.__kwdefaults__", {"log2_n": 4})


def features(*arguments: object, passphrase: str = "pass phrase") -> dict[str, Any]:
    command = ["features", *map(str, arguments), "--json"]
    result = CliRunner().invoke(app, command, env={"SFUMATO_PASSPHRASE": passphrase})
    if isinstance(result.exception, SfumatoError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout.splitlines()[-1]))


def test_extract_seal_open_and_rotate(tmp_path: Path) -> None:
    plain, sealed, opened = (tmp_path / name for name in ("a.features", "a.sealed", "b.features"))
    ring = tmp_path / "ring.keys"
    extracted = features("extract", "digits", "--backbone", "raw:1x8x8", "--count", 20, "-o", plain)
    assert extracted["shape"] == [20, 64]
    (first,) = features("keys", "create", ring)["keys"]
    result = features("seal", plain, "-o", sealed, "--keys", ring, "--shufflebits")
    assert result["key"] == first
    features("open", sealed, "-o", opened, "--keys", ring)
    assert load_file(opened)["features"].equal(load_file(plain)["features"])

    states = features("keys", "add", ring)["keys"]
    second = next(key for key, state in states.items() if state == "opening")
    assert features("keys", "promote", ring, second)["keys"][second] == "primary"
    features("open", sealed, "-o", opened, "--keys", ring)
    assert features("keys", "retire", ring, first)["keys"][first] == "retired"
    assert features("keys", "list", ring)["keys"] == {first: "retired", second: "primary"}
    opened.unlink()
    with pytest.raises(KeyRingError, match="was retired"):
        features("open", sealed, "-o", opened, "--keys", ring)
    assert not opened.exists()


def test_nothing_is_written_over_the_ring_or_what_is_asked_about(tmp_path: Path) -> None:
    plain, ring, linked = (tmp_path / name for name in ("a.features", "ring.keys", "linked"))
    features("extract", "digits", "--backbone", "raw:1x8x8", "--count", 3, "-o", plain)
    features("keys", "create", ring)
    linked.symlink_to(ring)
    before = ring.read_bytes()
    for out in (ring, tmp_path / "." / ring.name, linked):
        for command in (("seal", plain), ("open", plain)):
            with pytest.raises(InputError, match="it is read here, and would be lost"):
                features(*command, "-o", out, "--keys", ring)
    assert ring.read_bytes() == before
    model, picture = tmp_path / "net.onnx", tmp_path / "a.png"
    for each in (model, picture):
        each.write_bytes(b"kept")
    with pytest.raises(InputError, match="would be lost"):
        features("extract", "digits", "--backbone", f"onnx:{model}", "-o", model)
    with pytest.raises(InputError, match="would be lost"):
        features("fetch", "http://127.0.0.1:9", picture, "-o", picture)
    assert model.read_bytes() == picture.read_bytes() == b"kept"


def test_names_and_labels_survive_and_are_found(tmp_path: Path) -> None:
    plain, sealed, ring = tmp_path / "a.parquet", tmp_path / "a.sealed", tmp_path / "ring.keys"
    extracted = features("extract", "digits", "--backbone", "raw:1x8x8", "--count", 20, "-o", plain)
    assert extracted["columns"] == ["position", "digit"]
    known = pq.read_table(plain)
    assert known.schema.metadata[b"backbone"].decode() == extracted["backbone"]
    features("keys", "create", ring)
    assert features("seal", plain, "-o", sealed, "--keys", ring)["form"] == "parquet"
    features("open", sealed, "-o", tmp_path / "b.parquet", "--keys", ring)
    assert (tmp_path / "b.parquet").read_bytes() == plain.read_bytes()
    with pytest.raises(ConfigError, match="`keys`"):
        features("search", sealed, plain)
    found = features("search", sealed, plain, "--keys", ring, "--count", 2)
    assert len(found["queries"]) == 20
    for row, query in enumerate(found["queries"]):
        assert query["hits"][0]["row"] == row
        assert query["hits"][0]["similarity"] == pytest.approx(1, abs=1e-5)
        assert query["columns"]["digit"] == query["hits"][0]["columns"]["digit"]
    told = CliRunner().invoke(app, ["features", "search", str(plain), str(plain), "--metric", "l2"])
    assert "query 0 position=" in told.stdout
    assert "  0.0000  row 0 position=" in told.stdout


@pytest.mark.parametrize(
    ("suffix", "message"), [(".npy", "no place for file_name, who"), (".npz", "'who'")]
)
def test_a_form_without_a_place_is_refused_before_the_work(
    suffix: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "album").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "album" / name).write_bytes(encode_png(torch.zeros(1, 8, 8).byte()))
    (tmp_path / "album/metadata.csv").write_text("file_name,who\na.png,ann\nb.png,\n")
    monkeypatch.setattr("sfumato.features.picture.features_in", None)
    with pytest.raises(InputError, match=message):
        features(
            "extract", tmp_path / "album", "--backbone", "raw:1x8x8", "-o", tmp_path / f"a{suffix}"
        )


def test_a_folder_whose_name_is_no_text_is_a_label(tmp_path: Path) -> None:
    folder = tmp_path / "album" / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system takes no such name")
    (folder / "a.png").write_bytes(encode_png(torch.zeros(1, 8, 8).byte()))
    for suffix in (".parquet", ".npz", ".features"):
        out = tmp_path / f"a{suffix}"
        features("extract", tmp_path / "album", "--backbone", "raw:1x8x8", "-o", out)
        assert read_table(out).columns.to_pydict() == {
            "file_name": ["caf\\udce9/a.png"],
            "class": ["caf\\udce9"],
        }


def test_what_others_wrote_neither_moves_the_terminal_nor_breaks_the_json(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    path = tmp_path / "a.parquet"
    columns = pa.table({"file_name": ["a\n\x1b[2Jb.png"], "age": [float("nan")]})
    write_table(FeatureTable(vectors=torch.rand(1, 4), columns=columns), path)
    told = CliRunner().invoke(app, ["features", "search", str(path), str(path)], color=True)
    assert "file_name=a\\n\\x1b[2Jb.png" in told.stdout
    assert "\x1b" not in told.stdout
    command = ["features", "search", str(path), str(path), "--json"]
    line = CliRunner().invoke(app, command).stdout.splitlines()[-1]

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    found = json.loads(line, parse_constant=refuse)
    assert found["queries"][0]["columns"]["age"] is None


def test_errors_are_clear_and_leave_nothing(tmp_path: Path) -> None:
    ring, other = tmp_path / "ring.keys", tmp_path / "other.keys"
    plain, sealed, out = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    features("extract", "digits", "--backbone", "raw:1x8x8", "--count", 3, "-o", plain)
    features("keys", "create", ring)
    features("keys", "create", other)
    features("seal", plain, "-o", sealed, "--keys", ring)
    with pytest.raises(KeyRingError, match="never overwritten"):
        features("keys", "create", ring)
    with pytest.raises(KeyRingError, match="wrong passphrase"):
        features("keys", "list", ring, passphrase="another")
    with pytest.raises(KeyRingError, match="hexadecimal"):
        features("keys", "retire", ring, "primary")
    with pytest.raises(EnvelopeError):
        features("open", sealed, "-o", out, "--keys", other)
    with pytest.raises(FormatError, match="features file"):
        features("seal", sealed, "-o", out, "--keys", ring)
    assert not out.exists()
