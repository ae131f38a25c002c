"""`sfumato fit classifier`: train a new classifier on released maps, without any picture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.dryrun import DryRun, tell_training
from sfumato.cli.options import AsJson, Device, Seed, file_to_write, finish
from sfumato.counted import counted
from sfumato.protect.release.config import MapClassifierConfig


@options_of(MapClassifierConfig)
def classifier(
    from_release: Annotated[Path, typer.Option(help="Folder of maps that `release` wrote.")],
    label: Annotated[str, typer.Option(help="Label to learn, which `release` kept.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="File for the classifier.")
    ],
    seed: Seed = 0,
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    config: MapClassifierConfig,
) -> None:
    """Train a classifier on maps that an obfuscator released; the pictures may be gone.

    Its accuracy is measured on a fifth of the maps, which it does not learn from. `classify`
    applies it to other maps of the same obfuscator.
    """
    from sfumato.protect.release.classifier import fit_map_classifier
    from sfumato.protect.release.maps import open_maps

    maps = open_maps(from_release)
    config = replace(config, seed=seed, device=device)
    train = partial(fit_map_classifier, maps, label=label, config=config)
    if dry_run:
        shape = list(maps.about.shape)
        reads = f"{counted(len(maps), 'map')} of {'x'.join(map(str, shape))} from {from_release}"
        labels = {name: {"values": len(values)} for name, values in maps.about.classes.items()}
        facts = {"maps": len(maps), "shape": shape, "labels": labels}
        tell_training(train, out, reads=reads, facts=facts, as_json=as_json)
    made, accuracy = train()
    made.save(out)
    finish(
        {"label": label, "maps": len(maps), "accuracy": accuracy, "out": str(out)},
        f"{label}: {100 * accuracy:.2f} % of the maps kept aside are named rightly; saved in "
        f"{out}\n"
        f"next: sfumato classify {out} --maps MAPS -o LABELS.csv",
        as_json=as_json,
    )
