"""`sfumato filter`: make the provider's backbone, enroll on a device, decide about a picture."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sfumato.cli.configoptions import changes_of
from sfumato.cli.filter import admin as filter_admin
from sfumato.cli.filter import bank as filter_bank
from sfumato.cli.filter import calibrate as filter_calibrate
from sfumato.cli.filter import check as filter_check
from sfumato.cli.filter import moderate as filter_moderate
from sfumato.cli.filter import send as filter_send
from sfumato.cli.filter import serve as filter_serve
from sfumato.cli.filter import try_ as filter_try
from sfumato.cli.options import (
    AsJson,
    DataDir,
    Seed,
    file_of,
    file_to_write,
    finish,
    say_skipped,
)
from sfumato.counted import counted
from sfumato.errors import InputError
from sfumato.features.inputsettings import InputSettings

app = typer.Typer(no_args_is_help=True, help="Block uploads of pictures that others enrolled.")
app.add_typer(filter_bank.app, name="bank")
app.add_typer(filter_moderate.app, name="moderate")
app.add_typer(filter_admin.user, name="user")
app.add_typer(filter_admin.rules, name="rules")
app.add_typer(filter_admin.db, name="db")
app.command("check")(filter_check.check)
app.command("try")(filter_try.try_)
app.command("calibrate")(filter_calibrate.calibrate)
app.command("log")(filter_admin.log)
app.command("serve")(filter_serve.serve)
app.command("send")(filter_send.send)


@app.command()
@changes_of(InputSettings)
def backbone(
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="File to write.")
    ],
    spec: Annotated[
        str,
        typer.Option(
            help="The provider's extractor: face, gradients:CxHxW, raw:CxHxW, timm:NAME or "
            "onnx:PATH."
        ),
    ],
    public: Annotated[
        str | None,
        typer.Option(
            help="Public images that fit its scaler: a folder of pictures, or a data set's name. "
            "Of face, timm and onnx it is needed."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Safetensors file with a timm model's weights.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Number of public images.")] = None,
    dims: Annotated[int | None, typer.Option(help="Project to this many dimensions.")] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Keep a timm model as an ONNX graph: twice as fast.")
    ] = False,
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: AsJson = False,
    *,
    changes: dict[str, Any],
) -> None:
    """Write the provider's public backbone file, which devices and the service share.

    `face` finds every face of a picture and embeds each. Pictures enrolled with it show one face;
    an upload is judged by all that it shows. It needs the extra `faces`.
    """
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.features.backbone import open_backbone
    from sfumato.features.onnx_copy import onnx_copy
    from sfumato.outputs import refuse_lost

    refuse_lost(out, [*file_of(spec), *([weights] if weights else [])])
    options = SourceOptions(data_dir=data_dir, count=count, seed=seed)
    images = open_lazily(public, options) if public else None
    made = open_backbone(
        spec, weights=weights, preprocess=changes, public=images, dims=dims, seed=seed
    )
    if made.scaler is None:
        raise InputError(
            f"{made.name} needs --public, a folder of pictures of the kind that people upload: its "
            "features get their range of [0, 1] from them, and nobody can enroll without"
        )
    made = onnx_copy(made) if onnx else made
    made.save(out)
    result = {"file": str(out), "fingerprint": made.fingerprint, "dim": made.dim}
    text = f"{out}: {made.name}, {made.dim} features, fingerprint {made.fingerprint}"
    finish(result, text, as_json=as_json)


@app.command()
def enroll(
    folder: Annotated[Path, typer.Argument(help="Folder of private pictures; they stay here.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=file_to_write, help="Enrollment file to write.")
    ],
    backbone: Annotated[
        str, typer.Option(help="The provider's backbone file, or a spec such as raw:1x28x28.")
    ],
    key: Annotated[
        Path | None,
        typer.Option(help="Ed25519 key (PEM) that signs; made where there is none."),
    ] = None,
    preset: Annotated[
        Literal["default", "plain", "paper"],
        typer.Option(
            help="Training: on views of the pictures, which hides from the platform which pictures "
            "were enrolled; on the pictures as they are, which holds better against who has stolen "
            "them; or the paper's own, which finds the class less surely."
        ),
    ] = "default",
    hidden: Annotated[
        int | None, typer.Option(help="M, as the bank asks for; the preset's if left out.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Passes over the pictures, more if --least-steps asks for them; the preset's if "
            "left out."
        ),
    ] = None,
    least_steps: Annotated[
        int | None,
        typer.Option(
            help="Gradient steps to take at least: a few pictures are soon passed over. The "
            "preset's if left out."
        ),
    ] = None,
    calibration: Annotated[
        Literal["held-out", "cross-fitted", "training"] | None,
        typer.Option(
            help="Pictures whose errors set the claim: by default new ones, held out of many or "
            "cross-fitted from few; training is the paper's way, which claims too little."
        ),
    ] = None,
    copies: Annotated[
        bool,
        typer.Option(
            help="Send hashes of the pictures along, so that near copies are blocked as well; "
            "they tell more of the pictures than the rest does."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Repeats a training; the system draws one if left out, since who knows the seed "
            "knows which views were trained on."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train on private pictures on this device, and write the one file that may leave it."""
    from sfumato.features.backbone import open_backbone
    from sfumato.files import write_bytes
    from sfumato.filter.device import enroll_folder
    from sfumato.filter.oneclass import OneClassConfig
    from sfumato.outputs import refuse_lost

    chosen = {"hidden": hidden, "epochs": epochs, "least_steps": least_steps}
    changes = {name: value for name, value in chosen.items() if value is not None}
    signing = key or _default_key()
    refuse_lost(out, [signing, *file_of(backbone)])
    done = enroll_folder(
        folder,
        open_backbone(backbone),
        OneClassConfig.preset(preset, **changes),
        key=signing,
        seed=secrets.randbits(31) if seed is None else seed,
        calibration=calibration,
        copies=copies,
    )
    made, found = done.enrollment, done.found
    say_skipped(found.skipped)
    if done.fresh_key:
        typer.echo(f"made the key {signing}; keep it, it is yours alone", err=True)
    write_bytes(out, done.content)
    result: dict[str, Any] = {
        "file": str(out),
        "id": done.id,
        "count": made.count,
        "skipped": [name for name, _ in found.skipped],
        "mu": made.mu,
        "sigma": made.sigma,
        "calibration": made.calibration,
        "copies": 0 if made.copies is None else len(made.copies),
        "views": 0 if found.views is None else found.views.shape[1],
        "backbone": made.backbone,
    }
    text = (
        f"{out}: {counted(made.count, 'picture')}, {counted(len(found.skipped), 'file')} skipped, "
        f"mu {made.mu:.4g}, sigma {made.sigma:.4g} ({made.calibration})"
    )
    finish(result, text, as_json=as_json)


def _default_key() -> Path:
    from platformdirs import user_config_path

    return user_config_path("sfumato") / "owner.pem"
