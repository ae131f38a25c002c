"""`sfumato features`: extract, seal and open features, keep their keys, and serve them sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli import keys
from sfumato.cli.keys import Passphrase, Ring
from sfumato.cli.options import (
    AsJson,
    DataDir,
    Device,
    Seed,
    Workers,
    file_of,
    file_to_write,
    finish,
    say_skipped,
)
from sfumato.cli.search import Column, search
from sfumato.counted import counted

if TYPE_CHECKING:
    from sfumato.cipher.header import Suite
    from sfumato.features.backbone import Backbone

app = typer.Typer(no_args_is_help=True, help="Features that only their owner can read.")
app.add_typer(keys.app, name="keys")
app.command("search")(search)

Out = Annotated[Path, typer.Option("--out", "-o", callback=file_to_write, help="File to write.")]
SuiteName = Annotated[
    Literal["aes-256-gcm", "chacha20-poly1305"], typer.Option(help="Authenticated cipher.")
]
Shuffle = Annotated[
    bool, typer.Option("--shufflebits", help="Apply ShuffleBits inside the cipher.")
]
BackboneSpec = Annotated[
    str,
    typer.Option(help="A backbone file, face, gradients:CxHxW, raw:CxHxW, timm:NAME or onnx:PATH."),
]
Public = Annotated[
    str | None,
    typer.Option(help="Public images that fit its scaler: a folder or a data set's name."),
]


@app.command()
def extract(
    data: Annotated[str, typer.Argument(help="Image set, as in `sfumato data list`.")],
    backbone: BackboneSpec,
    out: Out,
    public: Public = None,
    count: Annotated[int | None, typer.Option(help="Images to take; all if left out.")] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write the features of an image set, in the clear, to a file only its owner can read.

    One row a picture, with its file's name and its labels. The suffix names the form: .features
    (safetensors), .parquet, .arrow or .npz. Of the backbone `face`, pictures without a face or with
    several are left out and named.
    """
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.device import resolve_device
    from sfumato.features.picture import features_in, known_of
    from sfumato.features.tables.forms import check_table, write_table
    from sfumato.outputs import refuse_lost

    refuse_lost(out, file_of(backbone))
    images = open_lazily(data, SourceOptions(data_dir=data_dir, count=count, seed=seed))
    opened = _opened(backbone, public, data_dir, seed).to(resolve_device(device))
    check_table(known_of(opened, images), out)
    table, skipped = features_in(opened, images)
    say_skipped(skipped)
    write_table(table, out)
    result = {
        "file": str(out),
        "shape": list(table.vectors.shape),
        "columns": table.columns.column_names,
        "skipped": len(skipped),
        "backbone": opened.fingerprint,
    }
    finish(result, f"{out}: {len(table)} x {opened.dim} features", as_json=as_json)


@app.command()
def seal(
    source: Annotated[
        Path,
        typer.Argument(
            help="Features: .npy, .npz, Parquet, Arrow, safetensors, or a folder of `datasets`."
        ),
    ],
    out: Out,
    ring: Ring,
    passphrase: Passphrase,
    suite: SuiteName = "aes-256-gcm",
    shufflebits: Shuffle = False,
    column: Column = None,
    as_json: AsJson = False,
) -> None:
    """Seal features, and all that their file says besides, in constant memory.

    The ring's primary key seals. `features open` gives the same bytes back.
    """
    from sfumato.cipher.featurefile import seal_file
    from sfumato.cipher.keyfile import load_ring
    from sfumato.outputs import refuse_lost

    refuse_lost(out, [ring])
    key = load_ring(ring, passphrase).primary
    packed = seal_file(source, out, key, suite=_suite(suite, shufflebits), column=column)
    shape = list(packed.shape)
    result = {
        "file": str(out),
        "form": packed.form.value,
        "vectors": packed.vectors,
        "shape": shape,
        "key": key.id.hex(),
        "bytes": out.stat().st_size,
    }
    finish(result, f"{out}: sealed {shape} under key {key.id.hex()}", as_json=as_json)


@app.command("open")
def open_(
    source: Annotated[Path, typer.Argument(help="An envelope file.")],
    out: Out,
    ring: Ring,
    passphrase: Passphrase,
    as_json: AsJson = False,
) -> None:
    """Open an envelope; nothing is written unless all of it is authentic.

    What comes out is what was sealed, byte for byte. A suffix that names another form (.features,
    .parquet, .arrow, .npz, .npy) converts it, or is refused where something would be lost.
    """
    from sfumato.cipher.featurefile import open_file
    from sfumato.cipher.keyfile import load_ring
    from sfumato.outputs import refuse_lost

    refuse_lost(out, [ring])
    header, found = open_file(source, out, load_ring(ring, passphrase))
    shape = list(found)
    result = {"file": str(out), "shape": shape, "key": header.key_id.hex()}
    finish(result, f"{out}: opened {shape}", as_json=as_json)


@app.command()
def serve(
    backbone: BackboneSpec,
    public: Public = None,
    host: Annotated[
        str, typer.Option(help="Address; beyond loopback, put a proxy that speaks TLS before it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 8090,
    suite: SuiteName = "aes-256-gcm",
    shufflebits: Shuffle = False,
    workers: Workers = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
) -> None:
    """Answer POST /v1/features: features of a picture, sealed to the key of whoever asks."""
    from sfumato.serve.features import FeatureSettings, serve_features

    opened = _opened(backbone, public, data_dir, seed)
    settings = FeatureSettings(suite=_suite(suite, shufflebits), workers=workers)
    serve_features(opened, settings, host=host, port=port)


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Address of a feature service.")],
    image: Annotated[Path, typer.Argument(help="An image file.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Ask a feature service for one picture's features, under a key made for this request."""
    import torch

    from sfumato.data.decoding.decode import ImageLimits
    from sfumato.features.tables.forms import check_table, write_table
    from sfumato.features.tables.known import Row, columns_of
    from sfumato.features.tables.table import FeatureTable
    from sfumato.files import read_limited
    from sfumato.outputs import refuse_lost
    from sfumato.serve.clients.features import FeatureClient

    refuse_lost(out, [image])
    content = read_limited(image, limit_bytes=ImageLimits().max_bytes)
    columns = columns_of([Row(0, image.name, {})], {})
    check_table(FeatureTable(vectors=torch.empty(1, 0), columns=columns), out)
    with FeatureClient(url) as client:
        features = client.features(content)
    write_table(FeatureTable(vectors=features.unsqueeze(0), columns=columns), out)
    result = {"file": str(out), "shape": [1, len(features)]}
    finish(result, f"{out}: {counted(len(features), 'feature')}", as_json=as_json)


def _opened(spec: str, public: str | None, data_dir: Path | None, seed: int) -> Backbone:
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.features.backbone import open_backbone

    options = SourceOptions(data_dir=data_dir, seed=seed)
    scaled_on = None if public is None else open_lazily(public, options)
    return open_backbone(spec, public=scaled_on, seed=seed)


def _suite(name: str, shufflebits: bool) -> Suite:
    from sfumato.cipher.header import Suite

    return Suite[name.replace("-", "_").upper() + ("_SHUFFLEBITS" if shufflebits else "")]
