"""`sfumato audit` and `sfumato report`: attack protectors, and render what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli.options import AsJson, DataDir, Device, Seed, finish
from sfumato.errors import ConfigError

if TYPE_CHECKING:
    from sfumato.attack.learners import LearnerConfig
    from sfumato.audit.report import Report
    from sfumato.data.imageset import ImageSet
    from sfumato.types import Attack

_ADVERSARY_SHARE = 0.5
_QUICK_EPOCHS = 15


def audit(
    protector: Annotated[
        list[str],
        typer.Option(
            help="none, noise:SIGMA, blur:SIGMA, pixelate:BLOCK, features:BACKBONE, "
            "shufflebits:BACKBONE, sealed:BACKBONE, or MODULE:CLASS[:ARGUMENT] of your own. "
            "Repeat it to compare."
        ),
    ],
    data: Annotated[str, typer.Option(help="Image set, as in `sfumato data list`.")],
    out: Annotated[Path, typer.Option(help="Folder for report.json, report.html and the cells.")],
    private: Annotated[
        list[str] | None, typer.Option(help="Label to hide. Repeat it for more.")
    ] = None,
    utility: Annotated[
        list[str] | None, typer.Option(help="Label that must stay readable. Repeat it for more.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(help="Also: reconstruct, verify or reidentify. Repeat it for more."),
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="Label that names people; none is then on both sides.")
    ] = None,
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
    ] = "all",
    count: Annotated[int | None, typer.Option(help="Images to take; all of them if left out.")] = (
        None
    ),
    size: Annotated[int | None, typer.Option(help="Height and width to resize to.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Attackers trained from scratch.")] = 3,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option(help="Weaker attackers: a look, not evidence.")] = False,
    data_dir: DataDir = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Attack every protector, measure what stays useful, and write a report."""
    from sfumato.attack.learners import LearnerConfig
    from sfumato.audit.protectors import open_protector
    from sfumato.audit.run import audit as run
    from sfumato.data.sources import load

    images = load(data, split=split, data_dir=data_dir, size=size, count=count, seed=seed)
    victims, adversary = _sides(images, identity, seed)
    runs = tuple(range(seed, seed + seeds))
    config = LearnerConfig(device=device)
    if quick:
        config = LearnerConfig(device=device, epochs=_QUICK_EPOCHS, restarts=1)
    report = run(
        [open_protector(spec, adversary) for spec in protector],
        victims=victims,
        adversary=adversary,
        private=private or (),
        utility=utility or (),
        identity=identity,
        attacks=_attacks(attack or [], identity, runs, config, out),
        seeds=runs,
        config=config,
        out=out,
    )
    path = report.write(out)
    finish(report.document(), f"{_table(report)}\n\nreport: {path.parent}", as_json=as_json)


def report(
    path: Annotated[Path, typer.Argument(help="A report.json.")],
    out: Annotated[Path | None, typer.Option(help="HTML file; beside the report if left out.")] = (
        None
    ),
    as_json: AsJson = False,
) -> None:
    """Render a report.json as one self-contained HTML page."""
    from sfumato.audit.report import read_report, render
    from sfumato.files import write_bytes

    document = read_report(path)
    page = out or path.with_suffix(".html")
    write_bytes(page, render(document).encode())
    finish(
        {"report": str(path), "html": str(page)},
        f"{_table(document)}\n\npage: {page}",
        as_json=as_json,
    )


def _sides(images: ImageSet, identity: str | None, seed: int) -> tuple[ImageSet, ImageSet]:
    """Split into victims and adversary: by people where they are named, else by image."""
    from sfumato.data.splits import split_groups, split_images

    shares = [1 - _ADVERSARY_SHARE, _ADVERSARY_SHARE]
    if identity is None:
        victims, adversary = split_images(images, shares, seed=seed)
    else:
        victims, adversary = split_groups(images, identity, shares, seed=seed)
    return victims, adversary


def _attacks(
    names: list[str], identity: str | None, runs: tuple[int, ...], config: LearnerConfig, out: Path
) -> list[Attack]:
    from sfumato.attack.decoder import ReconstructionConfig
    from sfumato.attack.reconstruct import ReconstructionAttack
    from sfumato.attack.reidentify import ReidentificationAttack
    from sfumato.attack.verify import VerificationAttack

    chosen: list[Attack] = []
    for name in names:
        kind, _, label = name.partition(":")
        if kind == "reconstruct":
            decoder = ReconstructionConfig(epochs=config.epochs, device=config.device)
            chosen.append(ReconstructionAttack(seeds=runs, config=decoder, sheets=out / "pictures"))
        elif kind == "verify" and identity is not None:
            chosen.append(VerificationAttack(identity=identity, seeds=runs, config=config))
        elif kind == "reidentify" and label and identity is None:
            chosen.append(ReidentificationAttack(identity=label, seeds=runs, config=config))
        else:
            raise ConfigError(
                f"--attack {name!r} is none of: reconstruct; verify (needs --identity LABEL); "
                "reidentify:LABEL (of people known to the adversary, so without --identity)"
            )
    return chosen


def _table(report: Report) -> str:
    lines = [
        f"{'protector':24} {'attack':36} {'value':>8} {'floor':>8} {'ceiling':>8} {'leakage':>8}"
    ]
    for cell in report.cells:
        start = f"{cell.protector:24} {cell.attack:36}"
        found = cell.finding
        if found is None:
            lines.append(f"{start} failed: {cell.error}")
            continue
        lines.append(
            f"{start} {found.value:8.3f} {found.floor:8.3f} {found.ceiling:8.3f} "
            f"{found.leakage:8.2f}"
        )
    return "\n".join(lines)
