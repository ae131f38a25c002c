"""`sfumato fit obfuscator`: keep pictures only as maps that classify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

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
from sfumato.protect.obfuscator.config import ObfuscatorConfig


@options_of(ObfuscatorConfig)
def obfuscator(
    data: Data,
    utility: Annotated[str, typer.Option(help="Label that the maps must tell.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", callback=folder_to_write, help="Folder for the obfuscator."),
    ],
    size: Annotated[int, typer.Option(help="Height and width; VGG16 needs 32 at least.")] = 32,
    split: SplitName = "all",
    count: Count = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    config: ObfuscatorConfig,
) -> None:
    """Learn maps that tell one label of a picture and as little else as possible.

    `release` then turns pictures into stored maps, from which a classifier can be trained later,
    when the pictures are gone. A tenth of the images is kept aside to measure accuracy.
    Interrupted, the same command goes on.
    """
    from sfumato.data.sources import load
    from sfumato.protect.obfuscator.fit import fit_obfuscator

    images = load(data, split=split, data_dir=data_dir, seed=seed, size=size, count=count)
    config = replace(config, seed=seed, device=device)
    with resumable(out, [config, utility, images.fingerprint()]) as checkpoint:
        config = replace(config, checkpoint=checkpoint)
        train = partial(fit_obfuscator, images, utility=utility, config=config)
        if dry_run:
            reads, facts = read_set(images)
            tell_training(
                train, out, reads=reads, facts=facts, left_out=images.skipped, as_json=as_json
            )
        fitted = train()
        fitted.protector.save_pretrained(out)
    made, accuracy, nats = fitted.protector, fitted.accuracies[-1], fitted.protector.certificate
    bound = "" if nats is None else _said(nats)
    finish(
        {
            "protector": made.name,
            "images": fitted.trained,
            "skipped": len(images.skipped),
            "accuracy": accuracy,
            "nats": nats,
            "map": list(made.map_shape),
            "out": str(out),
        },
        f"{made.name}: {utility} read from maps with {100 * accuracy:.1f} % accuracy on "
        f"{counted(fitted.checked, 'image')} kept aside{bound}; saved in {out}\n"
        f"next: sfumato audit --protector {out} --data {data} --utility {utility} --out AUDIT",
        as_json=as_json,
    )


def _said(nats: Mapping[str, float]) -> str:
    return (
        f"; no map says more than {nats['most']:.2f} nats beyond the class that it tells (those "
        f"pictures: mean {nats['mean']:.2f}, 95 % at most {nats['p95']:.2f}, worst "
        f"{nats['worst']:.2f})"
    )
