"""`sfumato filter try`: the filter on three folders of one's own, in one command."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.filter.options import PublicLabel
from sfumato.cli.options import (
    AsJson,
    Count,
    DataDir,
    Device,
    Seed,
    finish,
    folder_to_write,
    say_skipped,
)
from sfumato.filter.calibrate.config import CalibrationConfig

if TYPE_CHECKING:
    from sfumato.serve.tryout.run import Tried


@options_of(CalibrationConfig)
def try_(
    mine: Annotated[Path, typer.Argument(help="Folder of private pictures: they are enrolled.")],
    public: Annotated[
        str,
        typer.Argument(
            help="Pictures of people who do not enroll, one folder a person: a folder, or a data "
            "set's name."
        ),
    ],
    uploaded: Annotated[
        Path,
        typer.Argument(
            metavar="UPLOADS", help="Folder of pictures that strangers upload; may have subfolders."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", callback=folder_to_write, help="Folder for everything that comes out."
        ),
    ],
    config: CalibrationConfig,
    backbone: Annotated[
        str,
        typer.Option(
            help="The extractor: face, timm:NAME, onnx:PATH, gradients:CxHxW, raw:CxHxW, or a "
            "backbone file."
        ),
    ] = "face",
    training: Annotated[
        Literal["default", "plain", "paper"],
        typer.Option(help="How the private pictures are enrolled, as `filter enroll --preset`."),
    ] = "default",
    label: PublicLabel = None,
    count: Count = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Enroll, calibrate and judge three folders in one go, with a report: OUT/report.html.

    It does what `filter backbone`, `calibrate`, `enroll`, `bank add` and `check` do, one after the
    other. Subfolders of the uploads are counted apart: put new pictures of yours in one, and other
    people's in another, and the report says how many of each are blocked.

    Example: sfumato filter try pictures-of-me/ public-people/ uploads/ -o trial
    """
    from sfumato.data.options import SourceOptions
    from sfumato.files import at_home, write_bytes
    from sfumato.filter.oneclass import OneClassConfig
    from sfumato.serve.tryout.page import draw
    from sfumato.serve.tryout.run import REPORT, Folders, try_out

    began = time.perf_counter()
    tried = try_out(
        Folders(mine=at_home(mine), public=public, uploads=at_home(uploaded)),
        out,
        backbone=backbone,
        training=OneClassConfig.preset(training),
        config=replace(config, seed=seed),
        label=label,
        options=SourceOptions(data_dir=data_dir, count=count, seed=seed),
        device=device,
    )
    say_skipped((*tried.left_out, *tried.made.found.skipped, *tried.unreadable))
    command = f"sfumato filter try {mine} {public} {uploaded} --backbone {backbone}"
    page = draw(tried, command=command, seconds=time.perf_counter() - began)
    write_bytes(out / REPORT, page.encode(), mode=0o600)
    finish(_document(tried, out / REPORT), _text(tried, out / REPORT), as_json=as_json)


def _document(tried: Tried, report: Path) -> dict[str, Any]:
    from sfumato.filter.calibrate.report import document
    from sfumato.serve.tryout.page import parts

    return {
        "report": str(report),
        "enrolled": tried.made.enrollment.count,
        "judged": len(tried.decisions),
        "blocked": tried.blocked,
        "unreadable": len(tried.unreadable),
        "folders": {
            part.name: {"judged": part.judged, "blocked": part.blocked} for part in parts(tried)
        },
        "calibration": document(tried.calibration),
    }


def _text(tried: Tried, report: Path) -> str:
    from sfumato.counted import counted
    from sfumato.filter.calibrate.report import promise, warnings
    from sfumato.serve.tryout.page import parts

    lines = [f"warning: {said}" for said in warnings(tried.calibration)]
    lines += [
        f"enrolled {counted(tried.made.enrollment.count, 'picture')} of {tried.folders.mine}",
        promise(tried.calibration),
        *(
            f"{part.name or 'uploads'}: {part.blocked} of {part.judged} blocked"
            + (f", {part.unreadable} unreadable" if part.unreadable else "")
            for part in parts(tried)
        ),
        f"the report is {report}",
    ]
    return "\n".join(lines)
