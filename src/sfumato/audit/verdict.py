"""One sentence a protector, and its place between privacy and utility."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sfumato.audit.cell import Cell
from sfumato.audit.metrics import at_floor, leakage, leakage_interval
from sfumato.audit.words import amount, percent, wording
from sfumato.protect.baselines import Unprotected

UNPROTECTED = Unprotected().name
_NOTHING = 0.005  # rounds to 0 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an audit says of one protector."""

    protector: str
    sentence: str
    learned: float | None
    """The highest leakage of all attacks; None where none could be measured."""
    learned_interval: tuple[float, float] | None
    kept: float | None
    """Mean over the uses of what they keep, 0 to 1; None where none was measured."""
    best: bool = False
    """No other protector both hides more and keeps more."""


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """Return one verdict a protector, in the order of the cells."""
    names = list(dict.fromkeys(cell.protector for cell in cells))
    drafts = [_verdict(name, [c for c in cells if c.protector == name]) for name in names]
    return [_marked(draft, drafts) for draft in drafts]


def _verdict(name: str, cells: Sequence[Cell]) -> Verdict:
    privacy = [cell for cell in cells if cell.role == "privacy"]
    measured = [cell for cell in privacy if _share(cell) is not None]
    worst = max(measured, key=lambda cell: _share(cell) or 0.0, default=None)
    uses = [s for c in cells if c.role == "utility" and (s := _share(c)) is not None]
    # What is worse than no release at all is of no use, and takes nothing from other uses.
    kept = sum(max(0.0, share) for share in uses) / len(uses) if uses else None
    parts = [_learned(name, worst, measured) + _kept(kept), _missing(cells, privacy)]
    found = None if worst is None else worst.finding
    return Verdict(
        protector=name,
        sentence=" ".join(part for part in parts if part),
        learned=None if worst is None else _share(worst),
        learned_interval=None if found is None else leakage_interval(found),
        kept=kept,
    )


def _learned(name: str, worst: Cell | None, measured: Sequence[Cell]) -> str:
    if worst is None or worst.finding is None:
        return "Nothing was proved: no attack has a measured leakage"
    if name == UNPROTECTED:
        return "Unprotected, the yardstick: gives all away"
    if all(cell.finding is not None and at_floor(cell.finding) for cell in measured):
        tried = f"none of {len(measured)} attacks is" if len(measured) > 1 else "the attack is not"
        return f"Gives nothing measurable away: {tried} shown to learn anything"
    share, title = worst.finding.leakage, wording(worst.attack).title
    return f"Gives {amount(share)} away ({title}, {percent(share)})"


def _kept(kept: float | None) -> str:
    if kept is None:
        return "."
    if kept < _NOTHING:
        return "; keeps no use that was measured."
    return f"; keeps {amount(kept)} of its use ({percent(kept)})."


def _missing(cells: Sequence[Cell], privacy: Sequence[Cell]) -> str:
    failed = sum(cell.error is not None for cell in cells)
    undefined = sum(cell.finding is not None and _share(cell) is None for cell in privacy)
    notes = []
    if failed:
        notes.append(f"{failed} of {len(cells)} measurements failed, so this is incomplete.")
    if undefined:
        notes.append(f"{undefined} proved nothing: even without protection nothing is learned.")
    return " ".join(notes)


def _share(cell: Cell) -> float | None:
    return None if cell.finding is None else leakage(cell.finding)


def _marked(draft: Verdict, drafts: Sequence[Verdict]) -> Verdict:
    learned, kept = draft.learned, draft.kept
    if learned is None or kept is None:
        return draft
    beaten = any(
        other.learned is not None
        and other.kept is not None
        and other.learned <= learned
        and other.kept >= kept
        and (other.learned, other.kept) != (learned, kept)
        for other in drafts
    )
    return Verdict(
        protector=draft.protector,
        sentence=draft.sentence,
        learned=learned,
        learned_interval=draft.learned_interval,
        kept=kept,
        best=not beaten,
    )
