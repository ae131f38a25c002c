"""Files of features are sealed and opened whole, in constant memory, or not at all."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from sfumato.cipher import featurefile
from sfumato.cipher.envelope import open_envelope, seal
from sfumato.cipher.featurefile import is_sealed, open_file, open_table, seal_file
from sfumato.cipher.header import DTYPES, Suite
from sfumato.cipher.keys import EnvelopeKey, KeyRing
from sfumato.cipher.packing import Chunks, Packed, unpack
from sfumato.errors import EnvelopeError, FormatError, InputError, KeyRingError
from sfumato.features.tables.forms import Form, read_table, write_table
from sfumato.features.tables.table import FeatureTable

RING = KeyRing.create(EnvelopeKey(b"k" * 32))
VECTORS = torch.arange(60).reshape(3, 20).float()
TABLE = FeatureTable(
    vectors=VECTORS,
    columns=pa.table({"file_name": ["a", "b", "c"], "mood": ["x", None, "y"]}),
    metadata={"backbone": "ab" * 32},
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    return tmp_path / "a.features", tmp_path / "a.envelope", tmp_path / "b.features"


def put(path: Path, vectors: torch.Tensor) -> None:
    write_table(FeatureTable(vectors=vectors), path)


def stranger(folder: Path, form: str) -> Path:
    """Return features as somebody else wrote them, in each form."""
    path = folder / f"theirs.{form}"
    whole = pa.table({"id": [7, 8, 9], "emb": VECTORS.tolist()}).replace_schema_metadata(
        {"pandas": "{}", b"\xff": b"\xfe"}
    )
    if form == "npy":
        np.save(path, np.asfortranarray(VECTORS.numpy()))
    elif form == "npz":
        np.savez_compressed(path, emb=VECTORS.numpy(), names=np.array(["a", "b", "c"]))
    elif form == "parquet":
        pq.write_table(whole, path, compression="zstd")
    elif form == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as file:
            file.write_table(whole)
    elif form == "safetensors":
        save_file({"emb": VECTORS, "extra": torch.rand(2, 2, 2)}, path, metadata={"who": "they"})
    else:
        rows = {"emb": VECTORS.tolist(), "label": ["x", "y", "z"]}
        datasets.Dataset.from_dict(rows).save_to_disk(path, num_shards=2)
    return path


@pytest.mark.parametrize("form", [form.value for form in Form])
@pytest.mark.parametrize("suite", [Suite.AES_256_GCM, Suite.CHACHA20_POLY1305_SHUFFLEBITS])
def test_what_went_in_comes_out_byte_for_byte(tmp_path: Path, form: str, suite: Suite) -> None:
    source, sealed, opened = stranger(tmp_path, form), tmp_path / "x.sealed", tmp_path / "opened"
    packed = seal_file(source, sealed, RING.primary, suite=suite)
    assert (packed.form.value, packed.shape) == (form, (3, 20))
    assert is_sealed(sealed)
    assert not is_sealed(source)
    assert open_file(sealed, opened, RING)[1] == (3, 20)
    for was in [source] if source.is_file() else sorted(source.iterdir()):
        now = opened if source.is_file() else opened / was.name
        assert now.read_bytes() == was.read_bytes()
        assert stat.S_IMODE(now.stat().st_mode) == 0o600
    assert open_table(sealed, RING).vectors.equal(VECTORS)
    if form == "datasets":
        assert datasets.load_from_disk(str(opened))["label"] == ["x", "y", "z"]
        open_file(sealed, opened, RING)  # over itself


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".features"])
def test_a_suffix_names_another_form(tmp_path: Path, suffix: str) -> None:
    write_table(TABLE, tmp_path / "a.parquet")
    sealed, opened = tmp_path / "a.sealed", tmp_path / f"b{suffix}"
    seal_file(tmp_path / "a.parquet", sealed, RING.primary)
    open_file(sealed, opened, RING)
    found = read_table(opened)
    assert found.vectors.equal(VECTORS)
    assert found.columns.equals(TABLE.columns)
    assert found.metadata == TABLE.metadata
    with pytest.raises(InputError, match="has no place for file_name"):
        open_file(sealed, tmp_path / "b.npy", RING)
    assert not (tmp_path / "b.npy").exists()


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_a_lone_tensor_in_an_envelope_becomes_a_features_file(
    files: tuple[Path, Path, Path], dtype: torch.dtype
) -> None:
    _, envelope, opened = files
    for tensor in (torch.arange(60).reshape(3, 20).to(dtype), torch.empty(0, 4).to(dtype)):
        envelope.write_bytes(seal(tensor, RING.primary))
        assert open_file(envelope, opened, RING)[1] == tuple(tensor.shape)
        assert load_file(opened)["features"].equal(tensor)
    short = torch.arange(3).to(torch.uint8)
    envelope.write_bytes(seal(short, RING.primary))
    assert open_table(envelope, RING).vectors.equal(short)


@pytest.mark.parametrize("fault", ["cut", "appended", "last bit", "empty"])
@pytest.mark.parametrize("form", ["npy", "datasets"])
def test_a_damaged_envelope_leaves_no_file(tmp_path: Path, fault: str, form: str) -> None:
    sealed, opened = tmp_path / "a.sealed", tmp_path / "opened"
    # Three chunks: the first two are authentic when the fault is found in the last.
    if form == "npy":
        np.save(tmp_path / "a", np.zeros((3 << 16, 4), np.float32))
    else:
        rows = {"emb": np.zeros((3 << 16, 4), np.float32)}
        datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "a.npy", num_shards=2)
    seal_file(tmp_path / "a.npy", sealed, RING.primary)
    content = sealed.read_bytes()
    faults = {
        "cut": content[:-1],
        "appended": content + b"\0",
        "last bit": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
    }
    sealed.write_bytes(faults[fault])
    with pytest.raises(EnvelopeError):
        open_file(sealed, opened, RING)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.sealed"]


def test_wrong_and_retired_keys_and_missing_files(files: tuple[Path, Path, Path]) -> None:
    plain, envelope, opened = files
    put(plain, torch.rand(4))
    seal_file(plain, envelope, RING.primary)
    with pytest.raises(EnvelopeError):
        open_file(envelope, opened, KeyRing.create())
    rotated = RING.add()
    rotated = rotated.promote(rotated.entries[1].id).retire(RING.primary.id)
    with pytest.raises(KeyRingError, match="was retired"):
        open_file(envelope, opened, rotated)
    with pytest.raises(InputError, match="cannot read the envelope"):
        open_file(plain.with_name("none"), opened, RING)
    with pytest.raises(EnvelopeError):
        open_file(plain, opened, RING)
    assert not opened.exists()


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 100])
def test_what_is_no_features_file_is_refused(
    files: tuple[Path, Path, Path], content: bytes
) -> None:
    plain, envelope, _ = files
    plain.write_bytes(content)
    with pytest.raises(FormatError, match="expected"):
        seal_file(plain, envelope, RING.primary)
    plain.unlink()
    with pytest.raises(InputError, match="cannot read"):
        seal_file(plain, envelope, RING.primary)
    assert not envelope.exists()


def test_a_file_that_shrinks_while_it_is_sealed_is_named(
    files: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, envelope, _ = files
    put(plain, VECTORS)
    packed = featurefile.Packed

    def shrinking(*arguments: object) -> Packed:
        plain.write_bytes(plain.read_bytes()[:-1])
        return packed(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(featurefile, "Packed", shrinking)
    with pytest.raises(InputError, match="became shorter"):
        seal_file(plain, envelope, RING.primary)
    assert not envelope.exists()


def frozen() -> list[dict[str, str]]:
    path = Path(__file__).parent / "vectors" / "sealed-files.json"
    return list(json.loads(path.read_text()))


def test_no_list_is_sealed_that_no_reader_takes(tmp_path: Path) -> None:
    names = [f"data-{number:05d}-of-21000.arrow" for number in range(21_000)]
    folder, sealed = tmp_path / "features", tmp_path / "a.envelope"
    folder.mkdir()
    (folder / names[0]).touch()
    with pa.OSFile(str(folder / names[0]), "wb") as sink:
        table = pa.table({"features": VECTORS.tolist()})
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    for name in names[1:]:
        (folder / name).hardlink_to(folder / names[0])
    listed = {"_data_files": [{"filename": name} for name in names]}
    (folder / "state.json").write_text(json.dumps(listed, separators=(",", ":")))
    with pytest.raises(InputError, match="got 21,001 that take"):
        seal_file(folder, sealed, RING.primary)
    assert not sealed.exists()


def test_the_longest_list_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = Packed(Form.NPY, "features", (3, 20), {"features": 0})
    content = packed.pack()
    monkeypatch.setattr("sfumato.cipher.packing._LIMIT_BYTES", len(content) - 12)
    chunks = Chunks(iter([torch.frombuffer(bytearray(packed.pack()[8:]), dtype=torch.uint8)]))
    assert unpack(chunks) == packed
    monkeypatch.setattr("sfumato.cipher.packing._LIMIT_BYTES", len(content) - 13)
    with pytest.raises(InputError, match="got 1 that take"):
        packed.pack()


@pytest.mark.parametrize("vector", frozen(), ids=lambda v: v["name"])
def test_the_frozen_files_are_opened_or_refused(vector: dict[str, str], tmp_path: Path) -> None:
    sealed, opened = tmp_path / "a.sealed", tmp_path / "opened"
    sealed.write_bytes(bytes.fromhex(vector["envelope"]))
    keys = [EnvelopeKey(bytes.fromhex(vector["key"]))]
    if "error" in vector:
        with pytest.raises(FormatError, match=vector["error"]):
            open_file(sealed, opened, keys)
        assert not opened.exists()
        return
    open_file(sealed, opened, keys)
    for name, content in json.loads(vector["files"]).items():
        path = opened if vector["form"] != "datasets" else opened / name
        assert path.read_bytes().hex() == content
    plain = open_envelope(sealed.read_bytes(), keys).numpy().tobytes()
    assert plain.hex() == vector["plain"]
