"""Verification and closed-set identification, which share their matchers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from sfumato.attack.reidentify import ReidentificationAttack, rank
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.matchers import pairs
from sfumato.attack.verify import VerificationAttack, area, tar_at_far
from sfumato.errors import DataError
from sfumato.types import Knowledge, Releases

_QUICK = LearnerConfig(epochs=20, batch_size=64, device="cpu")
_MIX = torch.randn(12, 40, generator=torch.Generator().manual_seed(5))


def _faces(people: Tensor) -> Tensor:
    """Pictures whose 12 latent traits mark a person, under stronger noise that carries nothing."""
    traits = torch.randn(int(people.max()) + 1, 12, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(int(people.sum()))
    noise = torch.randn(len(people), 12, generator=generator)
    rows = (traits[people] + 0.35 * noise) @ _MIX
    return rows.sigmoid().view(len(people), 1, 5, 8)


def _setting(own: Tensor, victims: Tensor, release: object) -> tuple[Releases, Knowledge]:
    assert callable(release)
    shown = _faces(victims)
    return (
        Releases(protector="test", tensor=release(shown), images=shown, labels={"who": victims}),
        Knowledge(images=_faces(own), labels={"who": own}, query=release),
    )


_KNOWN = torch.arange(30).repeat_interleave(8)
_STRANGERS = torch.arange(30, 50).repeat_interleave(5)


def test_strangers_are_verified_from_releases_in_the_clear() -> None:
    finding = VerificationAttack(identity="who", config=_QUICK).run(
        *_setting(_KNOWN, _STRANGERS, lambda images: images.flatten(1))
    )
    assert finding.value > 0.9
    assert finding.interval[0] < finding.value < finding.interval[1]
    assert finding.details.tar["0.1"] > 0.7


def test_strangers_cannot_be_verified_from_noise() -> None:
    torch.manual_seed(0)
    finding = VerificationAttack(identity="who", seeds=(0, 1), config=_QUICK).run(
        *_setting(_KNOWN, _STRANGERS, lambda images: torch.randn(len(images), 20))
    )
    assert finding.interval[0] <= 0.5 <= finding.interval[1]
    assert abs(finding.value - 0.5) < 0.1


def test_known_people_are_named_from_releases_in_the_clear_but_not_from_noise() -> None:
    torch.manual_seed(0)
    victims = torch.arange(40).repeat_interleave(3)
    attack = ReidentificationAttack(identity="who", config=_QUICK)
    clear = attack.run(*_setting(_KNOWN, victims, lambda images: images))
    assert clear.value > 0.7
    assert clear.floor == pytest.approx(1 / 30)
    assert clear.details.unknown_victims == 30
    noise = attack.run(*_setting(_KNOWN, victims, lambda images: torch.randn(len(images), 20)))
    assert noise.value < 0.15


def test_area_and_rates_are_those_of_sklearn_and_of_counting() -> None:
    generator = torch.Generator().manual_seed(3)
    genuine = torch.randint(0, 9, (60,), generator=generator).float() + 2
    impostor = torch.randint(0, 9, (90,), generator=generator).float()
    truth = np.r_[np.ones(60), np.zeros(90)]
    assert area(genuine, impostor) == pytest.approx(roc_auc_score(truth, [*genuine, *impostor]))
    tenth = sorted(impostor.tolist(), reverse=True)[9]
    assert tar_at_far(genuine, impostor, 0.1) == pytest.approx(
        float((genuine > tenth).float().mean())
    )
    assert tar_at_far(genuine, impostor, 0.001) == pytest.approx(
        float((genuine > impostor.max()).float().mean())
    )


def test_ranks_count_people_not_pictures_and_ties_go_against_the_adversary() -> None:
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.5, 0.5]])
    gallery = torch.tensor([7, 7, 3, 5])
    assert rank(scores, gallery, torch.tensor([3, 3])).tolist() == [2, 3]
    assert rank(scores, gallery, torch.tensor([7, 9])).tolist() == [1, 4]


def test_pairs_are_all_pairs() -> None:
    genuine, impostor = pairs(torch.tensor([0, 0, 1]))
    assert genuine.tolist() == [[0, 1]]
    assert impostor.tolist() == [[0, 2], [1, 2]]


def test_one_person_alone_is_an_error() -> None:
    alone = torch.zeros(6, dtype=torch.int64)
    attack = VerificationAttack(identity="who", config=_QUICK)
    with pytest.raises(DataError, match="two victims"):
        attack.run(*_setting(_KNOWN, alone, lambda images: images))
    with pytest.raises(DataError, match="4 people"):
        attack.run(*_setting(alone, _STRANGERS, lambda images: images))
    with pytest.raises(DataError, match="gallery"):
        ReidentificationAttack(identity="who", config=_QUICK).run(
            *_setting(_KNOWN, _STRANGERS, lambda images: images)
        )
