"""An audit as a table: a row a cell, in CSV or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from sfumato.audit.report.report import Report
from sfumato.files import replacing

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("protector", "attack", "role", "metric")),
        *((name, pa.float64()) for name in ("value", "low", "high", "floor", "ceiling")),
        *((name, pa.float64()) for name in ("leakage", "leakage_low", "leakage_high")),
        ("shown", pa.bool_()),
        *((name, pa.int64()) for name in ("originals", "victims", "seeds")),
        *((name, pa.float64()) for name in ("seconds", "release_seconds", "release_bytes")),
        *((name, pa.string()) for name in ("unmeasurable", "reason", "error", "key")),
        *((name, pa.string()) for name in ("data", "sfumato", "created")),
    ]
)


def table_of(report: Report) -> pa.Table:
    """Return a row a cell: figures, leakage with its interval, costs, or why there is none."""
    rows = []
    for cell in report.cells:
        document, finding, found = cell.document(), cell.finding, cell.evidence
        row = {name: document.get(name) for name in _SCHEMA.names}
        row |= {
            "data": report.data.victims.name,
            "sfumato": report.sfumato,
            "created": report.created,
            "originals": cell.originals,
        }
        if finding is not None:
            (low, high), ceiling = finding.interval, finding.ceiling
            row |= {
                "metric": finding.metric,
                "value": finding.value,
                "low": low,
                "high": high,
                "floor": finding.floor,
                "ceiling": ceiling if ceiling == ceiling else None,
                "seeds": len(finding.seeds),
            }
        if found is not None and found.ends is not None:
            row |= {"leakage_low": found.ends[0], "leakage_high": found.ends[1]}
        rows.append(row)
    return pa.Table.from_pylist(rows, _SCHEMA)


def write_table(report: Report, path: Path, form: Literal[".csv", ".parquet"]) -> None:
    """Write the table, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write = pyarrow.csv.write_csv if form == ".csv" else pq.write_table
    with replacing(path) as part:
        write(table_of(report), part)
