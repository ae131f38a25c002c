"""What is chosen on validation pictures: how a bottleneck is trained, and what each map may say.

Each training is measured under several bounds: the accuracy kept, what a map says, and what tells
members of the training from strangers. The victims' pictures are read once, under every bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from papers.obfuscator import attacks
from papers.obfuscator.parties import Parties, parties
from papers.recipe import Results, Run, frozen
from papers.stages import Stage, Stages
from sfumato.attack.membership import MembershipDetails
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.device import resolve_device
from sfumato.protect.deformation import Deformation
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.fit import fit_obfuscator
from sfumato.protect.obfuscator.model import Obfuscator

_WAYS = ("release", "certainty", "truth")
_LOST = 0.005  # accuracy that a choice may cost on validation pictures


def choices(run: Run, settings: Mapping[str, Any]) -> Results:
    """Measure every variant of a recipe, with every seed, under every bound; choose one."""
    measured: dict[str, list[dict[str, Any]]] = {}
    for seed in settings["seeds"]:
        one = replace(run, seed=seed)
        party = parties(one, settings)
        for name in settings["variants"]:
            run.fits(name, config_of(settings, name))
        stages = Stages.of(one, settings)
        for name in settings["variants"]:
            fitted = stages.keep(f"{name}-{seed}", _measuring(one, settings, party, name))
            measured.setdefault(name, []).append(fitted[0])
    rows = {name: _summary(found) for name, found in measured.items()}
    return {"variants": rows, "chosen": chosen(rows), "seeds": list(settings["seeds"])}


def config_of(settings: Mapping[str, Any], name: str) -> ObfuscatorConfig:
    """Return how one variant is trained."""
    changes = frozen(settings.get("network", {})) | frozen(settings["variants"][name])
    if "deformation" in changes:
        changes["deformation"] = Deformation(**changes["deformation"])
    if "preset" in settings:
        return ObfuscatorConfig.preset(settings["preset"], **changes)
    return ObfuscatorConfig(**changes)


def chosen(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the variant and the least bound that cost little accuracy on validation pictures."""
    every = [
        (float(bound), -_mean(at["validation_accuracy"]), name, bound)
        for name, row in rows.items()
        for bound, at in row.items()
    ]
    best = max(-accuracy for _, accuracy, _, _ in every)
    _, accuracy, name, bound = min(one for one in every if -one[1] >= best - _LOST)
    return {"variant": name, "bound": bound, "validation_accuracy": -accuracy}


def _measuring(run: Run, settings: Mapping[str, Any], party: Parties, name: str) -> Any:  # noqa: ANN401
    def make(checkpoint: Path) -> Stage:
        config = replace(
            config_of(settings, name), seed=run.seed, device=run.device, checkpoint=checkpoint
        )
        made = fit_obfuscator(
            party.keeper, utility=party.utility, config=config, check=party.validation
        ).protector.to(resolve_device(run.device))
        return {f"{b:g}": _at(run, settings, party, made, b) for b in settings["bounds"]}, {}

    return make


def _at(
    run: Run, settings: Mapping[str, Any], party: Parties, made: Obfuscator, bound: float
) -> dict[str, Any]:
    made.most_nats = bound
    made.measure_nats(party.victims.floats())
    config = LearnerConfig(device=run.device, **frozen(settings["learners"]))
    member = attacks.membership(run, party, made, config)
    details = member.details
    assert isinstance(details, MembershipDetails)
    return {
        "validation_accuracy": _accuracy(made, party.validation),
        "accuracy": _accuracy(made, party.victims),
        "training_accuracy": _accuracy(made, party.keeper),
        "nats": made.certificate,
        "members": dict(details.ways) | {"counts": member.value, "interval": member.interval},
        "trained": [(one.learner, one.seed) for one in details.trained],
    }


def _accuracy(made: Obfuscator, images: ImageSet) -> float:
    found = made.classify(made.release(images.floats()))
    return float((found == images.label(made.utility)).float().mean())


def _summary(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a variant's figures by bound: of each seed, and their means."""
    return {bound: _over([one[bound] for one in seeds]) for bound in seeds[0]}


def _over(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = ("validation_accuracy", "accuracy", "training_accuracy")
    ways = {
        way: [one["members"][way] for one in found] for way in ("release", "certainty", "truth")
    }
    nats = {key: [one["nats"][key] for one in found] for key in ("mean", "p95", "worst")}
    return (
        {name: _seeds([one[name] for one in found]) for name in figures}
        | {"nats": {key: _seeds(values) for key, values in nats.items()}}
        | {"members": {way: _seeds(values) for way, values in ways.items()}}
        | {"trained": found[0]["trained"]}
    )


def _seeds(values: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {"value": fmean(values), "seeds": list(values)}
    return found if len(values) == 1 else found | {"interval": [min(values), max(values)]}


def _mean(figure: Mapping[str, Any]) -> float:
    return float(figure["value"])
