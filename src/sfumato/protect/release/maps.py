"""A collection kept as maps: one Arrow file that trains a classifier later, without a picture.

`OUT/maps.arrow` is an Arrow stream, which `datasets.Dataset.from_file` opens. Column `map` holds
the numbers of one map (int8; of bfloat16 the bits, as int16), every other column a label, -1 for
none. The schema's metadata says whose maps they are. Rows are in an order drawn anew and labels
are carried over only where they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.imageset import MISSING
from sfumato.data.lazy import FolderImages, LoadedImages
from sfumato.data.leftout import LeftOut, named
from sfumato.errors import ArtifactError, DataError
from sfumato.files import MALFORMED, replacing_folder
from sfumato.progress import Executor, sequential, track
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.alone import alone
from sfumato.protect.release.foreseen import Foreseen, foreseen
from sfumato.protect.release.map_noise import map_noise
from sfumato.protect.release.noise import drawn_order, fresh_secret
from sfumato.protect.release.parts import write_left_out
from sfumato.protect.release.pictures import check_new

Noise = Callable[[UInt8[Tensor, "c h w"]], Float[Tensor, "1 m y x"]]
"""The noise of one picture's map."""

FILE = "maps.arrow"
_MAP = "map"
_KEY = b"sfumato.maps"
_FORMAT = 1
_TYPES = {"int8": (pa.int8(), torch.int8), "bf16": (pa.int16(), torch.bfloat16)}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whose maps they are, and what a network needs to know to take them."""

    obfuscator: str
    """Its fingerprint."""
    name: str
    stored: str
    shape: tuple[int, int, int]
    step: tuple[float, ...]
    """What one unit of each channel's integers stands for."""
    cut: int
    scale: float
    classes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMaps:
    """Maps read back: int8 or bfloat16 `(n, *shape)`, with the labels that were carried over."""

    about: About
    maps: Shaped[Tensor, "n c h w"]
    labels: Mapping[str, Int64[Tensor, "n"]]

    def __len__(self) -> int:
        return len(self.maps)

    def floats(self) -> Float[Tensor, "n c h w"]:
        """Return the numbers that the maps stand for."""
        step = torch.tensor(self.about.step)[:, None, None]
        return self.maps.float() * step if self.about.stored == "int8" else self.maps.float()

    def label(self, name: str) -> Int64[Tensor, "n"]:
        """Return one label, or raise a DataError that says which were carried over."""
        if name not in self.labels:
            known = ", ".join(sorted(self.labels)) or "none"
            raise DataError(f"the maps carry no label {name!r}, only: {known}; release with `keep`")
        return self.labels[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a release of maps left on disk, and how many bytes the same pictures' pixels take."""

    folder: Path
    count: int
    left_out: int
    """Files that hold no usable picture; `left_out_list(folder)` names them."""
    labels: tuple[str, ...]
    stored_bytes: int
    picture_bytes: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """Maps of some pictures, with the labels that are carried over."""

    maps: Tensor
    labels: Mapping[str, Tensor]
    left_out: tuple[LeftOut, ...]
    picture_bytes: int


@dataclass(slots=True)
class _Tally:
    left_out: list[LeftOut]
    count: int = 0
    picture_bytes: int = 0

    def add(self, batch: _Batch) -> None:
        self.count += len(batch.maps)
        self.left_out += batch.left_out
        self.picture_bytes += batch.picture_bytes


def fingerprint(obfuscator: Obfuscator) -> str:
    """SHA-256 (hex) over all that makes the maps, so not over the classifier behind them."""
    made = (
        obfuscator.shape,
        obfuscator.map_shape,
        obfuscator.stored,
        obfuscator.noise,
        obfuscator.most_nats,
    )
    digest = hashlib.sha256(repr(made).encode())
    for key, value in sorted(obfuscator.state_dict().items()):
        if not key.startswith("classifier.") and key != "nats":
            digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def about(obfuscator: Obfuscator, classes: Mapping[str, tuple[str, ...]]) -> About:
    """Describe an obfuscator's maps that carry labels with these classes."""
    return About(
        obfuscator=fingerprint(obfuscator),
        name=obfuscator.name,
        stored=obfuscator.stored,
        shape=obfuscator.map_shape,
        step=tuple(obfuscator.step.flatten().tolist()),
        cut=obfuscator.cut,
        scale=obfuscator.scale,
        classes=dict(classes),
    )


def write_maps(
    obfuscator: Obfuscator,
    images: FolderImages | LoadedImages,
    out: Path,
    *,
    secret: bytes,
    labels: Sequence[str] = (),
    batch_size: int = 256,
    executor: Executor = sequential,
) -> Written:
    """Release a collection of any size into `out`, in memory for a few batches at a time.

    Batches are made by one process or many machines, and written here in order; each map is made
    by itself. `secret` (see `noise_key`) draws one noise for a picture, whatever collection it is
    released in and however often; nobody without it can draw that again. Files that gave no map
    are listed, each with the reason, in `OUT.left-out.csv`.

    Raises:
        DataError: a label does not exist, or no file is a usable picture.
        InputError: `out` exists already, or cannot be written.
    """
    _check(images, out, labels)
    described = about(obfuscator, {name: images.classes[name] for name in labels})
    order = drawn_order(fresh_secret(), len(images))
    tally = _Tally(list(images.left_out))
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    noise = partial(map_noise, secret, described.obfuscator, shape=described.shape)
    made = executor(partial(_released, obfuscator, images, tuple(labels), noise), batches)
    with replacing_folder(out) as part:
        schema = _schema(described)
        with pa.OSFile(str(part / FILE), "wb") as sink, pa.ipc.new_stream(sink, schema) as stream:
            for batch in track(made, f"release {obfuscator.name}", total=len(batches)):
                if len(batch.maps):
                    stream.write_batch(_batch(batch.maps, batch.labels, described))
                tally.add(batch)
        if not tally.count:
            raise DataError(
                f"{images.name}: none of its {counted(len(tally.left_out), 'file')} is usable: "
                f"{named(tally.left_out)}"
            )
    write_left_out(out, tally.left_out)
    return Written(
        folder=out,
        count=tally.count,
        left_out=len(tally.left_out),
        labels=tuple(labels),
        stored_bytes=(out / FILE).stat().st_size,
        picture_bytes=tally.picture_bytes,
    )


def plan_maps(
    obfuscator: Obfuscator, images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]
) -> Foreseen:
    """Return what `write_maps` would do; a few maps are made and thrown away.

    Raises:
        DataError, InputError: as `write_maps`, but for what only shows when all is read.
    """
    _check(images, out, labels)
    made = about(obfuscator, {})
    noise = partial(map_noise, fresh_secret(), made.obfuscator, shape=made.shape)
    some = partial(_released, obfuscator, images, tuple(labels), noise)
    return foreseen(images, done=0, release=some)


