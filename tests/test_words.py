"""Names and sentences use the field's terms; `docs/glossary.md` has the few words of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTEAD = {
    "artists?": "decoder",
    "crowds?": "ensemble (of classifiers), enrolled users",
    "desks?": "cells (of an audit), the moderator's page",
    "edges?": "threshold, limit",
    "enrol|enrols|enrolment|enrolments": "enroll, enrolls, enrollment",
    "eyes": "matcher (of faces); 'for the operator only'",
    "in_turn": "sequential",
    "knobs?": "threshold",
    "looks": "augmentation, style, similarity; of a verb: takes, compares",
    "luck": "variation between trainings",
    "readers?": "classifier",
    "recruit": "train",
    "thief|thieves": "attacker",
    "turns?": "epoch, round, rotation; of a verb: converts, rotates",
    "unguessable": "drawn from a secret",
    "yardsticks?": "baseline, reference",
}
"""Metaphors, and what to write."""
NAMES_ONLY = {"looks", "readers?", "turns?", "edges?", "eyes"}
"""Everyday words: only as a name, or as a part of one, they are metaphors."""
ALLOWED = {
    "edges?": ("data/", "nets/gradients.py", "attack/tools/scores.py"),  # of pictures, of bins
    "eyes": ("data/sets/people.py",),  # drawn ones
    "readers?": (
        "nets/vggface.py", "data/decoding/formats.py", "data/metadata.py", "filter/bank/lock.py",
        "protect/release/parts.py",
    ),  # of files; of a readers-writer lock
    "turns?": ("protect/prototypes/release.py",),  # equal pictures take turns
}  # fmt: skip
_TYPES = {".py", ".pyi", ".js", ".j2", ".md"}
_HISTORY = ("docs/LOG.md", "docs/adr/", "docs/glossary.md")


def pages() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from (ROOT / "papers").glob("*/README.md")
    for folder in ("src", "docs"):
        yield from (p for p in (ROOT / folder).rglob("*") if p.suffix in _TYPES)


def pattern(word: str) -> re.Pattern[str]:
    if word not in NAMES_ONLY:
        return re.compile(rf"(?<![A-Za-z])(?:{word})(?![A-Za-z])", re.I)
    part = rf"(?:\w*_)?(?:{word})(?:_\w*)?"
    bound = rf"{part}(?: = |: (?=[A-Z]|int|str|float|bool)|=(?=\S))"
    return re.compile(rf"\b(?:class|def) {part}\b|(?<![\w.\"'-]){bound}")


def found(path: Path) -> list[str]:
    name = path.relative_to(ROOT).as_posix()
    if name.startswith(_HISTORY):
        return []
    problems = []
    for word, instead in INSTEAD.items():
        if any(part in name for part in ALLOWED.get(word, ())):
            continue
        if word in NAMES_ONLY and path.suffix != ".py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if pattern(word).search(line):
                problems.append(f"{name}:{number}: {line.strip()[:80]!r} -> {instead}")
    return problems


@pytest.mark.parametrize("path", sorted(pages()), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_metaphor_is_used(path: Path) -> None:
    assert found(path) == []


@pytest.mark.parametrize("word", sorted(INSTEAD))
def test_no_file_is_named_by_a_metaphor(word: str) -> None:
    named = [p for p in (ROOT / "src").rglob("*.py") if re.fullmatch(word, p.stem)]
    assert named == []


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("luck", "due to the attackers' luck"),
        ("knobs?", "class Knob:"),
        ("looks", "def looks(names: Sequence[str]) -> dict[str, Style]:"),
        ("edges?", "    edge = mu + own * sigma"),
        ("readers?", "    readers: int = 8"),
        ("crowds?", "crowd_likeness(users)"),
    ],
)
def test_the_rule_finds(word: str, line: str) -> None:
    assert pattern(word).search(line)


@pytest.mark.parametrize(
    ("word", "line"),
    [("looks", "it looks at the picture"), ("edges?", "at the picture's edge"), ("eyes", "eyes")],
)
def test_the_rule_lets_pass(word: str, line: str) -> None:
    assert not pattern(word).search(line)
