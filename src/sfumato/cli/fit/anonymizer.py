"""`sfumato fit anonymizer`: remove a private label from a picture collection, keep the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sfumato.cli.fit.resume import resumable
from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish

if TYPE_CHECKING:
    from sfumato.data.imageset import ImageSet
    from sfumato.protect.pretrained import PretrainedProtector


def anonymizer(
    data: Annotated[str, typer.Option(help="folder:PATH, or a name of `data list`.")],
    private: Annotated[str, typer.Option(help="Label to hide; every image needs one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the anonymiser.")],
    method: Annotated[
        Literal["prototypes", "paper"],
        typer.Option(help="A few mean pictures for everyone, or the paper's autoencoder."),
    ] = "prototypes",
    prototypes: Annotated[
        int, typer.Option(help="prototypes: pictures in the release, at most.")
    ] = 32,
    k: Annotated[
        int,
        typer.Option("--k", help="prototypes: originals behind each released picture, at least."),
    ] = 10,
    values: Annotated[
        int | None,
        typer.Option(help="prototypes: private values behind it, at least; 5, or all if fewer."),
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="prototypes: largest share of one value; 0.5, of two values 0.75."),
    ] = None,
    lam: Annotated[float, typer.Option(help="paper: weight of privacy, eq. (12).")] = 2.0,
    target: Annotated[
        str | None,
        typer.Option(
            help="Release pictures that look like this private value. Prototypes, and "
            "--substitute, release real ones of it: take one that nobody is."
        ),
    ] = None,
    substitute: Annotated[
        bool, typer.Option(help="paper: release the target's nearest training picture.")
    ] = False,
    light: Annotated[
        float, typer.Option(help="prototypes: light and backdrop that a release may forget, 0-1.")
    ] = 0.0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images.", min=1)] = None,
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
    ] = "all",
    count: Annotated[int | None, typer.Option(help="Only so many images, drawn at random.")] = None,
    size: Annotated[int | None, typer.Option(help="Height and width to resize to.")] = None,
    grey: Annotated[bool, typer.Option(help="Take the images without colour.")] = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Learn to release pictures that do not say who, and still say what.

    Only the private label is looked at. By default each released picture is the mean of --k
    originals of --values people at least, and none is near to an original: prototypes that cannot
    keep that are dropped, and a collection that cannot is refused. Interrupted, the same command
    goes on. `release` applies the result to a collection, `audit` attacks it.
    """
    from sfumato.data.sources import load
    from sfumato.errors import ConfigError

    if method == "prototypes" and substitute:
        raise ConfigError("--substitute belongs to --method paper; prototypes take --target alone")
    images = load(
        data, split=split, data_dir=data_dir, seed=seed, size=size, count=count,
        channels=1 if grey else None,
    )  # fmt: skip
    common: dict[str, object] = {"target": target, "seed": seed, "device": device}
    if epochs is not None:
        common["epochs"] = epochs
    made: PretrainedProtector
    settings = [method, private, common, prototypes, k, values, share, light, lam, substitute]
    with resumable(out, [*settings, images.fingerprint()]) as checkpoint:
        common["checkpoint"] = checkpoint
        if method == "prototypes":
            rule = {"k": k, "values": values, "share": share}
            made = _prototypes(images, private, prototypes, rule, light, common)
        else:
            made = _paper(images, private, lam, substitute, common)
        made.save_pretrained(out)
    finish(
        {
            "protector": made.name,
            "private": private,
            "images": len(images),
            "skipped": len(images.skipped),
            "guarantee": dict(made.guarantee.figures),
            "originals": made.guarantee.originals,
            "out": str(out),
        },
        f"{made.name}: trained on {len(images):,} images to hide {private!r}; saved in {out}\n"
        f"{_stands_for(made)}next: sfumato release {out} --data {data} -o RELEASED",
        as_json=as_json,
    )


def _stands_for(made: PretrainedProtector) -> str:
    """Say what each released picture stands for; on stderr, that some are real, if they are."""
    if made.guarantee.originals:
        typer.echo(f"warning: {made.guarantee.originals}, on purpose", err=True)
    return "".join(f"  {figure:g}  {what}\n" for what, figure in made.guarantee.figures.items())


def _prototypes(
    images: ImageSet,
    private: str,
    count: int,
    rule: dict[str, Any],
    light: float,
    common: dict[str, object],
) -> PretrainedProtector:
    from sfumato.protect.augment import Deformation
    from sfumato.protect.prototypes.anonymity import Anonymity
    from sfumato.protect.prototypes.fit import PrototypesConfig, fit_prototypes

    config = PrototypesConfig(
        prototypes=count,
        anonymity=Anonymity(**rule),
        deformation=Deformation(light=light),
        **common,  # type: ignore[arg-type]
    )
    return fit_prototypes(images, private, config)


def _paper(
    images: ImageSet, private: str, lam: float, substitute: bool, common: dict[str, object]
) -> PretrainedProtector:
    from sfumato.protect.anonymizer.fit import AnonymizerConfig, fit_anonymizer

    config = AnonymizerConfig(lam=lam, substitute=substitute, **common)  # type: ignore[arg-type]
    return fit_anonymizer(images, private, config)
