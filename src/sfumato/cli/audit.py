"""`sfumato audit`: attack protectors, and say what each gives away and what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from sfumato.cli.audited import (
    collection,
    facts,
    paired,
    photographs,
    said,
    tell_photographs,
)
from sfumato.cli.configfile import Config, command_line
from sfumato.cli.dryrun import DryRun, Plan, read_set, tell
from sfumato.cli.options import AsJson, DataDir, DeviceSomewhere, Ray, Seed, finish, folder_to_write
from sfumato.counted import counted

if TYPE_CHECKING:
    from sfumato.audit.measure.cell import Cell
    from sfumato.audit.report.report import Report
    from sfumato.audit.run import Prepared
    from sfumato.data.imageset import ImageSet

QUICK_EPOCHS = 15
_NOT_REPEATED = ("config", "device", "ray", "dry_run", "as_json")
"""Options that say nothing of the figures: a report's command goes without them."""
_HEAD = (
    f"{'protector':24} {'attack':36} {'value':>8} {'floor':>8} {'ceiling':>8} {'leakage':>8} "
    "  95 % interval"
)


def audit(
    *,
    protector: Annotated[
        list[str] | None,
        typer.Option(
            help="none, noise:SIGMA, blur:SIGMA, pixelate:BLOCK, ksame:K[:LABEL], "
            "features:BACKBONE, shufflebits:BACKBONE, sealed:BACKBONE, a folder that `fit` wrote, "
            "NAME[:ARGUMENT] of an installed package, or MODULE:CLASS[:ARGUMENT] of your own. "
            "Repeat it to compare."
        ),
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            help="A folder that `release --faces --keep-names` wrote of the photographs in --data: "
            "attack it, in place of a --protector. Labels of photographs with one face are read "
            "from their metadata.csv."
        ),
    ] = None,
    data: Annotated[str, typer.Option(help="Image set, as in `sfumato data list`.")],
    out: Annotated[
        Path,
        typer.Option(
            callback=folder_to_write, help="Folder for report.json, report.html and the cells."
        ),
    ],
    private: Annotated[
        list[str] | None, typer.Option(help="Label to hide. Repeat it for more.")
    ] = None,
    utility: Annotated[
        list[str] | None, typer.Option(help="Label that must stay readable. Repeat it for more.")
    ] = None,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            help="Also: verify, reidentify:LABEL, linkage:LABEL, knowing:LABEL, groups:LABEL, "
            "membership, bitstatistics, popcounts:LABEL, reconstruct; on the upload filter, with a "
            "user for each value of LABEL: poison:LABEL, enrollment-mean:LABEL, "
            "enrollment-pictures:LABEL, enrollment-membership:LABEL; NAME[:ARGUMENT] of an "
            "installed package, or MODULE:CLASS[:ARGUMENT] of your own. Repeat it for more."
        ),
    ] = None,
    only: Annotated[
        bool,
        typer.Option(
            "--only", help="Of the attacks that run by default, keep reading and copies alone."
        ),
    ] = False,
    identity: Annotated[
        str | None,
        typer.Option(
            help="Label that names people; none is then on both sides. As a --private label, "
            "releases of one person are matched (verify), since nobody can be named."
        ),
    ] = None,
    matching: Annotated[
        bool, typer.Option("--matching", help="People must still be told apart; needs --identity.")
    ] = False,
    split: Annotated[
        Literal["all", "train", "test"], typer.Option(help="Part of the published set.")
    ] = "all",
    count: Annotated[int | None, typer.Option(help="Images to take; all of them if left out.")] = (
        None
    ),
    size: Annotated[
        int | None,
        typer.Option(
            help="Height and width to resize to. Left out, they are those of a fitted protector, "
            "as the colour always is."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Attackers trained from scratch.")] = 3,
    seed: Seed = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Weaker attackers: a look, not evidence.")
    ] = False,
    precision: Annotated[
        Literal["no", "bf16"],
        typer.Option(help="bf16: attackers train in half the time on a card or with AVX-512."),
    ] = "no",
    pictures: Annotated[
        bool, typer.Option("--pictures", help="Show some victims' pictures in the report.")
    ] = False,
    fail_above: Annotated[
        float | None,
        typer.Option(
            help="Highest leakage allowed. Every attack's interval must end below it, and no "
            "release may be an original; else, or where that is not measurable, the exit code is "
            "8. Writes junit.xml. The release `none` is not judged."
        ),
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    device: DeviceSomewhere = "auto",
    ray: Ray = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Attack every protector, measure what stays useful, and write a report.

    Without --attack these run, where they have a meaning. Every --private label is read by several
    kinds of networks, by trees and by counting, from a release alone, with the --utility labels
    known (knowing), and from ten releases that share it (groups); it is named by the originals
    near a release (linkage). Pictures are drawn from releases (reconstruct, most of the time that
    an audit takes), pictures that a protection was trained with are told from others (membership,
    where a label `member` says which they are), and released pictures are compared with the
    originals (copies). --only leaves all but the first and the last out, --attack adds others;
    --quick, --count and --seeds 1 make all of them shorter.

    Interrupted, the same command goes on where it was: finished measurements are kept in the
    folder by their content. With --ray, they are made on a cluster, one a processor.

    With --faces RELEASED, photographs that were released with their names are compared with those
    of --data: every face is found, and it is counted which are still taken for the original's
    (OUT/uncovered.csv, in the form of boxes.csv) and found again. A network of faces, trained
    elsewhere, then takes each face for its own original (matched), looks it up among all faces
    (recognised; with --identity, among a person's other photographs), and reads --private labels.
    """
    given = dict(locals())

    from sfumato.extras import needs

    needs("report", "an audit's report", "plotly")
    from sfumato.attack.tools.learners import LearnerConfig
    from sfumato.audit.attacks import Setting, default_attacks, open_attack
    from sfumato.audit.report.card import write_cards
    from sfumato.audit.report.gate import check_limit
    from sfumato.audit.report.sheets import FOLDER
    from sfumato.audit.run import audit as run
    from sfumato.audit.run import prepare
    from sfumato.cluster import executor_at
    from sfumato.data.options import SourceOptions
    from sfumato.device import resolve_device
    from sfumato.errors import ConfigError

    if pictures and ray is not None:
        raise ConfigError("--pictures are drawn by one process; leave out --ray, or the pictures")
    if fail_above is not None:
        check_limit(fail_above)
    if ray is None:
        resolve_device(device)
    runs = tuple(range(seed, seed + seeds))
    effort = LearnerConfig(device=device, precision=precision)
    if quick:
        effort = replace(effort, epochs=QUICK_EPOCHS, restarts=1)
    sheets = out / FOLDER if pictures else None
    setting = Setting(
        seeds=runs, config=effort, identity=identity, kept=tuple(utility or ()), sheets=sheets
    )
    added = [open_attack(spec, setting) for spec in attack or ()]
    if faces is None:
        usual = [] if only else default_attacks(private or (), setting)
        tried = list({one.name: one for one in [*usual, *added]}.values())
        options = SourceOptions(split=split, data_dir=data_dir, count=count, seed=seed, size=size)
        put = collection(data, options, protector or (), tried, identity)
    else:
        _refuse_with_faces(protector, split, count, size, only)
        named = [*(private or ()), *(utility or ()), *([identity] if identity else [])]
        pairs = paired(data, faces, named)
        if dry_run:
            tell_photographs(pairs, out, as_json=as_json)
        put = photographs(pairs, out, private or (), added, setting, seed=seed)
    asked: dict[str, Any] = {
        "victims": put.victims,
        "adversary": put.adversary,
        # The labels of faces are read by attacks of their own.
        "private": () if put.seen is not None else private or (),
        "utility": utility or (),
        "identity": identity,
        "matching": matching,
        "attacks": put.attacks,
        "seeds": runs,
        "config": effort,
        "out": out,
        "pictures": pictures,
    }
    if dry_run:
        _tell(prepare(put.protectors, **asked), put.images, out, as_json=as_json)
    with executor_at(ray) as executor:
        report = run(put.protectors, **asked, executor=executor)
    made_by = command_line("audit", audit, given, without=_NOT_REPEATED)
    report = replace(report, settings=replace(report.settings, quick=quick, command=made_by))
    report.write(out)
    write_cards(put.fitted, report)
    text, document = f"{table(report)}\n\nreport: {out / 'report.html'}", report.document()
    if put.seen is not None:
        put.seen.write_uncovered(out)
        text, document = f"{text}\n{said(put.seen, out)}", document | facts(put.seen)
    finish(document, text, as_json=as_json)
    if fail_above is not None:
        _gate(report, fail_above, out)


def _refuse_with_faces(*others: object) -> None:
    """Refuse what is said of collections of single pictures."""
    from sfumato.errors import ConfigError

    if any(other not in (None, "all", [], False) for other in others):
        raise ConfigError(
            "--faces takes folders of photographs as they are: leave out --protector, --split, "
            "--count, --size and --only"
        )


def _tell(ready: Prepared, images: ImageSet, out: Path, *, as_json: bool) -> NoReturn:
    """Say what an audit would read, measure and write. Its time depends on when attackers stop."""
    reads, facts = read_set(images)
    sides = {"victims": ready.store.sides[0].count, "adversary": ready.store.sides[1].count}
    most, kept = ready.store.foresee(ready.work)
    releases, attacks = [one.name for one in ready.protectors], [one.name for one in ready.attacks]
    plan = Plan(
        reads=f"{reads}; {sides['victims']:,} are the victims' and {sides['adversary']:,} the "
        f"adversary's ({ready.disjoint})",
        does=f"put {counted(len(releases), 'release')} ({', '.join(releases)}) before "
        f"{counted(len(attacks), 'attack or use', 'attacks and uses')} ({', '.join(attacks)}), "
        f"where they have a meaning: {counted(most, 'measurement')} at most, of which {kept:,} "
        f"are in {out} already",
        writes=(out,),
        left_out=images.skipped,
        facts={
            **facts,
            "sides": sides,
            "disjoint": ready.disjoint,
            "protectors": releases,
            "attacks": attacks,
            "measurements": most,
            "kept": kept,
        },
    )
    tell(plan, as_json=as_json)


def _gate(report: Report, limit: float, out: Path) -> None:
    from sfumato.audit.report.gate import check, gate_cases, junit
    from sfumato.files import write_bytes

    if report.settings.quick:
        typer.echo(
            "warning: this gate was tried by the weaker attackers of --quick: a look, not evidence",
            err=True,
        )
    cases = gate_cases(report.cells, limit)
    write_bytes(out / "junit.xml", junit(cases))
    check(cases, limit)


def table(report: Report) -> str:
    """Return a report's figures as text, what has none and why, and a verdict a protector."""
    from sfumato.audit.report.verdict import originals_found, verdicts

    first = originals_found(report.cells, report.guarantees)
    lines = [*([first, ""] if first else []), _HEAD]
    lines += [line for cell in report.cells if (line := _line(cell))]
    said = [f"{v.protector}: {v.sentence}" for v in verdicts(report.cells, report.guarantees)]
    return "\n".join([*lines, *_without_meaning(report.cells), "", *said])


def _line(cell: Cell) -> str | None:
    """Return a cell's line, or None where the attack has no meaning."""
    start, finding, found = f"{cell.protector:24} {cell.attack:36}", cell.finding, cell.evidence
    if cell.error is not None:
        return f"{start} failed: {cell.error}"
    if finding is None or found is None:
        return None
    figures = f"{start} {finding.value:8.3f} {finding.floor:8.3f} {finding.ceiling:8.3f}"
    if found.share is None or found.ends is None:
        return f"{figures} {found.why}"
    return f"{figures} {found.share:8.2f} {found.ends[0]:6.2f} to {found.ends[1]:.2f}"


def _without_meaning(cells: Sequence[Cell]) -> Iterator[str]:
    """One line an attack and reason; ways that only exist for keyed releases go without saying."""
    from sfumato.audit.measure.cells import NO_KEY, PLAIN

    every = dict.fromkeys(cell.protector for cell in cells)
    of: dict[tuple[str, str], dict[str, None]] = {}
    for cell in cells:
        if cell.reason is not None and cell.reason != NO_KEY:
            of.setdefault((cell.attack.removesuffix(PLAIN), cell.reason), {})[cell.protector] = None
    if of:
        yield "\nno meaning:"
    for (attack, reason), names in of.items():
        yield f"  {attack}{_among(list(names), list(every))}: {reason}"


def _among(names: Sequence[str], every: Sequence[str]) -> str:
    """Say which of all in the fewest names."""
    others = [name for name in every if name not in names]
    if not others:
        return ""
    few = len(names) <= len(others)
    return f" ({', '.join(names)})" if few else f" (all but {', '.join(others)})"
