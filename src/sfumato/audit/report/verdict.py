"""One sentence a protector, and its place between privacy and utility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sfumato.audit.measure.cell import Cell
from sfumato.audit.measure.cells import PLAIN
from sfumato.audit.measure.evidence import Ends, Evidence, victims_needed
from sfumato.audit.report.wording import amount, at_most, percent, span, wording
from sfumato.protect.baselines import Unprotected
from sfumato.types import Guarantee

UNPROTECTED = Unprotected().name
LITTLE = 0.2
"""Upper limit of an interval that a sentence calls little; the same as for the word."""
_NOTHING = 0.005  # rounds to 0 %

_Measured = tuple[Cell, Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an audit says of one protector."""

    protector: str
    sentence: str
    learned: float | None
    """The highest leakage of all attacks; None where none could be measured."""
    learned_interval: Ends | None
    """From the lower end of that attack's interval to the highest upper end of all."""
    kept: float | None
    """Mean over the uses of what they keep, 0 to 1; None where none was measured."""
    originals: int = 0
    """How many of the victims' releases are originals."""
    whole: bool = True
    """Every attack that has a meaning was measured, and every private label was tried."""
    best: bool = False
    """No other protector both may give less away and keeps more; never one that releases
    originals, or of which something could not be measured."""


def verdicts(
    cells: Sequence[Cell], guarantees: Mapping[str, Guarantee] | None = None
) -> list[Verdict]:
    """Return one verdict a protector, in the order of the cells."""
    promised = guarantees or {}
    names = list(dict.fromkeys(cell.protector for cell in cells))
    drafts = [
        _verdict(name, [c for c in cells if c.protector == name], promised.get(name, Guarantee()))
        for name in names
    ]
    return [replace(draft, best=_best(draft, drafts)) for draft in drafts]


def originals_found(
    cells: Sequence[Cell], guarantees: Mapping[str, Guarantee] | None = None
) -> str:
    """Return the first sentence of a report: which protectors release originals, or nothing.

    The unprotected release, which does so by definition, is not named.
    """
    promised = guarantees or {}
    names = [n for n in dict.fromkeys(c.protector for c in cells) if n != UNPROTECTED]
    said = [
        (name, _copies([c for c in cells if c.protector == name], promised.get(name, Guarantee())))
        for name in names
    ]
    return " ".join(f"{name}: {sentence}" for name, sentence in said if sentence)


def _verdict(name: str, cells: Sequence[Cell], guarantee: Guarantee) -> Verdict:
    privacy = [cell for cell in cells if cell.role == "privacy"]
    measured = _measured(privacy)
    uses = [max(0.0, found.share or 0.0) for _, found in _measured(cells, "utility")]
    # What is worse than no release at all is of no use, and takes nothing from other uses.
    kept = sum(uses) / len(uses) if uses else None
    missing = [c for c in privacy if c.error is not None or _unmeasurable(c) or untried(c)]
    worst = max(measured, key=lambda pair: pair[1].share or 0.0, default=None)
    if name == UNPROTECTED:
        parts = [f"Unprotected baseline: everything can be read{_kept(kept)}"]
    else:
        copies = _copies(cells, guarantee)
        parts = [copies, _learned(measured, missing, safe=not copies) + _kept(kept)]
    return Verdict(
        protector=name,
        sentence=" ".join(part for part in [*parts, _missing(cells, missing)] if part),
        learned=None if worst is None else worst[1].share,
        learned_interval=None if worst is None else _interval(worst[1], measured),
        kept=kept,
        originals=sum(cell.originals for cell in privacy),
        whole=not missing,
    )


def _measured(cells: Sequence[Cell], role: str = "privacy") -> list[_Measured]:
    """Return the cells of which something can be said."""
    pairs = [(cell, cell.evidence) for cell in cells if cell.role == role]
    return [(cell, found) for cell, found in pairs if found is not None and found.ends is not None]


def untried(cell: Cell) -> bool:
    """Say whether a private label was to be read from a release, and nobody could try to.

    Another attack may have no meaning for a release. A label that was named as private and that
    no attack looked for is shown by nothing to be hidden.
    """
    reading = cell.attack.startswith("attributes:") and not cell.attack.endswith(PLAIN)
    return reading and cell.role == "privacy" and cell.reason is not None


