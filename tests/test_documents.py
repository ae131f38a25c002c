"""JSON inside sound files, with one value replaced by what no writer of ours puts there.

Random bytes (`test_readers.py`) rarely stay JSON; these always are. A read that succeeds is fine,
a `SfumatoError` too; everything else is a bug, and so is memory that the file's size does not pay.
"""

from __future__ import annotations

import copy
import json
import resource
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfumato.audit.report.report import read_report
from sfumato.errors import SfumatoError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.files import read_tensors, write_tensors
from sfumato.filter.bank import file as bankfile
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.pretrained import CONFIG, WEIGHTS, PretrainedProtector, open_pretrained
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.release.classifier import MapClassifier, open_map_classifier
from sfumato.protect.release.maps import FILE, about, open_maps
from sfumato.protect.san.model import SemiAdversarial
from tests.audit.findings import cell, report
from tests.protect.standing import STANDING
from tests.test_readers import sound

Json = Any
_LIMIT = 1 << 20
_SPARE_BYTES = 8 << 30
"""More than any sound file here needs, less than what a hostile one may ask for."""


@dataclass(frozen=True)
class Kind:
    """A file with JSON in it: the JSON, how a changed one is put in its place, how it is read."""

    document: Callable[[], Json]
    write: Callable[[Path, Json], None]
    read: Callable[[Path], object]


def _header(content: Callable[[], bytes], key: str, read: Callable[[Path], object]) -> Kind:
    """Return a kind whose JSON is in a header of a tensors file."""

    @cache
    def parts() -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_bytes(content())
            return read_tensors(path, limit_bytes=_LIMIT)

    def write(path: Path, document: Json) -> None:
        tensors, header = parts()
        write_tensors(path, tensors, {**header, key: json.dumps(document)})

    return Kind(lambda: json.loads(parts()[1][key]), write, read)


def _saved(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def _map_classifier() -> bytes:
    maker = about(_obfuscator(), {"mood": ("dark", "light")})
    return _saved(MapClassifier(maker, "mood", ("dark", "light")).save)


def _maps_document() -> Json:
    metadata = pa.ipc.open_stream(sound("maps")).schema.metadata
    return (
        json.loads(metadata[b"sfumato.maps"])
        | {"name": "x", "step": [1.0], "cut": 14}
        | {
            "scale": 1.0,
            "classes": {"mood": ["dark"]},
        }
    )


def _write_maps(path: Path, document: Json) -> None:
    fields = [("map", pa.list_(pa.int8(), 2)), ("mood", pa.int64())]
    schema = pa.schema(fields, metadata={b"sfumato.maps": json.dumps(document).encode()})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.table({"map": [[1, 2]], "mood": [0]}, schema=schema))


def _write_json(path: Path, document: Json) -> None:
    path.write_text(json.dumps(document))


def _obfuscator() -> Obfuscator:
    return Obfuscator(
        channels=1, height=32, width=32, utility="mood", classes=["dark", "light"], scale=0.05,
        map_channels=2,
    )  # fmt: skip


def _artifact(make: Callable[[], PretrainedProtector]) -> Kind:
    @cache
    def parts() -> tuple[Json, bytes]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "artifact"
            make().save_pretrained(folder)
            return json.loads((folder / CONFIG).read_bytes()), (folder / WEIGHTS).read_bytes()

    def write(path: Path, document: Json) -> None:
        (path.parent / WEIGHTS).write_bytes(parts()[1])
        _write_json(path.parent / CONFIG, document)

    return Kind(lambda: parts()[0], write, lambda path: open_pretrained(path.parent))


KINDS: Mapping[str, Kind] = {
    "maps": Kind(_maps_document, _write_maps, lambda path: open_maps(path.parent)),
    "bank": _header(partial(sound, "bank file"), "config", bankfile.read),
    "backbone": _header(
        lambda: open_backbone("raw:1x2x2").to_bytes(),
        "config",
        lambda path: Backbone.from_bytes(path.read_bytes()),
    ),
    "map classifier": _header(_map_classifier, "settings", open_map_classifier),
    "report": Kind(lambda: report(cell("a", "b", 0.5)).document(), _write_json, read_report),
    "obfuscator": _artifact(_obfuscator),
    "san": _artifact(lambda: SemiAdversarial(height=16, width=16)),
    "anonymizer": _artifact(
        lambda: Anonymizer(channels=1, height=8, width=8, hides="writer", lam=1.0, features=4)
    ),
    "prototypes": _artifact(
        lambda: PrototypeAnonymizer(
            channels=1,
            height=8,
            width=8,
            hides="writer",
            prototypes=2,
            features=4,
            standing=STANDING,
        )
    ),
}

_HOSTILE = st.sampled_from(
    [
        *(float("inf"), float("nan"), 1e300, 10**400, 2**63, 2**31, 50_000, 4097, 0, -1, 0.5),
        *("", "\ud800", "\0", "x" * 5000, "../../etc", None, True, [], [[]], [None], {}, {"": ""}),
    ]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


def places(document: Json) -> Iterator[tuple[str | int, ...]]:
    """Yield the way to every value of a document."""
    inside = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in inside:
        yield (key,)
        yield from ((key, *rest) for rest in places(value))


@contextmanager
def _little_memory() -> Iterator[None]:
    """Let this process ask for so much more and no further."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + _SPARE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def attempt(name: str, data: st.DataObject) -> None:
    """Read a file in whose JSON one or two values were replaced or left out."""
    kind = KINDS[name]
    document = copy.deepcopy(kind.document())
    for _ in range(data.draw(st.integers(1, 2), "changes")):
        *way, last = data.draw(st.sampled_from(list(places(document))), "place")
        owner = document
        for key in way:
            owner = owner[key]
        if data.draw(st.booleans(), "gone"):
            del owner[last]
        else:
            # A copy: the next change may go into it.
            owner[last] = copy.deepcopy(data.draw(_HOSTILE, "value"))
        if not document:
            break
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        kind.write(path, document)
        with suppress(SfumatoError), _little_memory():
            kind.read(path)


@pytest.mark.parametrize("name", KINDS)
def test_the_sound_document_is_read(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    kind.write(tmp_path / FILE, kind.document())
    assert kind.read(tmp_path / FILE) is not None


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_json_is_read_or_refused_by_name(name: str, data: st.DataObject) -> None:
    attempt(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_longer_run_of_hostile_json(name: str, data: st.DataObject) -> None:
    attempt(name, data)
