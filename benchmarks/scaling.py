"""Bytes, operations and machines for banks that no machine at hand holds.

`python -m benchmarks.scaling RESULTS` takes the last line of `python -m benchmarks shortlist load`
(or of one of the two; a file with it), keeps what they measured in `benchmarks/measured.json` and
writes `docs/scaling.md`; without a file it computes the page again from there. The times of the
arithmetic are of one core, and linear in the number of enrollments, as `benchmarks bank` measures
up to 10^5.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import field
from sfumato.files import write_bytes
from sfumato.filter.bank.sketch import NUMBERS, Sketch

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scaling.md"
MEASURED = Path(__file__).parent / "measured.json"
_HIDDEN = 32
_COUNTS = (10**6, 10**7, 10**8)
_SHARES = (0.001, 0.01, 0.07)  # measured: 0.007 to 0.07 where a tenth is blocked
_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine of a platform."""

    cores: int = 32
    gib: int = 256
    used: float = 0.8
    """Share of the memory that holds enrollments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """One core's microseconds, D = 128 and M = 32, an enrollment and an image."""

    whole: float
    """Full scoring, images 64 at a time."""
    alone: float
    """Full scoring, one image at a time."""
    listing: float
    """The list's test, images 64 at a time."""
    picked: float
    """Scoring an enrollment that is listed, picked from anywhere in the bank."""

    @classmethod
    def of(cls, figures: Mapping[str, Any]) -> Costs:
        """Return the costs in the result of `benchmarks shortlist`, of float32 banks."""
        scored = figures["scoring"][0]
        listed = figures["listing"][-1]
        return cls(
            whole=1e3 * scored["batch_ms"] / scored["enrollments"] / _BATCH,
            alone=1e3 * scored["one_ms"] / scored["enrollments"],
            listing=1e3 * listed["batch_ms"] / listed["enrollments"] / _BATCH,
            picked=scored["picked_ms"]["1000"],  # milliseconds a thousand
        )


def bank_bytes(count: int, dim: int, itemsize: int, hidden: int = _HIDDEN) -> int:
    """Return what enrollments take: two matrices, and float32 for all that is small."""
    small = hidden + dim + hidden + hidden**2 + 2
    return count * (2 * hidden * dim * itemsize + 4 * small)


def list_bytes(count: int, dim: int) -> int:
    """Return what their shortlist takes."""
    return count * 4 * (dim + Sketch.plain(dim).size + 4)


def operations(count: int, dim: int, share: float | None = None, hidden: int = _HIDDEN) -> float:
    """Return the multiplications and additions an upload; `share` of the bank is listed."""
    whole = 4.0 * hidden * dim * count
    return whole if share is None else 2.0 * NUMBERS * count + share * whole


def seconds(count: int, costs: Costs, share: float | None = None) -> float:
    """Return one core's seconds an upload."""
    each = costs.whole if share is None else costs.listing + share * costs.picked
    return 1e-6 * count * each


def machines(stored: float, cores_busy: float, machine: Machine) -> int:
    """Return how many machines hold that many bytes and keep that many cores busy."""
    room = machine.used * machine.gib * 2**30
    return max(1, math.ceil(stored / room), math.ceil(cores_busy / machine.cores))


def page(
    figures: Mapping[str, Any],
    *,
    rate: float = 100.0,
    machine: Machine | None = None,
    price: float = field.PRICE,
) -> str:
    """Return the page in Markdown, for `rate` uploads a second and a machine-hour's price."""
    machine = machine or Machine()
    costs = Costs.of(figures)
    parts = [_HEAD, *_measured(figures, costs), _BYTES, *_bytes_table()]
    parts += [_time_head(rate, machine), *_time_table(costs, rate, machine), _LIMITS.rstrip()]
    if "decisions" in figures:
        parts += decision_lines(figures["decisions"], figures["load_average"])
    if {"hashes", "load"} <= figures.keys():
        room = machine.used * machine.gib * 2**30
        needs = list(field_needs(figures, costs))
        parts += field.lines(needs, room=room, cores=machine.cores, price=price)
        parts += [] if _one_processor(figures) else [_TWO_PROCESSORS]
    if "load" in figures:
        parts += ["", *load_lines(figures["load"], alone=not _one_processor(figures))]
    return "\n".join(parts) + "\n"


def _one_processor(figures: Mapping[str, Any]) -> bool:
    return bool(figures["load"].get("processor") == figures.get("processor"))


_HEAD = """# How far the filter scales

Written by `python -m benchmarks.scaling` from what `python -m benchmarks shortlist` measured; every
figure below the first table is computed from it and none is typed.

A decision asks every enrollment: 2 M D weights are read, and 4 M D operations done, an enrollment
and upload. With `--shortlist` a service first asks of each enrollment only whether the upload is
near its decoded mean (`sfumato.filter.bank.shortlist`), by sketches of 32 and 64 numbers that rule
out nobody whom all D would list. Who is listed is scored exactly.
The share of a bank that is listed depends on how far apart people are under the extractor;
[the paper's page](papers/docl.md) has it for faces, digits and things.

## Measured, one core, D = 128, M = 32
"""

