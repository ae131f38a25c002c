"""`sfumato data`: which image sets there are, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from sfumato.cli.options import AsJson, DataDir, Seed, file_to_write, finish
from sfumato.counted import counted

if TYPE_CHECKING:
    from sfumato.data import ImageSet

app = typer.Typer(no_args_is_help=True, help="List and look at sets of images.")

_MOST = 400  # pictures on one sheet


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every set: what it is, where it comes from, and which splits are here."""
    from sfumato.data import SOURCES

    rows = [
        {
            "name": name,
            "images": source.count,
            "what": source.what,
            "from": source.origin,
            "here": list(source.splits(data_dir)),
        }
        for name, source in SOURCES.items()
    ]
    wide = {key: max(len(str(row[key])) for row in rows) for key in ("name", "what", "from")}
    lines = [
        f"{row['name']:<{wide['name']}}  {row['images']:>6}  {row['what']:<{wide['what']}}  "
        f"{row['from']:<{wide['from']}}  {_here(cast('list[str]', row['here']))}"
        for row in rows
    ]
    lines += ["characters:N draws N identities; folder:PATH is your own pictures;"]
    lines += ["hf:NAME any image set of the hub"]
    finish({"sets": rows}, "\n".join(lines), as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name of `data list`, folder:PATH or hf:NAME.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="The PNG to write.")
    ],
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    count: Annotated[int, typer.Option(help="Pictures on the sheet.", min=1, max=_MOST)] = 60,
    by: Annotated[str | None, typer.Option(help="Group by this label, equally many each.")] = None,
    size: Annotated[int | None, typer.Option(help="Height and width; needed if mixed.")] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write a contact sheet of a set, with each picture's labels beneath it."""
    from sfumato.data import load
    from sfumato.data.options import Split
    from sfumato.data.sheet import captions_of, choose, contact_sheet
    from sfumato.errors import ConfigError
    from sfumato.files import write_bytes

    if split not in get_args(Split):
        raise ConfigError(f"--split is all, train or test, got {split!r}")
    images = load(name, split=cast("Split", split), data_dir=data_dir, size=size, seed=seed)
    chosen = choose(images, count, by=by, seed=seed)
    attributes = [by] if by else sorted(images.labels)[:2]
    columns = _columns(chosen.labels[by].unique().numel(), len(chosen)) if by else 10
    sheet = contact_sheet(chosen.images, captions_of(chosen, attributes), columns=columns)
    write_bytes(out, sheet)
    finish(_facts(images, out), _sentence(images, out), as_json=as_json)


@app.command()
def faces(
    source: Annotated[Path, typer.Argument(help="Folder of pictures, with metadata.csv or not.")],
    out: Annotated[Path, typer.Argument(help="Folder for the faces; must not exist.")],
    size: Annotated[int, typer.Option(help="Height and width of a face.", min=16)] = 64,
    margin: Annotated[
        float, typer.Option(help="Added on every side, as a share of the face.", min=0, max=1)
    ] = 0.0,
    largest: Annotated[
        bool, typer.Option(help="Take the largest of several faces instead of none.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Cut the one face out of every picture, for `fit san` and other networks of faces.

    Pictures without a face, with several, or with one that the edge cuts are left out, counted
    by reason, and listed in OUT/skipped.csv. Labels are carried over. Needs the extra `faces`.
    """
    from sfumato.data.faces import cut_faces

    cut = cut_faces(source, out, size=size, margin=margin, largest=largest)
    reasons = cut.reasons()
    lines = [f"{counted(cut.count, 'face')} of {size}x{size} in {out}"]
    lines += [f"left out: {count:,} x {reason}" for reason, count in reasons.items()]
    facts = {"faces": cut.count, "skipped": len(cut.skipped), "reasons": reasons, "out": str(out)}
    finish(facts, "\n".join(lines), as_json=as_json)


def _columns(values: int, count: int) -> int:
    """One row a value where that gives a sheet of reasonable width."""
    return count // values if 5 <= count // values <= 20 else 10


def _here(splits: list[str]) -> str:
    return "here: " + ", ".join(splits) if splits else "not here"


def _facts(images: ImageSet, out: Path) -> dict[str, object]:
    return {
        "name": images.name,
        "images": len(images),
        "shape": list(images.images.shape[1:]),
        "labels": {label: len(names) for label, names in images.classes.items()},
        "skipped": [str(left_out) for left_out in images.skipped],
        "sheet": str(out),
    }


def _sentence(images: ImageSet, out: Path) -> str:
    channels, height, width = images.images.shape[1:]
    labels = ", ".join(f"{label} ({len(names)})" for label, names in images.classes.items())
    return (
        f"{images.name}: {counted(len(images), 'image')} of {width}x{height}, "
        f"{'grey' if channels == 1 else 'RGB'}; labels: {labels or 'none'}; wrote {out}"
    )
