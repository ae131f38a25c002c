"""`sfumato demo`: the system at work on data that comes with it."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sfumato.cli.options import AsJson, Seed, finish


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("demo"),
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Enrol ten people, decide thousands of uploads, and write a report with pictures."""
    from sfumato.demo.docl import STEPS, docl_demo
    from sfumato.demo.report import write_report
    from sfumato.progress import progress_bar

    start = time.perf_counter()
    with progress_bar() as bar:
        task = bar.add_task("demo", total=STEPS, note="")
        result = docl_demo(seed=seed, advance=lambda note: bar.update(task, advance=1, note=note))
    seconds = time.perf_counter() - start
    path = out / "report.html"
    write_report(result, path, seed=seed, seconds=seconds)
    lines = [f"{'uploads':58} {'number':>7} {'blocked':>8} {'as it should be':>16}"]
    lines += [
        f"{s.name:58} {s.count:7,} {s.blocked:8,} {100 * s.right:14.1f} %" for s in result.scenarios
    ]
    lines += [
        "",
        f"whose picture it is, named rightly: {100 * result.accuracy:.1f} % (chance 10 %)",
        f"report: {path} ({seconds:.0f} s)",
    ]
    record = {
        "accuracy": result.accuracy,
        "scenarios": [asdict(s) | {"right": s.right} for s in result.scenarios],
        "matrices": result.matrices,
        "seconds": round(seconds, 1),
        "report": str(path),
    }
    finish(record, "\n".join(lines), as_json=as_json)
