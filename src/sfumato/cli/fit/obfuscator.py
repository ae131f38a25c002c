"""`sfumato fit obfuscator`: keep pictures only as maps that classify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.cli.fit.resume import resumable
from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish

_CHECKED = 0.1  # share of the images that only measure accuracy


def obfuscator(
    data: Annotated[str, typer.Option(help="folder:PATH, or a name of `data list`.")],
    utility: Annotated[str, typer.Option(help="Label that the maps must tell.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the obfuscator.")],
    objective: Annotated[
        Literal["rate", "psnr", "bounded", "none"],
        typer.Option(
            help="rate bounds what a map says beyond its class; psnr is the paper's; bounded "
            "counts errors down to the mean picture; none protects nothing."
        ),
    ] = "rate",
    lam: Annotated[float, typer.Option(help="Weight of privacy against utility.")] = 0.02,
    epochs: Annotated[int, typer.Option(help="Passes over the images.", min=1)] = 40,
    cycles: Annotated[int, typer.Option(help="psnr, bounded: rounds after the warm-up.")] = 10,
    reconstructor: Annotated[
        list[str] | None,
        typer.Option(help="psnr, bounded: simrec, urec1, urec2 or resrec; repeatable."),
    ] = None,
    scale: Annotated[float, typer.Option(help="Of VGG16's channels; 0.25 suits two cores.")] = 0.25,
    cut: Annotated[
        int,
        typer.Option(
            help="Layers of VGG16 (poolings too) in the obfuscator; 6 is the paper's, deeper maps "
            "need to say less."
        ),
    ] = 14,
    map_channels: Annotated[int, typer.Option(help="Channels of the stored maps.", min=1)] = 8,
    stored: Annotated[Literal["int8", "bf16"], typer.Option(help="Numbers in stored maps.")] = (
        "int8"
    ),
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
    ] = "all",
    count: Annotated[int | None, typer.Option(help="Only so many images, drawn at random.")] = None,
    size: Annotated[int, typer.Option(help="Height and width; VGG16 needs 32 at least.")] = 32,
    flip: Annotated[bool, typer.Option(help="Mirror images while training; not digits.")] = False,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Learn maps that tell one label of a picture and as little else as possible.

    `release` then turns pictures into stored maps, from which a classifier can be trained later,
    when the pictures are gone. Interrupted, the same command goes on.
    """
    from sfumato.data.sources import load
    from sfumato.data.splits import split_images
    from sfumato.protect.obfuscator.config import ObfuscatorConfig
    from sfumato.protect.obfuscator.fit import certified_rate, fit_obfuscator

    images = load(data, split=split, data_dir=data_dir, seed=seed, size=size, count=count)
    train, check = split_images(images, (1 - _CHECKED, _CHECKED), seed=seed)
    config = ObfuscatorConfig(
        objective=objective,
        lam=lam,
        epochs=epochs,
        cycles=cycles,
        reconstructors=tuple(reconstructor or ("simrec",)),
        cut=cut,
        scale=scale,
        attacker_scale=scale,
        map_channels=map_channels,
        stored=stored,
        flip=flip,
        seed=seed,
        device=device,
    )
    with resumable(out, [config, utility, images.fingerprint()]) as checkpoint:
        config = replace(config, checkpoint=checkpoint)
        fitted = fit_obfuscator(train, utility, config, check=check)
        made = fitted.obfuscator
        made.save_pretrained(out)
    accuracy = fitted.accuracies[-1]
    rate = certified_rate(fitted, check) if made.noise else None
    bound = "" if rate is None else f"; at most {rate:.1f} nats a map beyond its class"
    finish(
        {
            "protector": made.name,
            "images": len(train),
            "skipped": len(images.skipped),
            "accuracy": accuracy,
            "excess_nats": rate,
            "map": list(made.map_shape),
            "out": str(out),
        },
        f"{made.name}: {utility} read from maps with {100 * accuracy:.1f} % accuracy on "
        f"{len(check):,} images kept aside{bound}; saved in {out}\n"
        f"next: sfumato audit --protector {out} --data {data} --utility {utility}",
        as_json=as_json,
    )
