"""Every reader of bytes from outside is named here, and fuzzed here or in its own test.

A module that parses bytes and is in neither table fails a test: add the new reader to `READERS`
with a sound file of its kind, or to `ELSEWHERE` with the test that fuzzes it.
"""

from __future__ import annotations

import ast
import gzip
import json
import re
import struct
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.cipher.envelope import seal
from sfumato.cipher.header import read_header
from sfumato.cipher.keys import EnvelopeKey
from sfumato.cipher.packing import MAGIC, Chunks, Packed, unpack
from sfumato.data.folder import offered
from sfumato.data.sets.mnist import read_idx
from sfumato.data.sets.packed import unpacked
from sfumato.data.sets.pendigits import read_unipen
from sfumato.errors import SfumatoError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.tables.forms import Form, read_table, write_table
from sfumato.features.tables.table import FeatureTable
from sfumato.files import map_tensors, pack_tensors, read_json, read_tensors
from sfumato.filter.bank import file as bankfile
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment, open_enrollment, seal_enrollment
from sfumato.filter.private_pictures import owner_key
from sfumato.photo.boxes import read_boxes
from sfumato.protect.pretrained import open_pretrained
from sfumato.protect.release.maps import FILE, open_maps

PACKAGE = Path(__file__).parents[1] / "src" / "sfumato"

Read = Callable[[Path], object]
"""Reads the file at a path; a `SfumatoError` is the only way in which it may fail."""


@dataclass(frozen=True)
class Reader:
    """A reader: the module it is in, a sound file, and how it is called."""

    module: str
    sound: Callable[[], bytes]
    read: Read
    file: str = "file"


def _enrollment(copies: bool = True) -> Enrollment:
    return Enrollment(
        encoder=torch.rand(2, 3),
        encoder_bias=torch.rand(2),
        decoder=torch.rand(3, 2),
        decoder_bias=torch.rand(3),
        code_mean=torch.rand(2),
        code_covariance=torch.eye(2),
        mu=0.5,
        sigma=0.1,
        calibration="held-out",
        count=9,
        backbone="ab" * 32,
        copies=torch.arange(64, dtype=torch.uint8).view(2, 32) if copies else None,
    )


def _bank() -> bytes:
    bank = Bank.empty(3, 2, backbone="ab" * 32)
    bank.add("one", _enrollment())
    with tempfile.TemporaryDirectory() as folder:
        bank.save(Path(folder) / "bank")
        return (Path(folder) / "bank").read_bytes()


def _index() -> bytes:
    from sfumato.filter.exchange import ClassIndex, enrollment_signal

    signed = seal_enrollment(_enrollment(), Ed25519PrivateKey.from_private_bytes(bytes(32)))
    buffer = BytesIO()
    ClassIndex.build([(enrollment_signal(signed), {"id": 1})]).serialize(buffer)
    return buffer.getvalue()


def _read_index(path: Path) -> object:
    from sfumato.filter.exchange import ClassIndex

    return ClassIndex.deserialize(BytesIO(path.read_bytes()))


