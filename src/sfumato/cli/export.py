"""`sfumato export`: a fitted protector as one ONNX file, for devices without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.options import AsJson, file_to_write, finish


def export(
    protector: Annotated[Path, typer.Argument(help="A folder written by `fit`.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="The ONNX file to write.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write a fitted protector as one ONNX file that a camera or a phone can run.

    An obfuscator's file takes `images` and standard normal `noise` of the map's shape, and gives
    `maps`; there is no classifier in it. The device computes the noise from a secret of its own
    and the picture ("Noise key" of the formats), so that nobody averages maps of one picture. A
    SAN's takes `images` and gives `release`; one of output coin takes `targets` too, 0 or 1 for
    each attribute, drawn by a generator that nobody can guess, alike for all pictures of a person.
    Pixels are in [0, 1].
    """
    from sfumato.errors import ConfigError
    from sfumato.protect.obfuscator.model import Obfuscator
    from sfumato.protect.obfuscator.onnx import export_obfuscator
    from sfumato.protect.pretrained import open_pretrained
    from sfumato.protect.san.model import SemiAdversarial
    from sfumato.protect.san.onnx import export_san

    made = open_pretrained(protector)
    if isinstance(made, Obfuscator):
        export_obfuscator(made, out)
        inputs, output = ["images", "noise"], "maps"
    elif isinstance(made, SemiAdversarial):
        export_san(made, out)
        inputs, output = ["images", *(["targets"] if made.output == "coin" else [])], "release"
    else:
        raise ConfigError(
            f"{protector}: a protector of kind {made.kind} is not exported to ONNX, only "
            "obfuscator and san are; `sfumato release` applies it"
        )
    size = out.stat().st_size
    finish(
        {"protector": made.name, "out": str(out), "bytes": size, "inputs": inputs},
        f"{made.name}: {' and '.join(inputs)} to {output}, {size:,} bytes in {out}",
        as_json=as_json,
    )
