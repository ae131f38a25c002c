"""`sfumato fit san`: hide a binary attribute of aligned faces, keep them recognisable."""

from __future__ import annotations

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
from sfumato.protect.san.config import SanConfig


@options_of(SanConfig)
def san(
    data: Data,
    private: Annotated[
        list[str], typer.Option(help="Label of two values to hide; repeatable, hidden together.")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", callback=folder_to_write, help="Folder for the protector."),
    ],
    keep: Annotated[
        str, typer.Option(help="Label of people: a matcher learns it, and must go on matching.")
    ] = "identity",
    matcher: Annotated[
        Path | None,
        typer.Option(help="VGG-Face weights (.safetensors, .npz, .mat) instead of a matcher."),
    ] = None,
    size: Annotated[int, typer.Option(help="Height and width, a multiple of 4 up to 224.")] = 64,
    split: SplitName = "all",
    count: Count = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
    *,
    config: SanConfig,
) -> None:
    """Learn to change pictures a little, so that classifiers of an attribute fail.

    The pictures must be aligned alike: prototypes are their means. It misleads classifiers that
    were made without its outputs; one retrained on them reads the attribute again. Interrupted,
    the same command goes on. `release` applies the result, `audit` attacks it.
    """
    from sfumato.data.cache import content_key
    from sfumato.data.sources import load
    from sfumato.nets.vggface import load_vggface
    from sfumato.protect.san.doubts import doubts
    from sfumato.protect.san.fit import fit_san

    images = load(
        data, split=split, data_dir=data_dir, seed=seed, size=size, count=count, channels=3
    )
    config = replace(config, seed=seed, device=device)
    known = keep if matcher is None else content_key([matcher])
    with resumable(out, [config, private, known, images.fingerprint()]) as state:
        train = partial(
            fit_san,
            images,
            private=tuple(private),
            identity=keep,
            matcher=None if matcher is None else load_vggface(matcher),
            config=replace(config, checkpoint=state),
        )
        if dry_run:
            reads, facts = read_set(images)
            tell_training(
                train, out, reads=reads, facts=facts, left_out=images.skipped, as_json=as_json
            )
        made = train()
        made.protector.save_pretrained(out)
    doubted = doubts(made.histories)
    for line in doubted:
        typer.echo(f"warning: {line}", err=True)
    left_out = f"; {made.left_out:,} without the label were left out" if made.left_out else ""
    finish(
        {
            "protector": made.protector.name,
            "private": private,
            "images": made.trained,
            "left_out": made.left_out,
            "skipped": len(images.skipped),
            "warnings": doubted,
            "out": str(out),
        },
        f"{made.protector.name}: trained on {counted(made.trained, 'image')} to hide "
        f"{', '.join(private)}{left_out}; saved in {out}\n"
        f"next: sfumato release {out} --data {data} -o RELEASED",
        as_json=as_json,
    )