def _check(images: FolderImages | LoadedImages, out: Path, labels: Sequence[str]) -> None:
    check_new(images, out, labels)
    if _MAP in labels:
        raise DataError(f"a label called {_MAP!r} cannot be kept: the maps have that name")


def open_maps(folder: Path) -> StoredMaps:
    """Read what `write_maps` wrote.

    Raises:
        ArtifactError: it is missing or damaged, or not what its metadata say.
    """
    path = Path(folder) / FILE
    try:
        # In memory, so that a later change of the file changes nothing here.
        with pa.OSFile(str(path), "rb") as source, pa.ipc.open_stream(source) as stream:
            table = stream.read_all()
        table.validate(full=True)
        # Not every name of a column is text, and pyarrow finds out when it is asked.
        nulls = any(column.null_count for column in table.columns)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ArtifactError(
            f"expected a folder of maps that `sfumato release` wrote, there is no {path}"
        ) from error
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise ArtifactError(f"{path}: expected maps in an Arrow stream: {error}") from error
    described, promised = _described(table.schema, path)
    if table.schema != promised or nulls:
        raise ArtifactError(f"{path}: its columns are not those that its metadata promise")
    flat = table.column(_MAP).combine_chunks()
    flat = pa.concat_arrays(flat.chunks) if isinstance(flat, pa.ChunkedArray) else flat
    numbers = torch.from_numpy(flat.flatten().to_numpy().copy())
    wanted = _TYPES[described.stored][1]
    maps = (numbers if wanted == torch.int8 else numbers.view(wanted)).reshape(-1, *described.shape)
    labels = {
        name: torch.from_numpy(table.column(name).to_numpy().copy()) for name in described.classes
    }
    for name, values in labels.items():
        highest = len(described.classes[name]) - 1
        if len(values) and not (MISSING <= int(values.min()) <= int(values.max()) <= highest):
            raise ArtifactError(f"{path}: {name!r} has values outside 0..{highest}")
    return StoredMaps(about=described, maps=maps, labels=labels)


