"""The recipes of the paper `shufflebits`; settings are in `recipes/`, equations in the README."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from papers.recipe import Recipe, Results, Run
from papers.shufflebits import parties as who
from papers.shufflebits.attacks import attributes, cryptanalysis, reconstruction
from papers.shufflebits.parties import Parties
from papers.shufflebits.peer import peer
from papers.shufflebits.providers import extractors
from sfumato.audit.measure.disjoint import check_disjoint


def _recipe(make: Callable[[Run, Mapping[str, Any]], Parties]) -> Recipe:
    def recipe(run: Run, settings: Mapping[str, Any]) -> Results:
        parties = make(run, settings)
        check_disjoint(parties.victims, parties.adversary, parties.identity)
        check_disjoint(parties.provider, parties.adversary, parties.identity)
        backbones = extractors(run, parties, settings)
        drawn = next(b for b in backbones if b.name.startswith(settings["drawn_from"]))
        return {
            "counts": {
                "provider": len(parties.provider),
                "adversary": len(parties.adversary),
                "victims": len(parties.victims),
            },
            "attributes": attributes(run, parties, backbones, settings),
            "reconstruction": reconstruction(run, parties, drawn, settings),
            "cryptanalysis": cryptanalysis(parties, backbones, settings),
        }

    recipe.__doc__ = make.__doc__
    return recipe


RECIPES: dict[str, Recipe] = {
    "faces": _recipe(who.faces),
    "characters": _recipe(who.characters),
    "digits": _recipe(who.digits),
    "market1501": _recipe(who.market1501),
    "peer": peer,
}
