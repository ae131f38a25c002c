"""Enroll, calibrate and judge three folders, by the functions that the single commands call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sfumato.data.lazy import open_lazily
from sfumato.data.leftout import FILE_COLUMN, LeftOut, table_of
from sfumato.data.listing import list_files
from sfumato.data.options import SourceOptions
from sfumato.device import Device
from sfumato.errors import InputError
from sfumato.features.backbone import open_backbone
from sfumato.files import refuse_foreign, replacing_folder, write_bytes
from sfumato.filter.calibrate.calibrate import Calibration
from sfumato.filter.calibrate.config import CalibrationConfig
from sfumato.filter.calibrate.measure import measure
from sfumato.filter.device import Made, enroll_folder
from sfumato.filter.oneclass import OneClassConfig
from sfumato.serve.local import add_files, judging
from sfumato.serve.records.decisions import Decision
from sfumato.serve.tryout.judged import Judged, judge_folder

ACCOUNT: Final = "me"
BACKBONE: Final = "public.backbone"
ENROLLMENT: Final = "me.enrollment"
KEY: Final = "owner.pem"
BANK: Final = "bank.db"
DECISIONS: Final = "decisions.csv"
REPORT: Final = "report.html"
_BESIDE = tuple(f"{BANK}{ending}" for ending in ("-wal", "-shm", ".lock"))
FILES: Final = (BACKBONE, ENROLLMENT, KEY, BANK, *_BESIDE, DECISIONS, REPORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Whose pictures play which part."""

    mine: Path
    """Private pictures: they are enrolled."""
    public: str
    """People who will not enroll, one folder a person, or a data set's name."""
    uploads: Path
    """What strangers upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came out."""

    folders: Folders
    backbone: str
    calibration: Calibration
    left_out: tuple[LeftOut, ...]
    """Public pictures without a feature."""
    made: Made
    judged: tuple[Judged, ...]

    @property
    def decisions(self) -> list[tuple[str, Decision]]:
        """The files that a decision was taken about."""
        return [(file, found) for file, found in self.judged if isinstance(found, Decision)]

    @property
    def unreadable(self) -> list[LeftOut]:
        """The files that hold no usable picture."""
        return [LeftOut(file, found) for file, found in self.judged if isinstance(found, str)]

    @property
    def blocked(self) -> int:
        """Uploads that are blocked."""
        return sum(found.blocked for _, found in self.decisions)


def try_out(
    folders: Folders,
    out: Path,
    *,
    backbone: str,
    training: OneClassConfig,
    config: CalibrationConfig,
    label: str | None = None,
    options: SourceOptions | None = None,
    device: Device = "cpu",
) -> Tried:
    """Enroll one folder, calibrate on the second and judge the third; all goes into `out`.

    The report is not written here (`page.draw`).

    Args:
        folders: Whose pictures play which part.
        out: Folder for the backbone, the enrollment and its key, the bank and the decisions.
        backbone: An extractor's name or file; its range is fitted on the public pictures.
        training: How the private pictures are enrolled.
        config: How the extractor is measured; its seed draws everything.
        label: The public source's label of people, where it has several.
        options: How the public source is read.
        device: Where the simulated people are trained.

    Raises:
        DataError: a folder has too few usable pictures or people.
        InputError: `out` holds other files, or the uploads' folder is empty.
    """
    refuse_foreign(out, FILES)  # before the work of minutes
    listing = list_files(folders.uploads)
    if not (listing.files or listing.left_out):
        raise InputError(f"{folders.uploads} is empty; expected pictures that somebody uploads")
    images = open_lazily(folders.public, options or SourceOptions())
    with replacing_folder(out, ours=FILES) as part:
        opened = open_backbone(backbone, public=images, seed=config.seed)
        calibration, left_out = measure(opened, images, config, label=label, device=device)
        opened = opened.with_policy(calibration.policy)
        opened.save(part / BACKBONE)
        made = enroll_folder(folders.mine, opened, training, key=part / KEY, seed=config.seed)
        write_bytes(part / ENROLLMENT, made.content)
        bank = str(part / BANK)
        add_files(bank, [part / ENROLLMENT], ACCOUNT, backbone=opened.to_stored())
        with judging(bank, part / BACKBONE, None) as judge:
            judged = tuple(judge_folder(folders.uploads, judge))
        write_bytes(part / DECISIONS, table_of(_rows(judged)), mode=0o600)
    return Tried(
        folders=folders,
        backbone=opened.name,
        calibration=calibration,
        left_out=left_out,
        made=made,
        judged=judged,
    )


def strangers(found: Decision) -> float | None:
    """Return the share of strangers' pictures that fit the nearest enrollment as well as this one.

    None of a picture without a face, and of a near copy.
    """
    match = found.match
    return None if not match.enrollment or match.score is None else min(1.0, 10**match.score)


def _rows(judged: Sequence[Judged]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [(FILE_COLUMN, "decision", "strangers", "reason")]
    for file, found in judged:
        if isinstance(found, str):
            rows.append((file, "unreadable", "", found))
        else:
            share = strangers(found)
            rows.append(
                (file, found.verdict, "" if share is None else f"{share:.3g}", found.explanation)
            )
    return rows
