from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.audit.measure.cell import Cell
from sfumato.audit.report.verdict import originals_found, verdicts
from sfumato.types import Guarantee
from tests.audit.findings import cell, copies

_SHARES = st.integers(0, 4).map(lambda i: i / 4)


def test_the_worst_attack_is_the_verdict() -> None:
    (said,) = verdicts(
        [
            cell("blur", "attributes:mood", 0.9),
            cell("blur", "reconstruct", 0.3),
            cell("blur", "utility:person", 0.6, role="utility"),
        ]
    )
    assert said.learned == pytest.approx(0.9)
    assert said.learned_interval == pytest.approx((0.85, 0.95))
    assert "nearly all" in said.sentence
    assert "reading mood, 90 %" in said.sentence
    assert "much of its use (60 %)" in said.sentence


def test_little_is_said_by_the_upper_end_only_and_of_all_attacks() -> None:
    (safe,) = verdicts([cell("p", "attributes:mood", 0.01), cell("p", "reconstruct", -0.4)])
    assert safe.sentence.startswith("Gives little away: at most 6 % by any of 2 attacks")
    # The highest share alone would be at the floor; the lower one, surely measured, is not.
    (leaky,) = verdicts(
        [cell("p", "attributes:mood", 0.1, half=0.2), cell("p", "verify", 0.09, half=0.01)]
    )
    assert leaky.sentence.startswith("Gives something away (matching one person's pictures, 9 %")
    assert "reach 30 %" in leaky.sentence
    (wide,) = verdicts([cell("p", "attributes:mood", 0.0, half=0.4, victims=20)])
    assert wide.sentence.startswith("Not shown to be safe: with 20 victims it may give 40 % away")
    assert "about 80 are needed to show 20 %" in wide.sentence


def test_what_was_not_measured_is_never_a_good_verdict() -> None:
    (failed,) = verdicts([cell("p", "attributes:mood", error="no layer")])
    assert "Nothing is shown" in failed.sentence
    assert "1 of 1 measurements failed" in failed.sentence
    (unread,) = verdicts([cell("p", "attributes:mood")])
    assert unread.sentence.startswith("Not measurable: no attack is shown to read even unprotected")
    assert "Not measurable: reading mood." in unread.sentence
    (meaningless,) = verdicts([cell("p", "bitstatistics", reason="no bits")])
    assert meaningless.learned is None
    assert "failed" not in meaningless.sentence
    (partly,) = verdicts([cell("p", "attributes:mood"), cell("p", "reconstruct", 0.0)])
    assert partly.sentence.startswith("Not shown to be safe")
    assert not partly.whole


def test_little_is_never_said_where_something_is_missing_or_originals_leave() -> None:
    """A share that is small and shown is no praise of what nobody measured."""
    shown = cell("p", "attributes:mood", 0.09, half=0.01)
    (whole,) = verdicts([shown])
    assert whole.sentence.startswith("Gives little away (reading mood, 9 %")
    for other in (
        cell("p", "reconstruct", error="out of memory"),
        cell("p", "reconstruct"),
        cell("p", "attributes:person", reason="no person is on both sides"),
    ):
        (partly,) = verdicts([shown, other])
        assert partly.sentence.startswith("Gives something away (reading mood, 9 %")
        assert not partly.whole
    (copied,) = verdicts([shown, copies("p", 1, 240)])
    assert copied.sentence.startswith("1 of 240 releases are originals. Gives something away")


def test_a_private_label_that_nobody_tried_to_read_is_not_shown_to_be_hidden() -> None:
    fine = cell("p", "reconstruct", 0.0)
    (said,) = verdicts([fine, cell("p", "attributes:person", reason="nobody is on both sides")])
    assert said.sentence.startswith("Not shown to be safe")
    assert "Not measurable: reading person." in said.sentence
    assert not said.whole
    # Other attacks may have no meaning, and so may an attack that is only for encrypted releases.
    for other in ("bitstatistics", "attributes:person (trained on plain)"):
        (rest,) = verdicts([fine, cell("p", other, reason="there is nothing inside")])
        assert rest.sentence.startswith("Gives little away")
        assert rest.whole


def test_originals_come_first_and_nothing_good_comes_after() -> None:
    cells = [copies("p", 1, 240), cell("p", "attributes:mood", 0.0), copies("none", 240, 240)]
    (said, _) = verdicts(cells)
    assert said.sentence.startswith("1 of 240 releases are originals. Not shown to be safe")
    assert (said.originals, said.best) == (1, False)
    assert originals_found(cells) == "p: 1 of 240 releases are originals."
    assert originals_found(cells[1:]) == ""
    meant = {"p": Guarantee(originals="its releases are real pictures of writer 'a'")}
    assert originals_found(cells, meant) == (
        "p: 1 of 240 releases are originals, on purpose: its releases are real pictures of writer "
        "'a'."
    )


