"""`sfumato classify`: name stored maps by a classifier that `fit classifier` wrote."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.options import AsJson, Device, file_to_write, finish


def classify(
    classifier: Annotated[Path, typer.Argument(help="A file written by `fit classifier`.")],
    maps: Annotated[Path, typer.Option(help="Folder of maps that `release` wrote.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="CSV file to write.")
    ],
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Write the class of every stored map; where the maps carry the label, measure accuracy.

    The maps must be of the obfuscator whose maps the classifier has learned from. The CSV file
    has a row a map, in the order of the release: its number, from 0, and the class.
    """
    from sfumato.device import resolve_device
    from sfumato.files import write_bytes
    from sfumato.outputs import refuse_lost
    from sfumato.protect.release.classifier import open_map_classifier
    from sfumato.protect.release.maps import open_maps

    refuse_lost(out, [classifier])
    made = open_map_classifier(classifier).to(resolve_device(device))
    stored = open_maps(maps)
    named = [made.classes[number] for number in made.classify(stored).tolist()]
    accuracy = made.accuracy(stored) if made.label in stored.labels else None
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(["map", made.label])
    writer.writerows(enumerate(named))
    write_bytes(out, table.getvalue().encode())
    measured = "" if accuracy is None else f"; {100 * accuracy:.2f} % are named rightly"
    finish(
        {"label": made.label, "maps": len(stored), "accuracy": accuracy, "out": str(out)},
        f"{made.label} of {len(stored):,} maps written to {out}{measured}",
        as_json=as_json,
    )
