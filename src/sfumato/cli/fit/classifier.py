"""`sfumato fit classifier`: train a new classifier on released maps, without any picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.options import AsJson, Device, Seed, finish


def classifier(
    from_release: Annotated[Path, typer.Option(help="Folder of maps written by `release`.")],
    label: Annotated[str, typer.Option(help="Label to learn, carried over by --keep.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File for the classifier.")],
    epochs: Annotated[int, typer.Option(help="Passes over the maps.", min=1)] = 15,
    seed: Seed = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a classifier on maps that an obfuscator released; the pictures may be gone.

    Its accuracy is measured on a fifth of the maps, which it does not learn from.
    """
    from sfumato.protect.release.classifier import MapClassifierConfig, fit_map_classifier
    from sfumato.protect.release.maps import open_maps

    maps = open_maps(from_release)
    config = MapClassifierConfig(epochs=epochs, seed=seed, device=device)
    made, accuracy = fit_map_classifier(maps, label, config)
    made.save(out)
    finish(
        {"label": label, "maps": len(maps), "accuracy": accuracy, "out": str(out)},
        f"{label}: {100 * accuracy:.2f} % of the maps kept aside are named rightly; saved in {out}",
        as_json=as_json,
    )
