"""`sfumato filter`: enrol on a device, decide, and run the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sfumato.cli.options import AsJson, DataDir, Seed, finish

app = typer.Typer(no_args_is_help=True, help="Block uploads of pictures that others enrolled.")
bank = typer.Typer(no_args_is_help=True, help="Keep a bank of enrollments in a file.")
user = typer.Typer(no_args_is_help=True, help="Accounts of the service.")
app.add_typer(bank, name="bank")
app.add_typer(user, name="user")

_DATABASE = "sqlite:///sfumato.db"
Database = Annotated[str, typer.Option("--db", help="The service's database, sqlite:///FILE.")]
BankFile = Annotated[Path, typer.Option("--bank", help="The bank's file.")]


@app.command()
def backbone(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    spec: Annotated[
        str,
        typer.Option(
            help="The provider's extractor: gradients:CxHxW, raw:CxHxW, timm:NAME or onnx:PATH."
        ),
    ],
    public: Annotated[
        str | None, typer.Option(help="Public images that fit its scaler: a data set's name.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Safetensors file with a timm model's weights.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the public images.")] = None,
    count: Annotated[int | None, typer.Option(help="Number of public images.")] = None,
    dims: Annotated[int | None, typer.Option(help="Project to this many dimensions.")] = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Write the provider's public backbone file, which devices and the service share."""
    from sfumato.data import load
    from sfumato.features.backbone import open_backbone

    images = public and load(public, data_dir=data_dir, size=size, count=count, seed=seed)
    made = open_backbone(spec, weights=weights, public=images or None, dims=dims, seed=seed)
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
    hidden: Annotated[int, typer.Option(help="M, as the bank asks for.")] = 32,
    epochs: Annotated[int, typer.Option(help="Passes over the pictures.")] = 60,
    calibration: Annotated[
        Literal["held-out", "cross-fitted", "training"] | None,
        typer.Option(
            help="Pictures whose errors set the claim: by default new ones, held out of many or "
            "cross-fitted from few; training is the paper's way, which claims too little."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train on private pictures on this device, and write the one file that may leave it."""
    from sfumato.features.backbone import open_backbone
    from sfumato.files import write_bytes
    from sfumato.filter.enroll import enroll as train
    from sfumato.filter.enrollment import open_enrollment, seal_enrollment
    from sfumato.filter.oneclass import OneClassConfig
    from sfumato.serve.device import owner_key, read_features

    opened = open_backbone(backbone)
    found = read_features(folder, opened)
    for name, reason in found.skipped:
        typer.echo(f"skipped {name}: {reason}", err=True)
    config = OneClassConfig(hidden=hidden, epochs=epochs)
    made = train(
        found.features, config, backbone=opened.fingerprint, seed=seed, calibration=calibration
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
        "backbone": made.backbone,
    }
    text = (
        f"{out}: {made.count} pictures, {len(found.skipped)} files skipped, "
        f"mu {made.mu:.4g}, sigma {made.sigma:.4g} ({made.calibration})"
    )
    finish(result, text, as_json=as_json)


@app.command()
def check(
    image: Annotated[Path, typer.Argument(help="The picture that somebody wants to upload.")],
    bank: BankFile,
    backbone: Annotated[
        Path | None, typer.Option(help="Backbone file; BANK with the ending .backbone by default.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--as", help="Who uploads it; a stranger by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide whether a picture may be shared, and say why. For the platform's eyes."""
    _needs_serve()
    from sfumato.serve.local import judge

    judged = judge(image, bank, backbone or bank.with_suffix(".backbone"), owner)
    # Where no foreign claim was left to decide there is neither a margin nor a nearest one.
    near = f" (margin {judged.margin:.3g} sigma; nearest claim: {judged.enrollment})"
    text = f"{judged.decision}: {judged.reason}{near if judged.enrollment else ''}"
    result = {
        "decision": judged.decision,
        "reason": judged.reason,
        # JSON has no infinity; null where no foreign claim was left to decide.
        "margin": judged.margin if judged.enrollment else None,
        "enrollment": judged.enrollment,
    }
    finish(result, text, as_json=as_json)


@bank.command("add")
def bank_add(
    files: Annotated[list[Path], typer.Argument(help="Enrollment files.")],
    bank: BankFile,
    owner: Annotated[str, typer.Option(help="Whose they are.")],
    as_json: AsJson = False,
) -> None:
    """Check, screen and add enrollments; the first one of a new bank fixes its backbone."""
    _needs_serve()
    from sfumato.serve.local import add_files

    entries = add_files(bank, files, owner)
    _show(entries, as_json=as_json)


@bank.command("remove")
def bank_remove(
    enrollment: Annotated[str, typer.Argument(help="Id, or its first 8 or more digits.")],
    bank: BankFile,
    as_json: AsJson = False,
) -> None:
    """Erase an enrollment: no byte of it stays in the bank's files."""
    _needs_serve()
    from sfumato.serve.local import remove

    gone = remove(bank, enrollment)
    finish({"erased": gone.id}, f"erased {gone.id} of {gone.account}", as_json=as_json)


@bank.command("list")
def bank_list(bank: BankFile, as_json: AsJson = False) -> None:
    """List the enrollments of a bank."""
    _needs_serve()
    from sfumato.serve.local import opened

    with opened(bank) as store:
        entries = store.entries()
    _show(entries, as_json=as_json)


@user.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="1 to 64 letters, digits and . _ @ -")],
    db: Database = _DATABASE,
    moderator: Annotated[bool, typer.Option(help="May decide on quarantined ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create an account and print its token, once: only its hash is kept."""
    _needs_serve()
    from sfumato.serve.auth import add_account
    from sfumato.serve.db import open_database

    engine = open_database(db)
    try:
        _, token = add_account(engine, name, moderator=moderator)
    finally:
        engine.dispose()
    finish({"name": name, "token": token}, str(token), as_json=as_json)


@app.command()
def serve(
    backbone: Annotated[Path, typer.Option(help="The provider's public backbone file.")],
    db: Database = _DATABASE,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8080,
    hidden: Annotated[
        int | None, typer.Option(help="M of every enrollment; the database's, 32 where new.")
    ] = None,
    quota: Annotated[int, typer.Option(help="Enrollments that one account may hold.")] = 20,
) -> None:
    """Serve the filter over HTTP; /docs describes it."""
    _needs_serve()
    from sfumato.serve.run import serve as run
    from sfumato.serve.settings import ServeSettings

    settings = ServeSettings(
        backbone=backbone, database=db, host=host, port=port, hidden=hidden, quota=quota
    )
    run(settings)


def _needs_serve() -> None:
    from importlib.util import find_spec

    from sfumato.errors import UnavailableError

    missing = [name for name in ("sqlalchemy", "fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UnavailableError(
            f"a bank and its service need {missing[0]}; pip install 'sfumato[serve]'"
        )


def _default_key() -> Path:
    from platformdirs import user_config_path

    return user_config_path("sfumato") / "owner.pem"


def _show(entries: list[Any], *, as_json: bool) -> None:
    lines = [f"{e.id}  {e.status:<12}{e.account:<16}{e.created[:19]}  {e.reason}" for e in entries]
    result = {
        "enrollments": [
            {
                "id": e.id,
                "owner": e.account,
                "status": e.status,
                "reason": e.reason,
                "created": e.created,
            }
            for e in entries
        ]
    }
    finish(result, "\n".join(lines) or "the bank is empty", as_json=as_json)
