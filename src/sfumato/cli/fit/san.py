"""`sfumato fit san`: hide a binary attribute of aligned faces, keep them recognisable."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli.fit.resume import resumable
from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish

if TYPE_CHECKING:
    from torch import nn

    from sfumato.data.imageset import ImageSet
    from sfumato.protect.san.config import SanConfig


def san(
    data: Annotated[str, typer.Option(help="folder:PATH, or a name of `data list`.")],
    private: Annotated[
        list[str], typer.Option(help="Label of two values to hide; repeatable, hidden together.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the protector.")],
    keep: Annotated[
        str, typer.Option(help="Label of people: a matcher learns it, and must go on matching.")
    ] = "identity",
    matcher: Annotated[
        Path | None,
        typer.Option(help="VGG-Face weights (.safetensors, .npz, .mat) instead of a matcher."),
    ] = None,
    network: Annotated[
        Literal["residual", "paper"],
        typer.Option(help="Ours against many classifiers, or the paper's against one."),
    ] = "residual",
    output: Annotated[
        Literal["OP", "NT", "SM"],
        typer.Option(help="What release gives: opposite, neutral or same prototype."),
    ] = "OP",
    bound: Annotated[float, typer.Option(help="residual: largest change of a pixel, of 1.")] = 0.15,
    epochs: Annotated[int, typer.Option(help="Passes of joint training a round.", min=1)] = 10,
    rounds: Annotated[
        int, typer.Option(help="residual: times that some classifiers are replaced.", min=1)
    ] = 2,
    ensemble: Annotated[
        int, typer.Option(help="residual: classifiers to train against.", min=1)
    ] = 8,
    ensemble_a_step: Annotated[
        int, typer.Option(help="residual: classifiers that one step asks.", min=1)
    ] = 3,
    refreshed: Annotated[
        int, typer.Option(help="residual: classifiers replaced between rounds.", min=0)
    ] = 2,
    ensemble_width: Annotated[
        int, typer.Option(help="residual: channels of each classifier's first layer.", min=8)
    ] = 16,
    ensemble_images: Annotated[
        int, typer.Option(help="residual: pictures from which each classifier learns.", min=2)
    ] = 3_000,
    ensemble_epochs: Annotated[
        int | None,
        typer.Option(help="residual: passes of each; --classifier-epochs without it.", min=1),
    ] = None,
    classifier_epochs: Annotated[
        int, typer.Option(help="Passes of the classifier that release asks.", min=1)
    ] = 5,
    matcher_epochs: Annotated[
        int, typer.Option(help="Passes of the matcher that learns --keep.", min=1)
    ] = 8,
    pretrain_epochs: Annotated[
        int, typer.Option(help="paper: passes of drawing the picture itself first.", min=1)
    ] = 3,
    joint_images: Annotated[
        int | None, typer.Option(help="Pictures of joint training; all without it.", min=1)
    ] = None,
    near: Annotated[
        float, typer.Option(help="residual: how much nearer classifiers look, below 1.", min=0)
    ] = 0.0,
    cover: Annotated[
        float,
        typer.Option(help="residual: share of pictures partly covered for them.", min=0, max=1),
    ] = 0.0,
    attribute_weight: Annotated[
        float, typer.Option(help="residual: weight of fooling the classifiers.", min=0)
    ] = 1.0,
    match_weight: Annotated[
        float, typer.Option(help="residual: weight of going on matching.", min=0)
    ] = 8.0,
    match_free: Annotated[
        float, typer.Option(help="residual: squared distance of embeddings without cost.", min=0)
    ] = 0.01,
    match_share: Annotated[
        float, typer.Option(help="residual: share of a batch that the matcher looks at.")
    ] = 0.34,
    pixel_weight: Annotated[
        float, typer.Option(help="residual: weight of changing little.", min=0)
    ] = 0.5,
    learning_rate: Annotated[float, typer.Option(help="Of the autoencoder.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(help="Pictures a step.", min=1)] = 32,
    size: Annotated[int, typer.Option(help="Height and width, a multiple of 4 up to 224.")] = 64,
    grey: Annotated[bool, typer.Option(help="Protect grey pictures, as the paper does.")] = False,
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
    ] = "all",
    count: Annotated[int | None, typer.Option(help="Only so many images, drawn at random.")] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Learn to change pictures a little, so that classifiers of an attribute fail.

    The pictures must be aligned alike: prototypes are their means. It misleads classifiers that
    were made without its outputs; one retrained on them reads the attribute again. Interrupted,
    the same command goes on. `release` applies the result, `audit` attacks it.
    """
    from sfumato.data.cache import content_key
    from sfumato.data.sources import load
    from sfumato.protect.san.config import SanConfig
    from sfumato.protect.san.fit import fit_san
    from sfumato.protect.san.model import check_settings
    from sfumato.protect.san.prototypes import binary_labels

    images = load(
        data, split=split, data_dir=data_dir, seed=seed, size=size, count=count, channels=3
    )
    # Before the matcher trains for minutes: what cannot be hidden is said at once.
    binary_labels(images, tuple(private))
    check_settings(size, size, 1 if grey else 3, private, network, bound, output)
    config = SanConfig(
        network=network, output=output, channels=1 if grey else 3, bound=bound, epochs=epochs,
        rounds=rounds, ensemble=ensemble, ensemble_a_step=ensemble_a_step, refreshed=refreshed,
        ensemble_width=ensemble_width, ensemble_images=ensemble_images,
        ensemble_epochs=ensemble_epochs,
        joint_images=joint_images, classifier_epochs=classifier_epochs,
        matcher_epochs=matcher_epochs, pretrain_epochs=pretrain_epochs,
        near=near, cover=cover, attribute_weight=attribute_weight, match_weight=match_weight,
        match_free=match_free, match_share=match_share, pixel_weight=pixel_weight,
        learning_rate=learning_rate, batch_size=batch_size, seed=seed, device=device,
    )  # fmt: skip
    eyes_of = keep if matcher is None else content_key([matcher])
    with resumable(out, [config, private, eyes_of, images.fingerprint()]) as state:
        config = replace(config, checkpoints=state)
        eyes = _matcher(images, keep, matcher, config)
        made = fit_san(images, tuple(private), matcher=eyes, config=config)
        made.protector.save_pretrained(out)
    left_out = f"; {made.left_out:,} without the label were left out" if made.left_out else ""
    finish(
        {
            "protector": made.protector.name,
            "private": private,
            "images": len(images) - made.left_out,
            "left_out": made.left_out,
            "skipped": len(images.skipped),
            "out": str(out),
        },
        f"{made.protector.name}: trained on {len(images) - made.left_out:,} images to hide "
        f"{', '.join(private)}{left_out}; saved in {out}\n"
        f"next: sfumato release {out} --data {data} -o RELEASED",
        as_json=as_json,
    )


def _matcher(images: ImageSet, keep: str, weights: Path | None, config: SanConfig) -> nn.Module:
    from sfumato.data.assemble import conform
    from sfumato.data.options import SourceOptions
    from sfumato.nets.vggface import load_vggface
    from sfumato.protect.san.matcher import train_matcher

    if weights is not None:
        return load_vggface(weights)
    channels: Literal[1, 3] = 1 if config.channels == 1 else 3
    taken = replace(images, images=conform(images.images, SourceOptions(channels=channels)))
    return train_matcher(taken, keep, config.stage("matcher", config.matcher_epochs))
