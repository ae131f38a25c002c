"""`sfumato features`: extract, seal and open features, keep their keys, and serve them sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish

if TYPE_CHECKING:
    from sfumato.cipher.header import Suite
    from sfumato.cipher.keys import KeyRing
    from sfumato.features.backbone import Backbone

app = typer.Typer(no_args_is_help=True, help="Features that only their owner can read.")
keys = typer.Typer(no_args_is_help=True, help="Keep a ring of keys in an encrypted file.")
app.add_typer(keys, name="keys")

Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
Ring = Annotated[Path, typer.Option("--keys", help="The key ring's file.")]
RingFile = Annotated[Path, typer.Argument(help="The key ring's file.")]
Passphrase = Annotated[
    str,
    typer.Option(
        prompt=True,
        hide_input=True,
        envvar="SFUMATO_PASSPHRASE",
        help="Unlocks the key ring. Asked for, or taken from the environment; keep it out of "
        "the shell's history.",
    ),
]
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

    One row a picture: of the backbone `face`, pictures without a face or with several are left out
    and named.
    """
    from sfumato.cipher.featurefile import write_features
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.device import resolve_device
    from sfumato.features.picture import features_in

    images = open_lazily(data, SourceOptions(data_dir=data_dir, count=count, seed=seed))
    opened = _opened(backbone, public, data_dir, seed).to(resolve_device(device))
    features, skipped = features_in(opened, images)
    for left_out in skipped:
        typer.echo(f"skipped {left_out}", err=True)
    metadata = {"backbone": opened.fingerprint, "images": images.name}
    write_features(features, out, metadata)
    result = {
        "file": str(out),
        "shape": list(features.shape),
        "skipped": len(skipped),
        "backbone": opened.fingerprint,
    }
    finish(result, f"{out}: {len(features)} x {opened.dim} features", as_json=as_json)


@app.command()
def seal(
    source: Annotated[Path, typer.Argument(help="A features file.")],
    out: Out,
    keys: Ring,
    passphrase: Passphrase,
    suite: SuiteName = "aes-256-gcm",
    shufflebits: Shuffle = False,
    as_json: AsJson = False,
) -> None:
    """Seal a features file under the ring's primary key, in constant memory."""
    from sfumato.cipher.featurefile import seal_file
    from sfumato.cipher.keyfile import load_ring

    key = load_ring(keys, passphrase).primary
    features = seal_file(source, out, key, suite=_suite(suite, shufflebits))
    shape = list(features.shape)
    result = {"file": str(out), "shape": shape, "key": key.id.hex(), "bytes": out.stat().st_size}
    finish(result, f"{out}: sealed {shape} under key {key.id.hex()}", as_json=as_json)


@app.command("open")
def open_(
    source: Annotated[Path, typer.Argument(help="An envelope file.")],
    out: Out,
    keys: Ring,
    passphrase: Passphrase,
    as_json: AsJson = False,
) -> None:
    """Open an envelope into a features file; nothing is written unless all of it is authentic."""
    from sfumato.cipher.featurefile import open_file
    from sfumato.cipher.keyfile import load_ring

    header = open_file(source, out, load_ring(keys, passphrase))
    shape = list(header.shape)
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
    data_dir: DataDir = None,
    seed: Seed = 0,
) -> None:
    """Answer POST /v1/features: features of a picture, sealed to the key of whoever asks."""
    from sfumato.serve.features import FeatureSettings, serve_features

    opened = _opened(backbone, public, data_dir, seed)
    settings = FeatureSettings(suite=_suite(suite, shufflebits))
    serve_features(opened, settings, host=host, port=port)


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Address of a feature service.")],
    image: Annotated[Path, typer.Argument(help="An image file.")],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Ask a feature service for one picture's features, under a key made for this request."""
    from sfumato.cipher.featurefile import write_features
    from sfumato.errors import InputError
    from sfumato.serve.clients.features import FeatureClient

    try:
        content = image.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {image}: {error.strerror}") from error
    with FeatureClient(url) as client:
        features = client.features(content)
    write_features(features.unsqueeze(0), out, {"image": image.name})
    result = {"file": str(out), "shape": [1, len(features)]}
    finish(result, f"{out}: {len(features)} features", as_json=as_json)


@keys.command()
def create(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Make a ring with one key."""
    from sfumato.cipher.keyfile import save_ring
    from sfumato.cipher.keys import KeyRing
    from sfumato.errors import KeyRingError

    if path.exists():
        raise KeyRingError(f"{path} exists; a ring is never overwritten: choose another name")
    ring = KeyRing.create()
    save_ring(ring, path, passphrase)
    _show(path, ring, as_json)


@keys.command("list")
def list_(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Show the ring's key ids and what each is for."""
    from sfumato.cipher.keyfile import load_ring

    _show(path, load_ring(path, passphrase), as_json)


@keys.command()
def add(path: RingFile, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Add a key that opens; hand the ring to all who open, then promote it."""
    from sfumato.cipher.keyfile import load_ring, save_ring

    ring = load_ring(path, passphrase).add()
    save_ring(ring, path, passphrase)
    _show(path, ring, as_json)


KeyId = Annotated[str, typer.Argument(help="Key id, as `list` shows it.")]


@keys.command()
def promote(path: RingFile, key: KeyId, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Seal with this key from now on; the former one still opens."""
    from sfumato.cipher.keyfile import load_ring, save_ring

    ring = load_ring(path, passphrase).promote(_key_id(key))
    save_ring(ring, path, passphrase)
    _show(path, ring, as_json)


@keys.command()
def retire(path: RingFile, key: KeyId, passphrase: Passphrase, as_json: AsJson = False) -> None:
    """Erase this key for good; what it sealed cannot be opened any more."""
    from sfumato.cipher.keyfile import load_ring, save_ring

    ring = load_ring(path, passphrase).retire(_key_id(key))
    save_ring(ring, path, passphrase)
    _show(path, ring, as_json)


def _opened(spec: str, public: str | None, data_dir: Path | None, seed: int) -> Backbone:
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.features.backbone import open_backbone

    scaled_on = open_lazily(public, SourceOptions(data_dir=data_dir, seed=seed)) if public else None
    return open_backbone(spec, public=scaled_on, seed=seed)


def _key_id(text: str) -> bytes:
    from sfumato.errors import KeyRingError

    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise KeyRingError(f"expected a key id of 32 hexadecimal digits, got {text!r}") from error


def _suite(name: str, shufflebits: bool) -> Suite:
    from sfumato.cipher.header import Suite

    return Suite[name.replace("-", "_").upper() + ("_SHUFFLEBITS" if shufflebits else "")]


def _show(path: Path, ring: KeyRing, as_json: bool) -> None:
    entries = {entry.id.hex(): entry.state.value for entry in ring.entries}
    lines = [f"{state:8} {key}" for key, state in entries.items()]
    finish({"file": str(path), "keys": entries}, "\n".join(lines), as_json=as_json)
