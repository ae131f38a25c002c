"""Where the cells of one audit are measured, once each, and kept on disk by their content."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato._version import __version__
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.tools.read import inside
from sfumato.audit.measure.about import Side
from sfumato.audit.measure.ceiling import with_ceiling
from sfumato.audit.measure.cell import Cell, read_cell
from sfumato.audit.measure.cost import stored_bytes
from sfumato.audit.measure.evidence import Role
from sfumato.data.imageset import ImageSet
from sfumato.errors import FormatError
from sfumato.files import read_json, write_bytes
from sfumato.fingerprint import fingerprint
from sfumato.progress import Executor, sequential, track
from sfumato.protect.baselines import Unprotected
from sfumato.protect.encrypted import EncryptedFeatures
from sfumato.types import Attack, Finding, KeyedProtector, Knowledge, Protector, Releases

Job = tuple[Protector, Role, Attack]
_CELL_VERSION = 6  # raise it when an attack changes, so that no old figure is taken for a new one
_CELL_LIMIT = 16 << 20  # bytes; a cell with its curves has some 10,000
PLAIN = " (trained on plain)"
"""Ends the name of an attack that learned on what is inside the releases of a keyed protector."""
NO_KEY = "this release has no key, so there is nothing inside it to train on"
"""Why such an attack has no meaning for other protectors."""


@dataclass(frozen=True, slots=True)
class _Plain(Protector):
    """A keyed protector without its key: what an eavesdropper would get from it unencrypted."""

    keyed: KeyedProtector
    name: str

    def release(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        return self.keyed.plain(images)


@dataclass(frozen=True, slots=True)
class _Inside(Attack):
    """An attack by an adversary who learns on what is inside the releases of a keyed protector."""

    attack: Attack
    name: str

    def run(self, victim: Releases, knowledge: Knowledge) -> Finding:
        return self.attack.run(*inside(victim, knowledge))

    def unfit(self, victim: Releases, knowledge: Knowledge) -> str | None:
        return self.attack.unfit(*inside(victim, knowledge))


class CellStore:
    """The data of one audit, and the cells that are done."""

    def __init__(self, victims: ImageSet, adversary: ImageSet, out: Path | None) -> None:
        self.victims, self.adversary, self.out = victims, adversary, out
        self.sides = (Side.of(victims), Side.of(adversary))
        self.prints = {
            "victims": self.sides[0].fingerprint,
            "adversary": self.sides[1].fingerprint,
        }
        self.done: dict[str, Cell] = {}

    def measure(self, work: Sequence[Job], executor: Executor = sequential) -> None:
        """Measure, once each, what is not done yet of the cells of `work`, and their ceilings."""
        ways = [[(job[0], job[1], way) for way, _ in _ways(*job)] for job in work]
        self._fill([way for some in ways for way in some], executor, "audit")
        # Only where there is a finding: what has no meaning for a release needs no ceiling.
        tops = [
            self._unprotected(*job)
            for job, some in zip(work, ways, strict=True)
            if not job[2].own_ceiling and any(self._cell(*way).finding is not None for way in some)
        ]
        self._fill(tops, executor, "audit: ceilings")

    def foresee(self, work: Sequence[Job]) -> tuple[int, int]:
        """Return how many measurements `work` takes at most, and how many of them are kept."""
        jobs = [(job[0], way) for job in work for way, _ in _ways(*job)]
        tops = [self._unprotected(*job) for job in work if not job[2].own_ceiling]
        jobs += [(protector, attack) for protector, _, attack in tops]
        sheets = {self._key(*job): job[1].sheet(job[0].name) for job in jobs}
        kept = [key for key, sheet in sheets.items() if self._kept(key, sheet) is not None]
        return len(sheets), len(kept)

    def cells(self, protector: Protector, role: Role, attack: Attack) -> list[Cell]:
        """Return the cell of each way to run the attack, measured before, with its ceiling."""
        found = []
        for way, name in _ways(protector, role, attack):
            cell = self._cell(protector, role, way)
            if cell.finding is not None and not attack.own_ceiling:
                top = self._cell(*self._unprotected(protector, role, attack))
                cell = replace(cell, finding=_ceiled(cell.finding, top))
            found.append(replace(cell, attack=name))
        return found

    def _unprotected(
        self, protector: Protector, role: Role, attack: Attack
    ) -> tuple[Protector, Role, Attack]:
        """Return the release and the attack that give the ceiling: nothing hidden, read best."""
        if isinstance(attack, BitStatistics) and isinstance(protector, EncryptedFeatures):
            # Nothing is moved in plain features; it must put bits back where a cipher only moves.
            return EncryptedFeatures(protector.backbone, "shufflebits"), role, attack
        attack = attack.unprotected()
        if isinstance(protector, KeyedProtector):
            return _Plain(protector, f"{protector.name} (plain)"), role, attack
        return Unprotected(), role, attack

    def _cell(self, protector: Protector, role: Role, attack: Attack) -> Cell:
        return replace(self.done[self._key(protector, attack)], role=role)

    def _key(self, protector: Protector, attack: Attack) -> str:
        return fingerprint(_CELL_VERSION, __version__, protector, attack, self.prints)

    def _fill(self, jobs: Sequence[Job], executor: Executor, title: str) -> None:
        wanted: dict[str, tuple[Cell, Protector, Attack]] = {}
        for protector, role, attack in jobs:
            key = self._key(protector, attack)
            kept = self.done.get(key) or self._kept(key, attack.sheet(protector.name))
            if kept is None:
                blank = Cell(
                    protector=protector.name,
                    attack=attack.name,
                    role=role,
                    key=key,
                    victims=len(self.victims),
                )
                wanted.setdefault(key, (blank, protector, attack))
            else:
                self.done[key] = kept
        missing = list(wanted.values())
        for cell in track(executor(self._measure, missing), title, total=len(missing)):
            self.done[cell.key] = cell
            if self.out is not None and cell.error is None:
                content = json.dumps(cell.document(), allow_nan=False)
                write_bytes(self._path(cell.key), content.encode())

    def _measure(self, job: tuple[Cell, Protector, Attack]) -> Cell:
        blank, protector, attack = job
        start = time.monotonic()
        try:
            with torch.random.fork_rng():
                # A release that draws noise is the same one when the audit is run again.
                torch.manual_seed(int(blank.key[:12], 16))
                done = self._attacked(blank, protector, attack)
        except Exception as error:
            done = replace(blank, error=f"{type(error).__name__}: {error}")
        return replace(done, seconds=time.monotonic() - start)

    def _attacked(self, blank: Cell, protector: Protector, attack: Attack) -> Cell:
        start = time.monotonic()
        victim = Releases.of(protector, self.victims)
        blank = replace(
            blank,
            release_seconds=(time.monotonic() - start) / len(self.victims),
            release_bytes=stored_bytes(victim.tensor, protector),
        )
        knowledge = Knowledge.of(protector, self.adversary)
        reason = attack.unfit(victim, knowledge)
        if reason is not None:
            return replace(blank, reason=reason)
        return replace(blank, finding=attack.run(victim, knowledge))

    def _kept(self, key: str, sheet: Path | None) -> Cell | None:
        if self.out is None or (sheet is not None and not sheet.is_file()):
            return None  # a picture that is asked for can only be drawn by the attack itself
        with suppress(FormatError, ValueError, KeyError, TypeError, AttributeError):
            cell = read_cell(read_json(self._path(key), limit_bytes=_CELL_LIMIT))
            return cell if cell.key == key else None
        return None

    def _path(self, key: str) -> Path:
        assert self.out is not None  # noqa: S101 - callers checked
        return self.out / "cells" / f"{key}.json"


def _ways(protector: Protector, role: Role, attack: Attack) -> list[tuple[Attack, str]]:
    """Return the ways to run an attack, each with its name in the report."""
    ways = [(attack, attack.name)]
    if isinstance(protector, KeyedProtector) and role == "privacy" and attack.learns:
        ways.append((_Inside(attack, attack.name), attack.name + PLAIN))
    return ways


def _ceiled(finding: Finding, top: Cell) -> Finding:
    """Return the finding with the ceiling measured by `top`, or with none.

    Where the attack has no meaning without protection (whom a protection was trained on), the
    ceiling that it names itself stays, unmeasured. Where it failed, none is a better answer.
    """
    if top.reason is not None:
        return finding
    if top.finding is None or top.finding.metric != finding.metric:
        return replace(finding, ceiling=math.nan, ceiling_interval=None)
    return with_ceiling(finding, top.finding)
