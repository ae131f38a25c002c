"""`sfumato filter`: make the provider's backbone, enroll on a device, decide about a picture."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sfumato.cli.configoptions import changes_of
from sfumato.cli.filter import admin as filter_admin
from sfumato.cli.filter import bank as filter_bank
from sfumato.cli.filter import calibrate as filter_calibrate
from sfumato.cli.filter import moderate as filter_moderate
from sfumato.cli.filter import send as filter_send
from sfumato.cli.filter import serve as filter_serve
from sfumato.cli.filter.options import (
    DATABASE,
    Beside,
    Database,
    Shortlist,
    backbone_beside,
    needs_serve,
    policy_of,
)
from sfumato.cli.imports import quick_imports
from sfumato.cli.options import AsJson, DataDir, Seed, finish
from sfumato.errors import InputError
from sfumato.features.inputsettings import InputSettings

if TYPE_CHECKING:
    from sfumato.serve.records.decisions import Match

app = typer.Typer(no_args_is_help=True, help="Block uploads of pictures that others enrolled.")
app.add_typer(filter_bank.app, name="bank")
app.add_typer(filter_moderate.app, name="moderate")
app.add_typer(filter_admin.user, name="user")
app.add_typer(filter_admin.rules, name="rules")
app.add_typer(filter_admin.db, name="db")
app.command("calibrate")(filter_calibrate.calibrate)
app.command("log")(filter_admin.log)
app.command("serve")(filter_serve.serve)
app.command("send")(filter_send.send)


@app.command()
@changes_of(InputSettings)
def backbone(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
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
    out: Annotated[Path, typer.Option("--out", "-o", help="Enrollment file to write.")],
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
        int | None, typer.Option(help="Passes over the pictures; the preset's if left out.")
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
    from sfumato.filter.enroll import enroll as train
    from sfumato.filter.enrollment import open_enrollment, seal_enrollment
    from sfumato.filter.oneclass import OneClassConfig
    from sfumato.filter.private_pictures import owner_key, read_features

    opened = open_backbone(backbone)
    chosen = {"hidden": hidden, "epochs": epochs}
    changes = {name: value for name, value in chosen.items() if value is not None}
    config = OneClassConfig.preset(preset, **changes).suited(opened.kind)
    drawn = secrets.randbits(31) if seed is None else seed
    found = read_features(
        folder, opened, augmentation=config.augmentation, seed=drawn, copies=copies
    )
    for left_out in found.skipped:
        typer.echo(f"skipped {left_out}", err=True)
    made = train(
        found.features,
        config,
        backbone=opened.fingerprint,
        seed=drawn,
        views=found.views,
        calibration=calibration,
        copies=found.copies,
    )
    secret, fresh = owner_key(key or _default_key())
    if fresh:
        typer.echo(f"made the key {key or _default_key()}; keep it, it is yours alone", err=True)
    content = seal_enrollment(made, secret)
    write_bytes(out, content)
    result: dict[str, Any] = {
        "file": str(out),
        "id": open_enrollment(content).id,
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
        f"{out}: {made.count} pictures, {len(found.skipped)} files skipped, "
        f"mu {made.mu:.4g}, sigma {made.sigma:.4g} ({made.calibration})"
    )
    finish(result, text, as_json=as_json)


@app.command()
def check(
    image: Annotated[
        Path, typer.Argument(help="The picture or animation that somebody wants to upload.")
    ],
    db: Database = DATABASE,
    backbone: Beside = None,
    account: Annotated[
        str | None, typer.Option(help="Account that uploads it; a stranger by default.")
    ] = None,
    shortlist: Shortlist = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether a picture may be shared, and say why. The answer is for the platform alone.

    Of an animation, or of several pages, every frame is judged, and any of them blocks it. The
    decision is the one that `filter serve` takes by the rules as they are now: where `filter rules
    set` leaves uploads unblocked, it is share, and the reason says what would block it. In a
    roll-out to a part of the uploaders, an upload without --account counts as one of that part. A
    service with a shortlist may miss a match: give its `--shortlist` for its decision.
    """
    needs_serve()
    with quick_imports():
        from sfumato.serve.local import judge

    file = backbone_beside(db, backbone)
    policy = policy_of(file)
    judged = judge(image, db, file, account, reach=shortlist)
    match = judged.match
    near = _near(match, judged.frame, calibrated=policy is not None) if match.enrollment else ""
    text = f"{judged.verdict}: {judged.explanation}{near}"
    result = {
        "decision": judged.verdict,
        "reason": judged.explanation,
        "would_block": judged.against is not None,
        "enforced": judged.enforced,
        # JSON has no infinity; null where nobody else has an enrollment that counts.
        "margin": match.margin if match.enrollment else None,
        # Null of a near copy, and without a policy.
        "strangers": _strangers(match) if policy and match.enrollment else None,
        "enrollment": match.enrollment,
        "frame": judged.frame,
    }
    finish(result, text, as_json=as_json)


def _near(match: Match, frame: int | None, *, calibrated: bool) -> str:
    """Return how near the nearest enrollment is, in words."""
    share = _strangers(match) if calibrated else None
    if share is not None:
        how = f"{share:.2g} of strangers' pictures match as well"
    else:
        how = f"margin {match.margin:.3g} {'bits' if match.claim == 'copy' else 'sigma'}"
    which = "" if frame is None else f"frame {frame}, "
    return f" ({which}{how}; nearest enrollment: {match.enrollment})"


def _strangers(match: Match) -> float | None:
    """Return the share of strangers' pictures that the bank matches as well; None of a copy."""
    return None if match.score is None else min(1.0, 10**match.score)


def _default_key() -> Path:
    from platformdirs import user_config_path

    return user_config_path("sfumato") / "owner.pem"
