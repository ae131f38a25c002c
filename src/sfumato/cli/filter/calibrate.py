"""`sfumato filter calibrate`: measure a backbone on public pictures before it blocks anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.configoptions import options_of
from sfumato.cli.filter.options import PublicLabel, store_of
from sfumato.cli.options import (
    AsJson,
    Count,
    DataDir,
    Device,
    Seed,
    file_to_write,
    finish,
    say_skipped,
)
from sfumato.errors import BankError
from sfumato.filter.calibrate.config import CalibrationConfig

if TYPE_CHECKING:
    from sfumato.features.backbone import Backbone
    from sfumato.filter.calibrate.calibrate import Calibration
    from sfumato.filter.enrolled import EnrolledUsers

MOST_TRIED = 2000
"""Enrollments of a larger bank are drawn: their errors have to be in memory."""


@options_of(CalibrationConfig)
def calibrate(
    backbone: Annotated[
        Path, typer.Option(help="The provider's backbone file; it is given the policy.")
    ],
    public: Annotated[
        str,
        typer.Option(
            help="Pictures of people who will not enroll, like those that will be uploaded: "
            "folder:PATH with one folder a person, or a data set's name."
        ),
    ],
    config: CalibrationConfig,
    label: PublicLabel = None,
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="DATABASE",
            help="Try this bank's own enrollments in place of simulated people.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            callback=file_to_write,
            help="Backbone file to write, in place of the one that is read.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            callback=file_to_write,
            help="HTML file for the charts, which need Plotly; by default beside the backbone.",
        ),
    ] = None,
    count: Count = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure on public pictures what a bank will block, and set its limits by it.

    Some people of the public source enroll, as your users will. The others are strangers to them.
    The table says how many uploads of strangers a bank of each size blocks, and how many new
    pictures of the enrolled people. The policy goes into the backbone file: a bank then keeps the
    promised rate, however many people enroll. Its fingerprint stays, so enrollments stay valid.

    Example: sfumato filter calibrate --backbone public.backbone --public folder:faces/
    """
    from sfumato.data.lazy import open_lazily
    from sfumato.data.options import SourceOptions
    from sfumato.extras import needs
    from sfumato.features.backbone import Backbone
    from sfumato.files import at_home
    from sfumato.filter.calibrate.measure import measure
    from sfumato.filter.calibrate.report import document, promise, table, warnings

    if plot is not None:
        needs("report", "`plot`", "plotly")
    config = replace(config, seed=seed)
    backbone = at_home(backbone)
    opened = Backbone.load(backbone)
    bank = None if db is None else _bank(db, opened, seed)
    images = open_lazily(public, SourceOptions(data_dir=data_dir, count=count, seed=seed))
    found, left_out = measure(opened, images, config, label=label, bank=bank, device=device)
    say_skipped(left_out)
    for line in warnings(found):
        typer.echo(f"warning: {line}", err=True)
    written = backbone if out is None else out
    charts = _charts(found, written, plot)
    opened.with_policy(found.policy).save(written)
    result = {"file": str(written), "plot": charts and str(charts), "skipped": len(left_out)}
    text = f"{table(found)}\n{promise(found)}\n{written} has the policy"
    text += f"; charts in {charts}" if charts else ""
    finish(result | document(found), text, as_json=as_json)


def _charts(found: Calibration, written: Path, plot: Path | None) -> Path | None:
    """Write the charts where Plotly is installed, or was asked for; return their file."""
    from importlib.util import find_spec

    from sfumato.files import write_bytes

    if plot is None and find_spec("plotly") is None:
        typer.echo("no charts: they need plotly; pip install 'sfumato[report]'", err=True)
        return None
    from sfumato.filter.calibrate.plot import page

    charts = written.with_suffix(".calibration.html") if plot is None else plot
    write_bytes(charts, page(found))
    return charts


def _bank(database: str, backbone: Backbone, seed: int) -> EnrolledUsers:
    """Return the active enrollments of a bank; of a large one some, drawn at random.

    Raises:
        BankError: it has none, or is for another backbone.
    """
    from sfumato.data.order import random_order
    from sfumato.filter.enrolled import gather
    from sfumato.filter.enrollment import open_enrollment
    from sfumato.serve.database.url import shown

    with store_of(database) as store:
        terms = store.terms()
        if terms is not None and terms.backbone != backbone.fingerprint:
            raise BankError(
                f"{shown(database)} is for backbone {terms.backbone[:12]}..., not "
                f"{backbone.fingerprint[:12]}...; give its own --backbone"
            )
        contents = [stored.content for stored in store.active()]
    if not contents:
        raise BankError(f"{shown(database)} has no active enrollment; leave `db` out")
    drawn = random_order(len(contents), seed)[:MOST_TRIED].tolist()
    return gather([open_enrollment(contents[i]).enrollment for i in drawn])
