"""`sfumato release`: apply a protector to a collection and write what may leave its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.dryrun import DryRun
from sfumato.cli.options import AsJson, DataDir, Ray, Seed, finish, folder_to_write
from sfumato.cli.photos import release_faces
from sfumato.cli.releasing import tell_release, writer
from sfumato.photo.config import FaceConfig

if TYPE_CHECKING:
    from sfumato.data.lazy import FolderImages, LoadedImages
    from sfumato.data.options import SourceOptions, Split
    from sfumato.types import Protector

FACES = "Photographs"
_BATCH = 256  # images at once
_EXTRACT = "sfumato features extract DATA --backbone BACKBONE -o FEATURES"
_SEAL = f"{_EXTRACT}, then sfumato features seal FEATURES --keys RING -o ENVELOPE"
_NOT_PICTURES = {
    "features": f"writes no features: {_EXTRACT}; they are not protected",
    "shufflebits": f"writes no features: {_SEAL} --shufflebits",
    "sealed": f"writes no features: {_SEAL}",
}
"""Protectors that an audit knows and that give no pictures, and the way that there is."""


@options_of(FaceConfig)
def release(
    protector: Annotated[
        str,
        typer.Argument(
            help="A folder written by `fit`, or blur:2, noise:0.1, pixelate:4, ksame:10[:LABEL] ..."
        ),
    ],
    data: Annotated[str, typer.Option(help="A folder of pictures, or a name of `data list`.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", callback=folder_to_write, help="The folder to write; must be new."
        ),
    ],
    config: FaceConfig,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Label to carry over, repeatable; without it, no label is."),
    ] = None,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    size: Annotated[
        int | None, typer.Option(help="Height and width; a fitted protector knows its own.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Only so many images, drawn at random.")] = None,
    batch: Annotated[
        int, typer.Option(help="Images in memory at once; the result is the same.", min=1)
    ] = _BATCH,
    noise_key: Annotated[
        Path | None,
        typer.Option(
            help="File with the secret of an obfuscator's noise; OBFUSCATOR.noise-key without it. "
            "It is written where there is none yet; keep it."
        ),
    ] = None,
    faces: Annotated[
        bool,
        typer.Option(
            "--faces",
            help="The folder holds whole photographs and films: find every face, protect it in its "
            "place, and keep the rest, the size, the format and the colour profile.",
            rich_help_panel=FACES,
        ),
    ] = False,
    keep_names: Annotated[
        bool,
        typer.Option(
            "--keep-names",
            help="Keep file names and folders. They often say who was there, where and when, and "
            "in which order; without it photographs are numbered in a random one.",
            rich_help_panel=FACES,
        ),
    ] = False,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="A corrected boxes.csv: exactly its boxes are protected, and nothing is searched.",
            rich_help_panel=FACES,
        ),
    ] = None,
    only: Annotated[
        Path | None,
        typer.Option(
            help="Protect one person alone: a file that `filter enroll` made of them. A face that "
            "cannot be told is protected.",
            rich_help_panel=FACES,
        ),
    ] = None,
    except_: Annotated[
        Path | None,
        typer.Option(
            "--except",
            help="Protect everybody but this person. A stranger who is taken for them stays clear.",
            rich_help_panel=FACES,
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The backbone file of --only or --except: of the kind `face`.",
            rich_help_panel=FACES,
        ),
    ] = None,
    mute: Annotated[
        bool, typer.Option("--mute", help="Leave out the sound of films.", rich_help_panel=FACES)
    ] = False,
    dry_run: DryRun = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Apply a protector to a collection of any size, each picture in its own size and colour.

    Released pictures are numbered in a random order and carry no label, unless you ask for it by
    --keep: names and order often tell what was hidden. Files that hold no usable picture are left
    out, and listed with the reason in OUT.left-out.csv, beside the release: their names stay with
    you. Interrupted, the same command goes on, as long as neither the protector nor the pictures
    have changed. With --ray, batches are made on a cluster whose machines all see the pictures at
    the same place. An obfuscator's maps become one Arrow file, which `fit classifier` learns from.
    A picture's noise follows from a secret beside the obfuscator: released again, it gives the same
    map, and nothing can be averaged away. Never hand that secret on.

    With --faces, photographs stay photographs, and their faces alone are protected, each brought to
    112 pixels first, so that blur:10 is as strong on a small face as on a large one. EXIF, places,
    texts and thumbnails go. OUT.review.html and OUT.boxes.csv, beside the release, show every box:
    a face that was missed is released as it is, so go through them.
    """
    if faces:
        others = (seed or None, None if batch == _BATCH else batch)
        _refuse_with_faces(keep, split, size, count, noise_key, ray, *others)
        release_faces(
            protector, data, out,
            config=config, keep_names=keep_names, boxes=boxes, only=only, except_=except_,
            backbone=backbone, mute=mute, dry_run=dry_run, as_json=as_json,
        )  # fmt: skip
        return
    if config != FaceConfig() or any((keep_names, boxes, only, except_, backbone, mute)):
        _needs_faces()
    from sfumato.cluster import executor_at

    applied, images = _opened(protector, data, split, size, count, seed, data_dir)
    labels = tuple(keep or ())
    _refuse_private(applied, labels)
    _warn_of_originals(applied)
    how = writer(applied, protector, out, noise_key)
    if dry_run:
        tell_release(how, applied.name, images, out, labels, as_json=as_json)
    with executor_at(ray) as executor:
        facts, text = how.write(images, out, labels, batch, executor)
    finish(facts, f"{text}; labels kept: {', '.join(labels) or 'none'}", as_json=as_json)


