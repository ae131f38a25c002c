"""The recipes of the paper `obfuscator`; settings are in `recipes/`, equations in the README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from papers.obfuscator.study import study
from papers.recipe import Recipe, Results, Run


def mnist(run: Run, settings: Mapping[str, Any]) -> Results:
    """MNIST at full size, VGG16 as it is: for a GPU."""
    return study(run, settings)


def cifar10(run: Run, settings: Mapping[str, Any]) -> Results:
    """CIFAR-10 at full size: for a GPU. Its files at hand may be lossy; the data key says which."""
    return study(run, settings)


def cifar100(run: Run, settings: Mapping[str, Any]) -> Results:
    """CIFAR-100 at full size: for a GPU."""
    return study(run, settings)


def mnist_small(run: Run, settings: Mapping[str, Any]) -> Results:
    """MNIST with a quarter of VGG16's width and a tenth of the images: for two cores."""
    return study(run, settings)


def cifar10_small(run: Run, settings: Mapping[str, Any]) -> Results:
    """A part of CIFAR-10 with a quarter of VGG16's width: for two cores."""
    return study(run, settings)


def characters(run: Run, settings: Mapping[str, Any]) -> Results:
    """Drawn people, no files needed: maps of expressions, from which identity is read."""
    return study(run, settings)


RECIPES: dict[str, Recipe] = {
    "mnist": mnist,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "mnist-small": mnist_small,
    "cifar10-small": cifar10_small,
    "characters": characters,
}