_BYTES = """
## Bytes

An enrollment of M = 32, with its statistics; and its row of the list: mean, sketches and four
numbers in float32.
"""

_LIMITS = """
Not in it: the extractor's time an upload, which does not depend on the bank; the network between
shards; the database, which keeps every enrollment's file. Times are for D = 128. With bfloat16
memory halves and time does not (torch widens the weights first): the table's times are float32's.
Nobody has run more than a million rows of the list, or more than 100,000 enrollments, here: what is
beyond is arithmetic. Times are those that a core worked.
"""


_LOAD_HEAD = """
## A service under load

Uploads a second of `python -m benchmarks load` (median and 99th percentile of the wait): one server
with D = 128, M = 32, pictures of 256x256, half of them blocked and written, and a list only where
the row says so; torch on {threads}, the clients on the same two cores, and a load average of
{load_average:.1f} when it began. The limit is decoding, features and scoring of 64 at a time one
after the other. Beside it PDQ and faiss's flat index of as many hashes on the same pictures,
without a server, one by one and in a batch.
"""
_OTHER_PROCESSOR = (
    "**Another processor measured this than the tables above**, so compare within the table.\n"
)
_TWO_PROCESSORS = """
Searches were measured on the processor of the tables above, decoding, features and PDQ's hash on
that of the service below."""


def _measured(figures: Mapping[str, Any], costs: Costs) -> Iterator[str]:
    scored, listed = figures["scoring"], figures["listing"]
    yield "| what | measured |"
    yield "| --- | --- |"
    for row in scored:
        yield (
            f"| {row['enrollments']:,} enrollments, {row['dtype']}: one image, 64 images | "
            f"{row['one_ms']:.0f} ms, {row['batch_ms']:.0f} ms |"
        )
        picked = ", ".join(f"{ms:.2f} ms" for ms in row["picked_ms"].values())
        yield f"| 10, 100 and 1,000 of them alone, one image | {picked} |"
    for row in listed:
        yield (
            f"| the list of {row['enrollments']:,}: one image, 64 images | "
            f"{row['one_ms']:.1f} ms, {row['batch_ms']:.0f} ms |"
        )
        yield (
            f"| the same test by faiss's flat range search | "
            f"{row['faiss_one_ms']:.1f} ms, {row['faiss_batch_ms']:.0f} ms |"
        )
    added = figures["adding"]
    spent = f"{added['without_us']:.0f} us, {added['with_us']:.0f} us"
    yield f"| adding, without and with a list | {spent} |"
    yield ""
    yield (
        f"So an upload costs, an enrollment, {1e3 * costs.whole:.0f} ns of a core in a batch of 64 "
        f"and {1e3 * costs.alone:.0f} ns alone; on the list {1e3 * costs.listing:.1f} ns; "
        f"a listed one {1e3 * costs.picked:.0f} ns more."
    )


def _bytes_table() -> Iterator[str]:
    yield "| enrollments | D | float32 | bfloat16 | list |"
    yield "| --- | --- | --- | --- | --- |"
    for count in _COUNTS:
        for dim in (128, 512, 2048):
            full, half = (_gib(bank_bytes(count, dim, size)) for size in (4, 2))
            yield f"| {count:,} | {dim:,} | {full} | {half} | {_gib(list_bytes(count, dim))} |"


def _time_head(rate: float, machine: Machine) -> str:
    return (
        f"\n## Time and machines, D = 128, {rate:.0f} uploads a second\n\n"
        f"Machines of {machine.cores} cores and {machine.gib} GiB, {100 * machine.used:.0f} % of "
        "it for enrollments in bfloat16 (and the list). Without a list all are scored.\n"
    )


def _time_table(costs: Costs, rate: float, machine: Machine) -> Iterator[str]:
    yield "| enrollments | listed | operations an upload | core seconds an upload | machines |"
    yield "| --- | --- | --- | --- | --- |"
    for count in _COUNTS:
        for share in (None, *_SHARES):
            spent = seconds(count, costs, share)
            stored = bank_bytes(count, 128, 2) + (list_bytes(count, 128) if share else 0)
            name = "no list" if share is None else f"{100 * share:g} %"
            yield (
                f"| {count:,} | {name} | {operations(count, 128, share):.1e} | {spent:.3g} | "
                f"{machines(stored, rate * spent, machine):,} |"
            )