def check_maker(maps: About, obfuscator: str) -> None:
    """Raise a DataError where the maps are of another obfuscator than that of this fingerprint."""
    if maps.obfuscator != obfuscator:
        raise DataError(
            f"expected maps of the obfuscator {obfuscator[:12]}, got those of "
            f"{maps.obfuscator[:12]} ({maps.name}); release the pictures with the former"
        )


def _released(
    obfuscator: Obfuscator,
    images: FolderImages | LoadedImages,
    labels: Sequence[str],
    noise: Noise,
    positions: Sequence[int],
) -> _Batch:
    some = images.read(positions)
    maps = []
    for picture in some.pictures:
        with alone(picture):
            maps.append(obfuscator.release_with(picture.floats(), noise(picture.pixels)))
    kept = {
        name: torch.tensor([picture.labels[name] for picture in some.pictures]) for name in labels
    }
    pixels = sum(picture.pixels.numel() for picture in some.pictures)
    return _Batch(torch.cat(maps) if maps else torch.empty(0), kept, some.left_out, pixels)


def _schema(described: About) -> pa.Schema:
    numbers = pa.list_(_TYPES[described.stored][0], math.prod(described.shape))
    fields = [pa.field(_MAP, numbers)]
    fields += [pa.field(name, pa.int64()) for name in described.classes]
    document = {
        "format": _FORMAT,
        "obfuscator": described.obfuscator,
        "name": described.name,
        "stored": described.stored,
        "shape": list(described.shape),
        "step": list(described.step),
        "cut": described.cut,
        "scale": described.scale,
        "classes": {name: list(values) for name, values in described.classes.items()},
    }
    return pa.schema(fields, metadata={_KEY: json.dumps(document).encode()})


def _batch(maps: Tensor, labels: Mapping[str, Tensor], described: About) -> pa.RecordBatch:
    kind, wanted = _TYPES[described.stored]
    bits = maps.contiguous() if wanted == torch.int8 else maps.contiguous().view(torch.int16)
    numbers = pa.array(bits.flatten().numpy(), type=kind)
    columns = [pa.FixedSizeListArray.from_arrays(numbers, math.prod(described.shape))]
    columns += [pa.array(labels[name].numpy(), type=pa.int64()) for name in described.classes]
    return pa.record_batch(columns, schema=_schema(described))


def _described(schema: pa.Schema, path: Path) -> tuple[About, pa.Schema]:
    """Read the metadata with suspicion, and say what columns they promise."""
    try:
        document: dict[str, Any] = json.loads((schema.metadata or {})[_KEY])
        if document["format"] != _FORMAT or document["stored"] not in _TYPES:
            raise ArtifactError(
                f"{path}: expected maps of format {_FORMAT} in {' or '.join(_TYPES)}, got format "
                f"{document['format']!r} in {document['stored']!r}"
            )
        channels, height, width = (int(side) for side in document["shape"])
        step = tuple(float(value) for value in document["step"])
        if min(channels, height, width) < 1 or len(step) != channels:
            raise ValueError("a shape or its steps")
        described = About(
            obfuscator=str(document["obfuscator"]),
            name=str(document["name"]),
            stored=document["stored"],
            shape=(channels, height, width),
            step=step,
            cut=int(document["cut"]),
            scale=float(document["scale"]),
            classes={
                str(name): tuple(str(value) for value in values)
                for name, values in document["classes"].items()
            },
        )
        return described, _schema(described)
    except MALFORMED as error:
        raise ArtifactError(f"{path}: these are no maps that sfumato wrote ({error})") from error