def _maps() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"map": pa.array([[1, 2]], pa.list_(pa.int8(), 2))})
    about = {"format": 1, "stored": "int8", "shape": [1, 1, 2], "name": "x", "obfuscator": "y"}
    table = table.replace_schema_metadata({b"sfumato.maps": json.dumps(about).encode()})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def _features(suffix: str) -> bytes:
    columns = pa.table({"file_name": ["a", "b"]} if suffix != ".npy" else {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"x{suffix}"
        write_table(FeatureTable(vectors=torch.rand(2, 3), columns=columns), path)
        return path.read_bytes()


def _pem() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _header(path: Path) -> object:
    with path.open("rb") as stream:
        return read_header(stream.read)


def _unpacked(path: Path) -> object:
    content = bytearray(path.read_bytes())
    return unpack(Chunks(iter([torch.frombuffer(content, dtype=torch.uint8)] if content else [])))


KEY = EnvelopeKey(bytes(range(32)))
PACKED = Packed(Form.NPY, "features", (2, 3), {"features": 5})
CONFIG_NAME = "pretrained config"
CONFIG = b'{"kind": "obfuscator", "format": 1, "channels": 1, "height": 32, "width": 32}'
UNIPEN = b'.SEGMENT DIGIT 0 ? "3"\n.COMMENT 3 1\n.PEN_DOWN\n 1 2\n 3 4\n.PEN_UP\n.DT 100\n'

READERS: Mapping[str, Reader] = {
    "table of boxes": Reader(
        "photo/boxes.py",
        lambda: (
            b"file_name,left,top,right,bottom,score,protect,track,time\n"
            b"a,1,2,3.5,4,0.5,yes,,\nb,,,,,,,,\nc.mp4,1,2,3,4,1,yes,7,1:02.5\n"
        ),
        read_boxes,
    ),
    "enrollment with PDQ hashes": Reader(
        "filter/enrollment.py",
        lambda: seal_enrollment(_enrollment(), Ed25519PrivateKey.from_private_bytes(bytes(32))),
        lambda path: open_enrollment(path.read_bytes()),
    ),
    "index of a signal type": Reader("filter/exchange.py", _index, _read_index),
    "bank file": Reader("filter/bank/file.py", _bank, bankfile.read),
    "backbone file": Reader(
        "features/stored.py",
        lambda: open_backbone("raw:1x2x2").to_bytes(),
        lambda path: Backbone.from_bytes(path.read_bytes()),
    ),
    "tensors": Reader(
        "files.py",
        lambda: pack_tensors({"a": torch.rand(2)}, {"b": "c"}),
        lambda path: (read_tensors(path, limit_bytes=1 << 16), map_tensors(path)),
    ),
    "JSON": Reader("files.py", lambda: CONFIG, lambda path: read_json(path, limit_bytes=1 << 16)),
    "envelope's header": Reader("cipher/header.py", lambda: seal(torch.rand(3), KEY), _header),
    **{
        f"features, {suffix}": Reader(
            f"features/tables/{module}.py", partial(_features, suffix), read_table
        )
        for module, suffix in (
            ("tensorfile", ".features"),
            ("numpyfile", ".npy"),
            ("numpyfile", ".npz"),
            ("arrowfile", ".parquet"),
            ("arrowfile", ".arrow"),
        )
    },
    "sealed files": Reader("cipher/packing.py", lambda: PACKED.pack()[len(MAGIC) :], _unpacked),
    "maps": Reader("protect/release/maps.py", _maps, lambda path: open_maps(path.parent), FILE),
    CONFIG_NAME: Reader(
        "protect/pretrained.py",
        lambda: CONFIG,
        lambda path: open_pretrained(path.parent),
        "config.json",
    ),
    "labels": Reader(
        "data/metadata.py",
        lambda: b"file_name,mood,writer\na.png,happy,3\nb/c.png,,4\n",
        lambda path: offered(path.parent),
        "metadata.csv",
    ),
    "labels by line": Reader(
        "data/metadata.py",
        lambda: b'{"file_name": "a.png", "mood": "happy"}\n{"file_name": "b.png", "writer": 4}\n',
        lambda path: offered(path.parent),
        "metadata.jsonl",
    ),
    "IDX": Reader(
        "data/sets/mnist.py", lambda: struct.pack(">BBBBII", 0, 0, 8, 2, 2, 3) + b"abcdef", read_idx
    ),
    "packed file": Reader(
        "data/sets/packed.py",
        lambda: gzip.compress(b"abcdef", mtime=0),
        lambda path: unpacked(path, 1 << 16),
        "file.gz",
    ),
    "pen recordings": Reader(
        "data/sets/pendigits.py", lambda: UNIPEN, lambda path: read_unipen(path, writers=44)
    ),
    "owner's key": Reader("filter/private_pictures.py", _pem, owner_key),
}

ELSEWHERE: Mapping[str, str] = {
    "data/decoding/decode.py": "tests/data/decoding/test_decode.py",
    "data/decoding/formats.py": "tests/data/decoding/test_decode.py",
    "data/decoding/bmpfile.py": "tests/data/decoding/test_decode.py",
    "data/decoding/giffile.py": "tests/data/decoding/test_decode.py",
    "data/decoding/isofile.py": "tests/data/decoding/test_decode.py",
    "data/decoding/jpegfile.py": "tests/data/decoding/test_decode.py",
    "data/decoding/orientation.py": "tests/data/decoding/test_decode.py",
    "data/decoding/pngfile.py": "tests/data/decoding/test_decode.py",
    "cipher/envelope.py": "tests/cipher/test_envelope.py",
    "cipher/keyfile.py": "tests/cipher/test_keys.py",
    "cipher/request.py": "tests/cipher/test_request.py",
    "serve/pictures/seenbytes.py": "tests/serve/pictures/test_seenbytes.py",
}
"""Modules with a fuzz test of their own."""

EXAMPLES: Mapping[str, str] = {
    "nets/faceresnet.py": "a published file, read once its digest is the published one",
    "photo/find/centerface.py": "a published file, read once its digest is the published one",
    "features/facenet.py": "our own digests",
    "nets/vggface.py": "a published file of a paper's evaluation, through `files.read_tensors`",
    "protect/release/classifier.py": "through `files.read_tensors`",
    "features/onnx_net.py": "protobuf's own parser; every exception of it is caught",
    "features/timm_net.py": "through `files.read_tensors`",
    "audit/report/report.py": "through `files.read_json`",
    "audit/measure/cells.py": "through `files.read_json`",
    "cli/configfile.py": "a person's own command line, in TOML",
    "serve/tls.py": "a platform's own certificate, by cryptography's own parser",
    "data/sets/cifar.py": "one NumPy view of bytes whose number was checked; tarfile's own errors",
    "data/sets/yale.py": "an archive of pictures; each is decoded by `data/decoding/decode.py`",
    "data/sets/lfw.py": "an archive of pictures; each is decoded by `data/decoding/decode.py`",
}
"""Modules whose hostile files are lists of examples in their own tests, and why that is enough."""

OWN: Mapping[str, str] = {
    "cipher/featurefile.py": "a tensor whose envelope was authentic",
    "fit/checkpoint.py": "a run's own state",
    "protect/release/parts.py": "a release's own progress",
    "protect/release/noise.py": "a digest made a line before",
    "data/leftout.py": "a list that the release itself has written",
    "features/cache.py": "our cache",
    "data/cache.py": "our cache",
    "data/sets/rasterise.py": "our own process at the other end of a pipe",
    "protect/encrypted.py": "a ciphertext made a line before",
    "attack/on_cipher/bitstatistics.py": "bytes made by the attack itself",
    "serve/sharded/shard.py": "a hash that our own service computed",
    "serve/database/remains.py": "hashes of bytes, which may be any",
    "photo/find/kept.py": "places of faces in the folder of an interrupted audit",
    "photo/progress.py": "notes in the folder of an interrupted release, of which lines may be cut",
    "protect/release/map_noise.py": "the bits of a hash computed a line before",
}
"""Modules that read back only what this machine wrote."""

_PARSERS = re.compile(
    r"^(unpack_tensors|read_tensors|map_tensors|read_json|json\.loads?|tomllib\.loads?"
    r"|safetensors\.safe_open|pa\.ipc\.open_\w+|np\.(load|frombuffer)|torch\.frombuffer"
    r"|struct\.unpack\w*|csv\.(reader|DictReader)|onnx\.load\w*|zipfile\.ZipFile|tarfile\.open"
    r"|gzip\.\w+|Image\.open|load_pem_\w+|\w+\.unpack_from|pickle\.\w+|torch\.load|yaml\.\w+)$"
)


def parsing(path: Path) -> bool:
    """Whether a module calls anything that takes bytes apart."""
    calls = (
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    )
    return any(_PARSERS.match(ast.unparse(call)) for call in calls)


def test_every_module_that_parses_bytes_is_named_here() -> None:
    found = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if parsing(p)}
    fuzzed = {reader.module for reader in READERS.values()}
    named = fuzzed | ELSEWHERE.keys() | EXAMPLES.keys() | OWN.keys()
    assert sorted(found - named) == [], "fuzz these readers, see the head of this file"
    assert sorted(path for path in named if not (PACKAGE / path).is_file()) == []


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_what_is_fuzzed_elsewhere_is(test: str) -> None:
    assert "@given" in (PACKAGE.parents[1] / test).read_text()


@cache
def sound(name: str) -> bytes:
    """Make the file once, else an example that fails could not be run again as it was."""
    return READERS[name].sound()


def attempt(name: str, data: st.DataObject) -> None:
    """Read a sound file that was edited, cut, lengthened or replaced."""
    reader, content = READERS[name], bytearray(sound(name))
    if data.draw(st.booleans(), "foreign"):
        content = bytearray(data.draw(st.binary(max_size=200), "bytes"))
    else:
        for _ in range(data.draw(st.integers(0, 6), "edits")):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
        cut = data.draw(st.none() | st.integers(0, len(content)), "cut")
        content = content[:cut] + data.draw(st.binary(max_size=20), "tail")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.file
        path.write_bytes(content)
        with suppress(SfumatoError):
            reader.read(path)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_bytes_are_read_or_refused_by_name(name: str, data: st.DataObject) -> None:
    attempt(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_longer_run_of_hostile_bytes(name: str, data: st.DataObject) -> None:
    attempt(name, data)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ("maps", CONFIG_NAME)])
def test_the_sound_file_is_read(name: str, tmp_path: Path) -> None:
    """Else only the first check would be fuzzed; maps and configs have vectors of their own."""
    reader = READERS[name]
    path = tmp_path / reader.file
    path.write_bytes(sound(name))
    assert reader.read(path) is not None