def decision_lines(figures: Sequence[Mapping[str, Any]], load_average: float) -> Iterator[str]:
    """Yield the lines of the page about how one decision's time grows."""
    yield (
        "\n## One decision, and how its time grows\n\n"
        "One upload alone, medians of nine pictures' best times on two cores, with a load average "
        f"of {load_average:.0f} when it began; about one row in a thousand is listed, and scored. "
        "Means vary alike in all directions, where no sketch rules out anybody at that distance, "
        "or as features of faces do. The rows are those that the list's formula names.\n"
    )
    yield "| means | enrollments | listed | list, core ms | decision, core ms | by the clock |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in figures:
        for row in kind["rows"]:
            yield (
                f"| {kind['kind']} | {row['enrollments']:,} | {row['listed']:,.0f} | "
                f"{row['list_core_ms']:.1f} | {row['core_ms']:.1f} | {row['wall_ms']:.1f} ms |"
            )
    grown = " and ".join(f"N^{kind['exponent']:.2f} ({kind['kind']})" for kind in figures)
    yield f"\nFrom the smallest to the largest the time of a core grows as {grown}."


def field_needs(figures: Mapping[str, Any], costs: Costs) -> Iterator[field.Need]:
    """Yield what the filter with a list needs, and what PDQ with faiss."""
    load, count = figures["load"]["rows"][0], field.INDEXED
    looked = 1 / load["limits"]["decode_and_features_per_s"]
    for share in _SHARES:
        yield field.Need(
            name=f"Sfumato, the list names {100 * share:g} %",
            stored=bank_bytes(count, 128, 2) + list_bytes(count, 128),
            seconds=looked + seconds(count, costs, share),
        )
    each = min(row["batch_ms"] / row["enrollments"] for row in figures["hashes"])
    search = 1e-3 * each / _BATCH
    yield field.Need(
        name="PDQ with faiss's flat index",
        stored=32.0 * count,
        seconds=1 / load["pdq"]["one_per_s"] + search * count,
    )


def load_lines(figures: Mapping[str, Any], *, alone: bool) -> Iterator[str]:
    """Yield the lines of the page about uploads under load.

    `alone`: the rest of the page was measured on another processor.
    """
    threads = f"{figures['threads']} thread" + "s" * (figures["threads"] != 1)
    yield _LOAD_HEAD.format(threads=threads, load_average=figures["load_average"]).lstrip()
    if alone:
        yield _OTHER_PROCESSOR
    numbers = list(figures["rows"][0]["batched"])
    columns = [f"{n} client" + "s" * (n != "1") for n in numbers]
    yield "| " + " | ".join(["enrollments", *columns, "of the limit", "PDQ with faiss"]) + " |"
    yield "| --- |" + " --- |" * (len(columns) + 2)
    for row in figures["rows"]:
        cells = [_cell(row["batched"][n]) for n in numbers]
        cells += [f"{row['share_of_limit']:.2f}", _peer(row)]
        yield f"| {row['enrollments']:,} | " + " | ".join(cells) + " |"
        single = [_cell(row["one_by_one"][n]) for n in numbers]
        yield "| the same one by one | " + " | ".join(single) + " | | |"
    for row in figures.get("listed", []):
        cells = [_cell(row["batched"][n]) for n in numbers]
        yield (
            f"| {row['enrollments']:,}, a list names one in {row['listed']} | "
            f"{' | '.join(cells)} | | {_peer(row)} |"
        )
    refused = figures["overload"]
    clients, busy = refused["clients"], refused["statuses"].get("503", 0)
    yield (
        f"\n{clients} clients at a server with 8 places: {refused['uploads']} decisions, "
        f"the slowest in {refused['longest_ms'] / 1e3:.2f} s; {busy:,} times 503, "
        f"{refused['retry_after']:,} of them with Retry-After."
    )


def _cell(figures: Mapping[str, Any]) -> str:
    waits = ", ".join(f"{figures[key]:,.0f}" for key in ("p50_ms", "p99_ms"))
    return f"{figures['uploads_per_s']:.1f} ({waits} ms)"


def _peer(row: Mapping[str, Any]) -> str:
    return f"{row['pdq']['one_per_s']:.0f} and {row['pdq']['batch_per_s']:.0f}"


def _gib(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB"


def merged(kept: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kept figures with those of a run in place of older ones of the same benchmarks."""
    new = dict(kept)
    if "shortlist" in run:
        new |= {"threads": run["threads"], **run["shortlist"]}
    if "load" in run:
        new["load"] = {"threads": run["threads"], **run["load"]}
    return new


def main() -> None:
    """Write the page, from new figures where a file of them is given."""
    parser = argparse.ArgumentParser(prog="benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "results", nargs="?", type=Path, help="output of `benchmarks shortlist load`"
    )
    parser.add_argument(
        "--price", type=float, default=field.PRICE, help="dollars an hour of one machine"
    )
    arguments = parser.parse_args()
    given = arguments.results
    if given is not None:
        last = json.loads(given.read_text().strip().splitlines()[-1])
        kept = merged(json.loads(MEASURED.read_text()), last)
        write_bytes(MEASURED, (json.dumps(kept, indent=1) + "\n").encode())
    figures = json.loads(MEASURED.read_text())
    write_bytes(PAGE, page(figures, price=arguments.price).encode())


if __name__ == "__main__":
    main()
