"""Which learners try a release depends on its shape alone."""

from __future__ import annotations

import pytest
import torch

from sfumato.attack.tools.learners import LearnerConfig, start_of, train_all, train_namer
from sfumato.errors import ConfigError
from sfumato.nets.classifiers import ConvClassifier, Perceptron

HELD = (torch.arange(8), torch.arange(8, 12))
CONV = LearnerConfig(learners=("conv",), epochs=1, restarts=1, device="cpu")


def rows(*shape: int) -> torch.Tensor:
    return torch.rand(12, *shape, generator=torch.Generator().manual_seed(0))


def read(shape: tuple[int, ...]) -> list[str]:
    targets = {"mood": torch.arange(12) % 2}
    return [found.learner for found in train_all(rows(*shape), targets, HELD, CONV, seed=0)]


def test_a_convolutional_network_reads_maps_of_four_pixels_a_side() -> None:
    assert read((2, 4, 4)) == ["conv"]
    assert read((1, 4, 9)) == ["conv"]
    for shape in ((2, 3, 4), (2, 4, 3), (16,), (4, 4)):
        with pytest.raises(ConfigError, match="conv needs a spatial shape"):
            read(shape)


def test_who_names_people_takes_the_network_that_fits() -> None:
    people = torch.arange(12) % 3
    config = LearnerConfig(epochs=1, device="cpu")
    assert isinstance(train_namer(rows(1, 4, 4), people, config, seed=0), ConvClassifier)
    assert isinstance(train_namer(rows(1, 3, 4), people, config, seed=0), Perceptron)


def test_what_is_validated_is_the_mean_over_labels() -> None:
    labels = torch.arange(12) % 2
    config = LearnerConfig(learners=("perceptron",), epochs=3, restarts=1, device="cpu")
    for targets in ({"mood": labels}, {"mood": labels, "other": labels.flip(0) * labels}):
        (found,) = train_all(rows(4), targets, HELD, config, seed=0)
        assert found.training is not None
        best = max(found.training.curves["validated"])
        assert best == pytest.approx(sum(found.validated.values()) / len(targets))


def test_no_start_comes_twice() -> None:
    starts = [start_of(seed, restart) for seed in range(40) for restart in range(30)]
    assert len({*starts}) == len(starts)


def test_trees_take_seeds_beyond_those_of_numpy() -> None:
    config = LearnerConfig(learners=("trees",), restarts=1, device="cpu")
    (found,) = train_all(rows(4), {"mood": torch.arange(12) % 2}, HELD, config, seed=2**32 + 1)
    assert found.learner == "trees"
