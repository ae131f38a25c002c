"""`sfumato release`: apply a protector to a collection and write what may leave its owner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from sfumato.cli.options import AsJson, DataDir, Ray, Seed, finish

if TYPE_CHECKING:
    from sfumato.data.lazy import FolderImages, LoadedImages
    from sfumato.data.options import SourceOptions, Split
    from sfumato.protect.obfuscator import Obfuscator
    from sfumato.protect.pretrained import PretrainedProtector


def release(
    protector: Annotated[
        str, typer.Argument(help="A folder written by `fit`, or blur:2, noise:0.1, pixelate:4 ...")
    ],
    data: Annotated[str, typer.Option(help="folder:PATH, or a name of `data list`.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; must be new.")],
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Label to carry over, repeatable; without it, no label is."),
    ] = None,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    size: Annotated[
        int | None, typer.Option(help="Height and width; a fitted protector knows its own.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Only so many images, drawn at random.")] = None,
    batch: Annotated[int, typer.Option(help="Images in memory at once.", min=1)] = 256,
    seed: Seed = 0,
    data_dir: DataDir = None,
    ray: Ray = None,
    as_json: AsJson = False,
) -> None:
    """Apply a protector to a collection of any size, a batch at a time.

    Released pictures are numbered in a random order and carry no label, unless you ask for it by
    --keep: names and order often tell what was hidden. Interrupted, the same command goes on.
    With --ray, batches are made on a cluster whose machines all see the pictures at the same place.
    An obfuscator's maps become one Arrow file, which `fit classifier` learns from.
    """
    from sfumato.audit.protectors import open_protector
    from sfumato.data.lazy import open_lazily
    from sfumato.protect.obfuscator import Obfuscator
    from sfumato.protect.pictures import write_pictures
    from sfumato.protect.pretrained import is_artifact, open_pretrained
    from sfumato.scale.ray import spread

    chosen = open_pretrained(protector) if is_artifact(protector) else None
    options = _options(None if chosen is None else chosen.shape, split, size, count, seed, data_dir)
    images = open_lazily(data, options)
    labels = tuple(keep or ())
    if chosen is not None:
        _refuse_private(chosen, labels)
    if isinstance(chosen, Obfuscator):
        _release_maps(chosen, images, out, labels, batch, ray, as_json)
        return
    made_of = f"{protector} {data} {split} {size} {count} {seed} {labels}"
    applied = chosen or open_protector(protector, images.read(range(1)))
    with spread(ray) as over:
        written = write_pictures(
            applied, images, out, labels=labels, batch_size=batch, made_of=made_of, over=over
        )
    finish(
        {
            "protector": applied.name,
            "images": written.count,
            "skipped": written.skipped,
            "labels": list(written.labels),
            "out": str(out),
        },
        f"{applied.name}: released {written.count:,} images into {out}"
        + (f"; left out {written.skipped:,} unusable files" if written.skipped else "")
        + f"; labels kept: {', '.join(labels) or 'none'}",
        as_json=as_json,
    )


def _release_maps(
    obfuscator: Obfuscator,
    images: FolderImages | LoadedImages,
    out: Path,
    labels: tuple[str, ...],
    batch: int,
    ray: str | None,
    as_json: bool,
) -> None:
    from sfumato.protect.maps import write_maps
    from sfumato.scale.ray import spread

    with spread(ray) as over:
        written = write_maps(obfuscator, images, out, labels=labels, batch_size=batch, over=over)
    finish(
        {
            "protector": obfuscator.name,
            "maps": written.count,
            "skipped": written.skipped,
            "labels": list(written.labels),
            "stored_bytes": written.stored_bytes,
            "picture_bytes": written.picture_bytes,
            "out": str(out),
        },
        f"{obfuscator.name}: released {written.count:,} maps into {out}: "
        f"{written.stored_bytes:,} bytes, where their pixels take {written.picture_bytes:,}"
        + (f"; left out {written.skipped:,} unusable files" if written.skipped else "")
        + f"; labels kept: {', '.join(labels) or 'none'}",
        as_json=as_json,
    )


def _options(
    shape: tuple[int, int, int] | None,
    split: str,
    size: int | None,
    count: int | None,
    seed: int,
    data_dir: Path | None,
) -> SourceOptions:
    """Load images as the protector takes them, so that nobody has to know its size."""
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


def _refuse_private(protector: PretrainedProtector, labels: tuple[str, ...]) -> None:
    from sfumato.errors import ConfigError

    hidden = [label for label in labels if label in protector.private]
    if hidden:
        raise ConfigError(
            f"--keep {hidden[0]}: {protector.name} was trained to hide that label; a release that "
            "carries it hides nothing"
        )
