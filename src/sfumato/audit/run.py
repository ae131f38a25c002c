"""Protectors x attacks on the same data, plus utility, each cell kept on disk by its content."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from sfumato import __version__
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.learners import LearnerConfig
from sfumato.attack.views import ask
from sfumato.audit.disjoint import check_disjoint
from sfumato.audit.fingerprint import fingerprint
from sfumato.audit.metrics import with_ceiling
from sfumato.audit.report import Cell, Report, Role, read_cell
from sfumato.data.imageset import ImageSet
from sfumato.errors import ConfigError
from sfumato.files import write_bytes
from sfumato.progress import track
from sfumato.protect.baselines import Unprotected
from sfumato.types import Attack, Finding, Knowledge, Protector, Releases

_CELL_VERSION = 1  # raise it when an attack changes, so that no old figure is taken for a new one


def audit(
    protectors: Sequence[Protector],
    *,
    victims: ImageSet,
    adversary: ImageSet,
    private: str | Sequence[str],
    utility: str | Sequence[str] = (),
    identity: str | None = None,
    attacks: Sequence[Attack] = (),
    seeds: Sequence[int] = (0,),
    config: LearnerConfig | None = None,
    out: Path | None = None,
) -> Report:
    """Attack every protector in every way and return the report.

    Each private label is read by attribute attacks, each utility label by the same learners in
    the hands of an honest recipient; `attacks` adds more. `identity` is the label that names
    people: none may then be on both sides, and victims are resampled by person. Of a keyed
    protector (one with `plain`) the attacks are run twice: trained on its releases, and trained on
    plain ones and applied to ciphertext; its ceiling is what plain releases give. With `out`,
    cells are kept there, so that a second run takes up where the first one was stopped. A failed
    cell is a named cell of the report.

    Raises:
        DataError: the adversary's images are not disjoint from the victims'.
        ConfigError: there is nothing to do.
    """
    how = check_disjoint(victims, adversary, identity)
    private, utility = _names(private), _names(utility)
    reading = _Reading(tuple(seeds), config or LearnerConfig(), identity)
    trials: list[tuple[Role, Attack]] = [("privacy", reading("attributes", n)) for n in private]
    trials += [("privacy", attack) for attack in attacks]
    trials += [("utility", reading("utility", name)) for name in utility]
    if not protectors or not trials:
        raise ConfigError("an audit needs a protector, and a private label or an attack")
    desk = _Desk(victims, adversary, out)
    work = [(protector, *trial) for protector in protectors for trial in trials]
    cells = [cell for job in track(work, "audit") for cell in desk.cells(*job)]
    settings = {
        "private": private,
        "utility": utility,
        "identity": identity,
        "seeds": list(seeds),
        "protectors": [protector.name for protector in protectors],
    }
    return Report(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        sfumato=__version__,
        data=desk.described() | {"disjoint": how},
        settings=settings,
        cells=tuple(cells),
    )


def _names(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How every label of one audit is read, by an adversary or an honest recipient."""

    seeds: tuple[int, ...]
    config: LearnerConfig
    identity: str | None

    def __call__(self, kind: str, label: str) -> AttributeAttack:
        return AttributeAttack(
            attributes=(label,),
            seeds=self.seeds,
            config=self.config,
            group=None if self.identity == label else self.identity,
            name=f"{kind}:{label}",
        )


@dataclass(frozen=True, slots=True)
class _Plain:
    """A keyed protector without its key: what an eavesdropper would get from it unencrypted."""

    keyed: Protector
    name: str

    def release(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        plain: Tensor = self.keyed.plain(images)  # type: ignore[attr-defined]
        return plain


class _Desk:
    """The data of one audit, and the cells that are done."""

    def __init__(self, victims: ImageSet, adversary: ImageSet, out: Path | None) -> None:
        self.victims, self.adversary, self.out = victims, adversary, out
        self.prints = {
            "victims": victims.fingerprint(),
            "adversary": adversary.fingerprint(),
        }
        self.done: dict[str, Cell] = {}

    def described(self) -> dict[str, object]:
        parts = {"victims": self.victims, "adversary": self.adversary}
        return {
            role: {
                "name": images.name,
                "count": len(images),
                "shape": list(images.images.shape[1:]),
                "fingerprint": self.prints[role],
            }
            for role, images in parts.items()
        }

    def cells(self, protector: Protector, role: Role, attack: Attack) -> list[Cell]:
        """Return the cell of each way to run the attack, with its measured ceiling."""
        keyed = callable(getattr(protector, "plain", None))
        bare: Protector = Unprotected()
        if keyed:
            bare = _Plain(protector, f"{protector.name} (plain)")
        top = self._cell(bare, role, attack)
        ways = [(attack, attack.name)]
        if keyed and role == "privacy" and hasattr(attack, "source"):
            ways.append((replace(attack, source="plain"), f"{attack.name} (trained on plain)"))  # type: ignore[type-var]
        found = []
        for way, name in ways:
            cell = self._cell(protector, role, way)
            if cell.finding is not None and top.finding is not None:
                cell = replace(cell, finding=with_ceiling(cell.finding, top.finding))
            elif cell.finding is not None:
                # The attack on the unprotected release failed: no ceiling is a better answer
                # than a perfect one.
                cell = replace(cell, finding=replace(cell.finding, ceiling=float("nan")))
            found.append(replace(cell, attack=name))
        return found

    def _cell(self, protector: Protector, role: Role, attack: Attack) -> Cell:
        key = fingerprint(_CELL_VERSION, __version__, protector, attack, self.prints)
        blank = Cell(protector=protector.name, attack=attack.name, role=role, key=key)
        kept = self.done.get(key) or self._kept(key)
        if kept is None:
            kept = self._measure(blank, protector, attack)
            self.done[key] = kept
            if self.out is not None and kept.error is None:
                content = json.dumps(kept.document(), allow_nan=False)
                write_bytes(self._path(key), content.encode())
        return replace(kept, role=role)

    def _measure(self, blank: Cell, protector: Protector, attack: Attack) -> Cell:
        start = time.monotonic()
        try:
            with torch.random.fork_rng():
                # A release that draws noise is the same one when the audit is run again.
                torch.manual_seed(int(blank.key[:12], 16))
                finding = self._attacked(protector, attack)
        except Exception as error:
            return replace(
                blank,
                seconds=time.monotonic() - start,
                error=f"{type(error).__name__}: {error}",
            )
        return replace(blank, seconds=time.monotonic() - start, finding=finding)

    def _attacked(self, protector: Protector, attack: Attack) -> Finding:
        images = self.victims.floats()
        victim = Releases(
            protector=protector.name,
            tensor=ask(protector.release, images),
            images=images,
            labels=self.victims.labels,
            classes=self.victims.classes,
        )
        knowledge = Knowledge(
            images=self.adversary.floats(),
            labels=self.adversary.labels,
            query=protector.release,
            query_plain=getattr(protector, "plain", None),
            classes=self.adversary.classes,
        )
        return attack.run(victim, knowledge)

    def _kept(self, key: str) -> Cell | None:
        if self.out is None:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            cell = read_cell(json.loads(self._path(key).read_bytes()))
            return cell if cell.key == key else None
        return None

    def _path(self, key: str) -> Path:
        assert self.out is not None  # noqa: S101 - callers checked
        return self.out / "cells" / f"{key}.json"