def _refuse_with_faces(*others: object) -> None:
    """Refuse what is said of collections of single pictures."""
    from sfumato.errors import ConfigError

    if any(other not in (None, "all", []) for other in others):
        raise ConfigError(
            "--faces takes a folder of photographs as it is: leave out --keep, --split, --size, "
            "--count, --noise-key, --ray, --seed and --batch"
        )


def _needs_faces() -> None:
    from sfumato.errors import ConfigError

    raise ConfigError(
        "--keep-names, --boxes, --only, --except, --backbone, --mute, --sure and --grow are for "
        "photographs: add --faces"
    )


def _opened(
    spec: str,
    data: str,
    split: str,
    size: int | None,
    count: int | None,
    seed: int,
    data_dir: Path | None,
) -> tuple[Protector, FolderImages | LoadedImages]:
    """Open the protector, and the images as it takes them, so that nobody has to know its size."""
    from sfumato.audit.protectors import open_protector
    from sfumato.data.lazy import open_lazily
    from sfumato.errors import ConfigError
    from sfumato.protect.pretrained import is_artifact, open_pretrained

    shape: tuple[int, int, int] | None = None
    kind = spec.partition(":")[0]
    if is_artifact(spec):
        fitted = open_pretrained(spec)
        applied: Protector = fitted
        shape = fitted.shape
    elif kind in _NOT_PICTURES:
        raise ConfigError(f"{spec!r}: release writes pictures, and {_NOT_PICTURES[kind]}")
    elif kind == "ksame":
        return _ksame(spec, data, _options(None, split, size, count, seed, data_dir))
    else:
        applied = open_protector(spec)
    return applied, open_lazily(data, _options(shape, split, size, count, seed, data_dir))


def _ksame(spec: str, data: str, options: SourceOptions) -> tuple[Protector, LoadedImages]:
    """Open k-same, which needs all pictures at once, of one size and colour."""
    from sfumato.audit.protectors import whole
    from sfumato.data.lazy import LoadedImages
    from sfumato.data.sources import load_with
    from sfumato.protect.release.ksame_set import KSameSet

    name, _, rest = spec.partition(":")
    k, _, label = rest.partition(":")
    number = whole(name, k)
    images = load_with(data, options)
    return KSameSet(number, images, label or None), LoadedImages(images)


def _options(
    shape: tuple[int, int, int] | None,
    split: str,
    size: int | None,
    count: int | None,
    seed: int,
    data_dir: Path | None,
) -> SourceOptions:
    from sfumato.data.options import SourceOptions, Split
    from sfumato.errors import ConfigError

    if split not in get_args(Split):
        raise ConfigError(f"--split is all, train or test, got {split!r}")
    channels = None if shape is None else shape[0]
    return SourceOptions(
        split=cast("Split", split),
        data_dir=data_dir,
        seed=seed,
        size=size or (None if shape is None else shape[1:]),
        count=count,
        channels=cast("Literal[1, 3] | None", channels),
    )


def _refuse_private(protector: Protector, labels: tuple[str, ...]) -> None:
    from sfumato.errors import ConfigError

    hidden = [label for label in labels if label in protector.private]
    if hidden:
        raise ConfigError(
            f"--keep {hidden[0]}: {protector.name} was made to hide that label; a release that "
            "carries it hides nothing"
        )


def _warn_of_originals(protector: Protector) -> None:
    originals = protector.guarantee.originals
    if originals:
        typer.echo(f"warning: {originals}, on purpose", err=True)