def _unmeasurable(cell: Cell) -> bool:
    return cell.evidence is not None and cell.evidence.ends is None


def _interval(worst: Evidence, measured: Sequence[_Measured]) -> Ends | None:
    if worst.ends is None:
        return None
    return worst.ends[0], max(found.upper for _, found in measured)


def _copies(cells: Sequence[Cell], guarantee: Guarantee) -> str:
    """Return the sentence about releases that are originals, or nothing."""
    found = [(c.originals, c.victims) for c in cells if c.originals]
    if not found:
        return ""
    count, of = max(found)
    purpose = f", on purpose: {guarantee.originals}" if guarantee.originals else ""
    return f"{count:,} of {of:,} releases are originals{purpose}."


def _learned(measured: Sequence[_Measured], missing: Sequence[Cell], *, safe: bool) -> str:
    """Say what is learned. Little is said only where all was measured, and by the upper end.

    `safe` is false where something else shows that the protection does not hold.
    """
    if not measured:
        if any(cell.error is None for cell in missing):
            return "Not measurable: no attack is shown to read even unprotected pictures"
        return "Nothing is shown: no attack was measured"
    shown = [pair for pair in measured if pair[1].shown]
    if shown:
        worst = max(shown, key=lambda pair: pair[1].share or 0.0)
        return _shown(*worst, measured, whole=safe and not missing)
    cell, found = max(measured, key=lambda pair: pair[1].upper)
    where = f"{wording(cell.attack).title}, interval {span(found.ends or (0.0, 0.0))}"
    if missing or not safe:
        return f"Not shown to be safe: as far as measured, at most {at_most(found.upper)} ({where})"
    if found.upper <= LITTLE:
        tried = f"any of {len(measured)} attacks" if len(measured) > 1 else "the attack"
        return f"Gives little away: at most {at_most(found.upper)} by {tried} ({where})"
    needed = victims_needed(found, cell.victims, LITTLE)
    about = "" if needed is None else f"; about {needed:,} are needed to show {percent(LITTLE)}"
    return (
        f"Not shown to be safe: with {cell.victims:,} victims it may give {at_most(found.upper)} "
        f"away ({where}{about})"
    )


def _shown(cell: Cell, found: Evidence, measured: Sequence[_Measured], *, whole: bool) -> str:
    share, most = found.share or 0.0, max(other.upper for _, other in measured)
    little = whole and most <= LITTLE
    word = "something" if share < LITTLE and not little else amount(share)
    return (
        f"Gives {word} away ({wording(cell.attack).title}, {percent(share)}; the intervals of all "
        f"attacks reach {at_most(most)})"
    )


def _kept(kept: float | None) -> str:
    if kept is None:
        return "."
    if kept < _NOTHING:
        return "; keeps no use that was measured."
    return f"; keeps {amount(kept)} of its use ({percent(kept)})."


def _missing(cells: Sequence[Cell], missing: Sequence[Cell]) -> str:
    failed = sum(cell.error is not None for cell in cells)
    unread = [wording(cell.attack).title for cell in missing if cell.error is None]
    notes = []
    if failed:
        notes.append(f"{failed} of {len(cells)} measurements failed, so this is incomplete.")
    if unread:
        notes.append(f"Not measurable: {', '.join(dict.fromkeys(unread))}.")
    return " ".join(notes)


def _best(draft: Verdict, drafts: Sequence[Verdict]) -> bool:
    most = _most(draft)
    if most is None or draft.kept is None:
        return False
    rivals = [(other, highest) for other in drafts if (highest := _most(other)) is not None]
    return not any(
        other.kept is not None
        and highest <= most
        and other.kept >= draft.kept
        and (highest, other.kept) != (most, draft.kept)
        for other, highest in rivals
    )


def _most(draft: Verdict) -> float | None:
    """Return the most that a protector may give away, or None where it takes no part."""
    if draft.learned_interval is None or (draft.protector != UNPROTECTED and not draft.whole):
        return None
    if draft.originals and draft.protector != UNPROTECTED:
        return None
    return draft.learned_interval[1]
