"""`sfumato fit anonymizer`: remove a private label from a picture collection, keep the rest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.dryrun import DryRun, read_set, tell_training
from sfumato.cli.fit.resume import resumable
from sfumato.cli.options import (
    AsJson,
    Count,
    Data,
    DataDir,
    Device,
    Seed,
    SplitName,
    finish,
    folder_to_write,
)
from sfumato.counted import counted
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.prototypes.config import PrototypesConfig

if TYPE_CHECKING:
    from sfumato.data.imageset import ImageSet
    from sfumato.protect.fitted import Fitted
    from sfumato.protect.pretrained import PretrainedProtector


@options_of(prototypes=PrototypesConfig, paper=AnonymizerConfig)
def anonymizer(
    data: Data,
    private: Annotated[str, typer.Option(help="Label to hide; every image needs one.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", callback=folder_to_write, help="Folder for the anonymiser."),
    ],
    size: Annotated[int | None, typer.Option(help="Height and width to resize to.")] = None,
    grey: Annotated[bool, typer.Option(help="Take the images without colour.")] = False,
    split: SplitName = "all",
    count: Count = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    config: PrototypesConfig | AnonymizerConfig,
) -> None:
    """Learn to release pictures that do not say who, and still say what.

    Only the private label is looked at. By default each released picture is the mean of --k
    originals of --values people at least, and none is near to an original: prototypes that cannot
    keep that are dropped, and a collection that cannot is refused. `--method paper` is the paper's
    autoencoder. Interrupted, the same command goes on. `release` applies the result to a
    collection, `audit` attacks it.
    """
    from sfumato.data.sources import load

    images = load(
        data, split=split, data_dir=data_dir, seed=seed, size=size, count=count,
        channels=1 if grey else None,
    )  # fmt: skip
    config = replace(config, seed=seed, device=device)
    with resumable(out, [config, private, images.fingerprint()]) as checkpoint:
        train = partial(_fit, images, private, replace(config, checkpoint=checkpoint))
        if dry_run:
            reads, facts = read_set(images)
            tell_training(
                train, out, reads=reads, facts=facts, left_out=images.skipped, as_json=as_json
            )
        made = train().protector
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
        f"{made.name}: trained on {counted(len(images), 'image')} to hide {private!r}; "
        f"saved in {out}\n"
        f"{_stands_for(made)}next: sfumato release {out} --data {data} -o RELEASED",
        as_json=as_json,
    )


def _fit(
    images: ImageSet, private: str, config: PrototypesConfig | AnonymizerConfig
) -> Fitted[Any]:
    from sfumato.protect.anonymizer.fit import fit_anonymizer
    from sfumato.protect.prototypes.fit import fit_prototypes

    if isinstance(config, PrototypesConfig):
        return fit_prototypes(images, private=private, config=config)
    return fit_anonymizer(images, private=private, config=config)


def _stands_for(made: PretrainedProtector) -> str:
    """Say what each released picture stands for; on stderr, that some are real, if they are."""
    if made.guarantee.originals:
        typer.echo(f"warning: {made.guarantee.originals}, on purpose", err=True)
    return "".join(f"  {figure:g}  {what}\n" for what, figure in made.guarantee.figures.items())
