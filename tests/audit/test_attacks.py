from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from sfumato.attack.tools.learners import LearnerConfig
from sfumato.audit.attacks import ATTACKS, Setting, open_attack
from sfumato.audit.report.wording import wording
from sfumato.errors import ConfigError

_SETTING = Setting(seeds=(3, 4), config=LearnerConfig(), identity="person", kept=("mood",))


@pytest.mark.parametrize("kind", ATTACKS)
def test_every_attack_of_the_command_line_is_made_and_has_words(kind: str) -> None:
    spec = f"{kind}:person" if f"{kind}:LABEL" in ATTACKS[kind][0] else kind
    attack = open_attack(spec, _SETTING)
    assert attack.name.startswith(kind)
    assert wording(attack.name).title != attack.name


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("guess", "none of"),
        ("popcounts", "label"),
        ("reidentify", "label"),
        ("linkage", "label"),
        ("knowing", "label"),
        ("groups", "label"),
        ("", "none of"),
    ],
)
def test_a_wrong_attack_says_what_there_is(spec: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        open_attack(spec, _SETTING)


def test_matching_needs_people() -> None:
    with pytest.raises(ConfigError, match="`identity`"):
        open_attack("verify", Setting(seeds=(0,), config=LearnerConfig()))


def test_what_an_audit_asks_of_training_reaches_every_network() -> None:
    config = LearnerConfig(epochs=7, precision="bf16", device="cpu")
    setting = Setting(seeds=(0,), config=config, identity="person")
    setting = replace(setting, kept=("mood",))
    specs = ("reconstruct", "verify", "reidentify:person", "popcounts:age", "linkage:age")
    for spec in (*specs, "knowing:age", "groups:age"):
        made = cast("Any", open_attack(spec, setting)).config
        assert (made.epochs, made.precision, made.device) == (7, "bf16", "cpu"), spec


@pytest.mark.parametrize("kind", ["linkage", "knowing", "popcounts"])
def test_people_are_the_witnesses_of_what_is_read_from_their_pictures(kind: str) -> None:
    assert cast("Any", open_attack(f"{kind}:age", _SETTING)).group == "person"
