"""The recipes of the paper `obfuscator`; settings are in `recipes/`, equations in the README."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from papers.obfuscator.choices import choices
from papers.obfuscator.study import study
from papers.recipe import Recipe, Results, Run

_ABOUT = {
    "mnist": "MNIST at full size, VGG16 as it is: for a GPU.",
    "cifar10": "CIFAR-10 at full size: for a GPU. Its files at hand may be lossy; the data key "
    "says which.",
    "cifar100": "CIFAR-100 at full size: for a GPU.",
    "mnist-small": "MNIST with a quarter of VGG16's width and a tenth of the images: for two "
    "cores.",
    "cifar10-small": "A part of CIFAR-10 with a quarter of VGG16's width: for two cores.",
    "characters": "Drawn people, no files needed: maps of expressions, from which identity is "
    "read.",
}


def _recipe(about: str) -> Recipe:
    def recipe(run: Run, settings: Mapping[str, Any]) -> Results:
        return study(run, settings)

    recipe.__doc__ = about
    return recipe


def bound(run: Run, settings: Mapping[str, Any]) -> Results:
    """MNIST, small: lambda, and the most that a map may say, chosen on validation pictures."""
    return choices(run, settings)


def members(run: Run, settings: Mapping[str, Any]) -> Results:
    """CIFAR-10, few pictures and many epochs: who was in the training, and what hides it."""
    return choices(run, settings)


CHOICES: dict[str, Recipe] = {"bound": bound, "members": members}
"""Those that choose settings; the others train what was chosen, and the paper's."""
RECIPES: dict[str, Recipe] = {
    **{name: _recipe(about) for name, about in _ABOUT.items()},
    **CHOICES,
}
