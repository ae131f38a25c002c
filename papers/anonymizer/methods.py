"""The protectors that are compared: the paper's, ours, and what everyone tries first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from papers.anonymizer.worlds import World, template_name, with_template
from papers.recipe import Run, frozen
from sfumato.device import resolve_device
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.anonymizer.fit import fit_anonymizer
from sfumato.protect.anonymizer.game import AfterEpoch
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.baselines import Blur, KSame, Noise, Pixelate
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.fit import fit_prototypes
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.types import Protector

_BASELINES: dict[str, Callable[[float], Protector]] = {
    "blur": Blur,
    "pixelate": lambda block: Pixelate(int(block)),
    "noise": Noise,
}


def prototypes_config(settings: Mapping[str, Any]) -> PrototypesConfig:
    """Return a recipe's settings of our anonymiser: a preset, or the defaults, and its changes."""
    changes = settings.get("fit", {})
    if "preset" in settings:
        return PrototypesConfig.preset(settings["preset"], **changes)
    return PrototypesConfig(**changes)


def paper_config(settings: Mapping[str, Any], lam: float) -> AnonymizerConfig:
    """Return a recipe's settings of the paper's anonymiser: a preset, or the defaults, changed."""
    changes = {"lam": lam, **frozen(settings.get("paper", {}))}
    preset = changes.pop("preset", None)
    if preset is None:
        return AnonymizerConfig(**changes)
    return AnonymizerConfig.preset(preset, **changes)


def prototypes(
    run: Run, world: World, settings: Mapping[str, Any], *, count: int, seed: int
) -> PrototypeAnonymizer:
    """Return our anonymiser, fitted on the training pictures and the template, if there is one."""
    config = replace(
        prototypes_config(settings),
        prototypes=count,
        target=template_name(world),
        seed=seed,
        device=run.device,
    )
    made = fit_prototypes(with_template(world), private=world.private, config=config).protector
    return made.to(resolve_device(run.device))  # where it releases


def paper(
    run: Run,
    world: World,
    settings: Mapping[str, Any],
    *,
    lam: float,
    seed: int,
    after_epoch: AfterEpoch | None = None,
    checkpoint: Path | None = None,
) -> Anonymizer:
    """Return the paper's anonymiser; with a template, the intertwined method towards it."""
    config = replace(
        paper_config(settings, lam),
        target=template_name(world),
        seed=seed,
        device=run.device,
        checkpoint=checkpoint,
    )
    fitted = fit_anonymizer(
        with_template(world), private=world.private, config=config, after_epoch=after_epoch
    )
    return fitted.protector.to(resolve_device(run.device))


def baselines(world: World, settings: Mapping[str, Any]) -> list[Protector]:
    """Return every baseline of the settings: name -> list of strengths."""
    made: list[Protector] = []
    for name, strengths in settings["baselines"].items():
        if name == "ksame":
            people = world.train.label(world.private)
            gallery = world.train.floats()
            made += [KSame(int(k), gallery, people) for k in strengths]
        else:
            made += [_BASELINES[name](strength) for strength in strengths]
    return made
