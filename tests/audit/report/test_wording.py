"""Shares in words and in percent, and what is said of every attack there is."""

from __future__ import annotations

import math

import pytest

from sfumato.audit.measure.cells import PLAIN
from sfumato.audit.report.wording import amount, at_least, at_most, percent, span, wording

KINDS = (
    "attributes", "knowing", "groups", "copies", "popcounts", "reconstruct", "verify",
    "reidentify", "matched", "recognised", "faces", "linkage", "bitstatistics", "membership",
    "poison", "enrollment-mean", "enrollment-pictures", "enrollment-membership", "utility",
    "quality", "matching",
)  # fmt: skip


@pytest.mark.parametrize(
    ("below", "word", "at", "then"),
    [(-9.0, "little", 0.2, "some"), (0.2, "some", 0.5, "much"), (0.5, "much", 0.8, "nearly all"),
     (0.8, "nearly all", 0.995, "all"), (0.995, "all", 9.0, "all")],
)  # fmt: skip
def test_a_word_holds_from_its_limit_on_up_to_the_next(
    below: float, word: str, at: float, then: str
) -> None:
    assert amount(below) == amount(math.nextafter(at, -1)) == word
    assert amount(at) == then


@pytest.mark.parametrize(
    ("share", "said"), [(0.204, "20 %"), (0.206, "21 %"), (1.0, "100 %"), (-0.05, "\u22125 %")]
)
def test_a_share_is_whole_percent_with_a_minus_of_its_own(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("share", "least", "most"),
    [(0.0049, "0 %", "1 %"), (0.204, "20 %", "21 %"), (0.206, "20 %", "21 %"),
     (0.06 + 1e-9, "6 %", "6 %"), (0.2 - 1e-9, "20 %", "20 %"), (1.0, "100 %", "100 %"),
     (-0.114, "\u221212 %", "\u221211 %")],
)  # fmt: skip
def test_a_limit_is_rounded_to_the_side_on_which_it_holds(
    share: float, least: str, most: str
) -> None:
    """What may be 20.4 % is not "at most 20 %", and an interval of 0 to 0 % is no interval."""
    assert at_least(share) == least
    assert at_most(share) == most
    assert span((share, share)) == f"{least.removesuffix(' %')} to {most}"


@pytest.mark.parametrize("kind", KINDS)
def test_each_attack_is_told_in_whole_sentences_with_its_label(kind: str) -> None:
    found = wording(f"{kind}:mood")
    assert found == wording(f"{kind}:mood")
    for text in (found.title, found.metric):
        assert text
        assert text[0].islower()
        assert not text.endswith(".")
    assert found.done[0].isupper()
    assert found.done.endswith(".")
    inside = wording(f"{kind}:mood{PLAIN}")
    assert (inside.title, inside.metric) == (found.title, found.metric)
    assert inside.done.startswith(found.done + " It learned on unencrypted releases")


def test_labels_are_named_and_an_attack_from_outside_by_its_name() -> None:
    assert wording("attributes:hair").title == "reading hair"
    assert wording("reidentify:writer").title == "naming the writer"
    assert wording("reidentify").title == "naming the person"
    strange = wording("mine:mood")
    assert (strange.title, strange.metric) == ("mine:mood", "")
    assert "its own documentation" in strange.done