@pytest.mark.parametrize("name", ["album", "prototypes"])
def test_what_gives_out_originals_is_best_by_no_measure(name: str) -> None:
    def measured(name: str, learned: float, kept: float) -> list[Cell]:
        use = cell(name, "utility:mood", kept, role="utility")
        return [cell(name, "attributes:person", learned), use]

    clean = [*measured(name, 0.0, 0.9), *measured("blur", 0.5, 0.6)]
    assert [said.best for said in verdicts([copies(name, 0, 240), *clean])] == [True, False]
    assert [said.best for said in verdicts([copies(name, 1, 240), *clean])] == [False, True]


def test_a_use_below_its_floor_counts_as_none() -> None:
    (said,) = verdicts(
        [
            cell("p", "reconstruct", 0.5),
            cell("p", "quality", -3.0, role="utility"),
            cell("p", "utility:mood", 0.8, role="utility"),
        ]
    )
    assert said.kept == pytest.approx(0.4)


@given(st.lists(st.tuples(_SHARES, _SHARES), min_size=1, max_size=6))
def test_the_frontier_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    cells = []
    for i, (learned, kept) in enumerate(points):
        cells.append(cell(f"p{i}", "reconstruct", learned))
        cells.append(cell(f"p{i}", "quality", kept, role="utility"))
    found = verdicts(cells)
    for one in found:
        beaten = any(
            (a.learned <= one.learned and a.kept > one.kept)  # type: ignore[operator]
            or (a.learned < one.learned and a.kept >= one.kept)  # type: ignore[operator]
            for a in found
        )
        assert one.best != beaten


def exact(protector: str, low: float, share: float, high: float) -> Cell:
    """A cell of these very numbers: its floor is 0 and its ceiling 1."""
    made = cell(protector, "reconstruct", share)
    assert made.finding is not None
    found = replace(made.finding, value=share, floor=0.0, ceiling=1.0, interval=(low, high),
                    ceiling_interval=(1.0, 1.0))  # fmt: skip
    return replace(made, finding=found)


def test_a_fifth_is_still_little_by_the_upper_end_and_no_longer_by_the_figure() -> None:
    (at,) = verdicts([exact("p", 0.0, 0.1, 0.2)])
    assert at.sentence.startswith("Gives little away: at most 20 % by the attack")
    (just,) = verdicts([exact("p", 0.0, 0.1, 0.2004)])
    assert just.sentence.startswith("Not shown to be safe: with 100 victims it may give 21 % away")
    (above,) = verdicts([exact("p", 0.0, 0.1, 0.21)])
    assert above.sentence.startswith("Not shown to be safe: with 100 victims it may give 21 %")
    for high, word in ((0.2, "little"), (0.25, "something")):
        (shown,) = verdicts([exact("p", 0.1, 0.15, high)])
        assert shown.sentence.startswith(f"Gives {word} away")
    (fifth,) = verdicts([exact("p", 0.1, 0.2, 0.5)])
    assert fifth.sentence.startswith("Gives some away")


@pytest.mark.parametrize(
    ("kept", "said"),
    [(0.0, "keeps no use that was measured."), (0.0049, "keeps no use that was measured."),
     (0.0051, "keeps little of its use (1 %)."), (0.6, "keeps much of its use (60 %).")],
)  # fmt: skip
def test_what_rounds_to_nothing_is_no_use(kept: float, said: str) -> None:
    use = replace(exact("p", kept, kept, kept), role="utility")
    (found,) = verdicts([exact("p", 0.0, 0.1, 0.2), use])
    assert found.sentence.endswith(f"; {said}")
    (none,) = verdicts([exact("p", 0.0, 0.1, 0.2)])
    assert none.sentence.endswith(").")
    assert none.kept is None
    assert not none.best


def test_the_unprotected_release_is_a_baseline_and_no_rival_beats_itself() -> None:
    def both(name: str, learned: float, kept: float) -> list[Cell]:
        use = replace(exact(name, kept, kept, kept), role="utility")
        return [exact(name, learned - 0.01, learned, learned + 0.01), use]

    cells = [*both("none", 0.9, 0.9), *both("a", 0.5, 0.5), *both("b", 0.5, 0.5)]
    cells += [*both("c", 0.5, 0.4), *both("d", 0.6, 0.5)]
    found = {one.protector: one for one in verdicts(cells)}
    assert found["none"].sentence == (
        "Unprotected baseline: everything can be read; keeps nearly all of its use (90 %)."
    )
    assert {name: one.best for name, one in found.items()} == {
        "none": True, "a": True, "b": True, "c": False, "d": False,
    }  # fmt: skip
    # What failed keeps a protector out of the frontier, and the unprotected release in.
    broken = [*cells, cell("a", "x", error="broke"), cell("none", "x", error="broke")]
    best = {one.protector: one.best for one in verdicts(broken)}
    assert (best["none"], best["a"], best["b"]) == (True, False, True)
