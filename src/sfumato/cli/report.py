"""`sfumato report`: draw the page of an audit again, compare two audits, and export one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.audit import table
from sfumato.cli.options import AsJson, file_to_write, finish, folder_to_write

if TYPE_CHECKING:
    from sfumato.audit.report.compare import Comparison

app = typer.Typer(no_args_is_help=True, help="Draw audit reports, compare and export them.")


@app.command()
def render(
    path: Annotated[Path, typer.Argument(help="A report.json.")],
    out: Annotated[
        Path | None,
        typer.Option(callback=file_to_write, help="HTML file; beside the report if left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render a report.json as one self-contained HTML page."""
    from sfumato.audit.report.report import read_report
    from sfumato.files import write_bytes

    report = read_report(path)
    page = out or path.with_suffix(".html")
    write_bytes(page, report.page(path.parent).encode())
    finish(
        {"report": str(path), "html": str(page)},
        f"{table(report)}\n\npage: {page}",
        as_json=as_json,
    )


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="The older report.json.")],
    after: Annotated[Path, typer.Argument(help="The newer report.json.")],
    as_json: AsJson = False,
) -> None:
    """Show what changed between two audits: better or worse only where intervals do not overlap."""
    from sfumato.audit.report.compare import compare as compared
    from sfumato.audit.report.report import read_report

    found = compared(read_report(before), read_report(after))
    finish(found.document(), _lines(found), as_json=as_json)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="A report.json.")],
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", callback=file_to_write, help="CSV file: a row a protector and attack."
        ),
    ] = None,
    parquet: Annotated[
        Path | None,
        typer.Option("--parquet", callback=file_to_write, help="Parquet file of the same rows."),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            "--svg",
            callback=folder_to_write,
            help="Folder of figures for a paper (extra `report`: Matplotlib).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an audit as a table, and its figures as SVG."""
    from sfumato.audit.report.figures import write_figures
    from sfumato.audit.report.report import read_report
    from sfumato.audit.report.tabular import write_table
    from sfumato.errors import ConfigError

    if csv is None and parquet is None and svg is None:
        raise ConfigError("expected what to write: `csv`, `parquet` or `svg`")
    report, files = read_report(path), []
    if csv is not None:
        write_table(report, csv, ".csv")
        files.append(csv)
    if parquet is not None:
        write_table(report, parquet, ".parquet")
        files.append(parquet)
    files += write_figures(report, svg) if svg is not None else []
    finish({"files": list(map(str, files))}, "\n".join(map(str, files)), as_json=as_json)


@app.command()
def schema() -> None:
    """Print the JSON Schema of report.json."""
    import json

    from sfumato.audit.report.schema import report_schema

    typer.echo(json.dumps(report_schema(), indent=2))


def _lines(found: Comparison) -> str:
    lines = [f"{'protector':24} {'attack':36} {'before':>8} {'after':>8}  change"]
    for line in found.lines:
        shares = " ".join(
            f"{'-' if share is None else f'{share:.2f}':>8}" for share in (line.before, line.after)
        )
        lines.append(f"{line.protector:24} {line.attack:36} {shares}  {line.change}")
    notes = [f"note: {note}" for note in found.notes]
    return "\n".join([*lines, *([""] if notes else []), *notes])
