"""`sfumato demo`: the system at work on data that comes with it."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.options import AsJson, Seed, finish, folder_to_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sfumato.demo.section import Section


def demo(
    only: Annotated[
        list[str] | None,
        typer.Option(help="One part only: photographs, or a paper's slug; repeatable."),
    ] = None,
    out: Annotated[
        Path, typer.Option(callback=folder_to_write, help="Folder for the report.")
    ] = Path("demo"),
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Protect embedded pictures in every way, attack each, and write a report with pictures."""
    from sfumato.extras import needs

    needs("demo", "the demo", "plotly", "python_avatars", "resvg_py")
    from sfumato.demo.report import write_report
    from sfumato.demo.sections import run_sections

    start = time.perf_counter()
    sections = run_sections(tuple(only or ()), seed=seed)
    seconds = time.perf_counter() - start
    path = out / "report.html"
    chosen = "".join(f" --only {slug}" for slug in only or ())
    write_report(sections, path, command=f"sfumato demo{chosen} --seed {seed}", seconds=seconds)
    record = {
        "sections": {
            section.slug: [asdict(figure) for figure in section.figures] for section in sections
        },
        "seconds": round(seconds, 1),
        "report": str(path),
    }
    finish(record, f"{_table(sections)}\n\nreport: {path} ({seconds:.0f} s)", as_json=as_json)


def _table(sections: Sequence[Section]) -> str:
    from sfumato.demo.report import shown

    wide = max(len(figure.label) for section in sections for figure in section.figures)
    lines = []
    for section in sections:
        lines += ["", section.title]
        lines += [
            f"  {figure.label:<{wide}}  {shown(figure):>24}  wanted {figure.wanted}"
            for figure in section.figures
        ]
    return "\n".join(lines)
