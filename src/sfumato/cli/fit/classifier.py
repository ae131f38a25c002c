"""`sfumato fit classifier`: train a new classifier on released maps, without any picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.options import AsJson, Device, Seed, finish
from sfumato.protect.release.config import MapClassifierConfig


@options_of(MapClassifierConfig)
def classifier(
    from_release: Annotated[Path, typer.Option(help="File of maps written by `release`.")],
    label: Annotated[str, typer.Option(help="Label to learn, which `release` kept.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the classifier.")],
    seed: Seed = 0,
    device: Device = "auto",
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
    made, accuracy = fit_map_classifier(
        maps, label=label, config=replace(config, seed=seed, device=device)
    )
    made.save(out)
    finish(
        {"label": label, "maps": len(maps), "accuracy": accuracy, "out": str(out)},
        f"{label}: {100 * accuracy:.2f} % of the maps kept aside are named rightly; saved in "
        f"{out}\n"
        f"next: sfumato classify {out} --maps MAPS -o LABELS.csv",
        as_json=as_json,
    )
