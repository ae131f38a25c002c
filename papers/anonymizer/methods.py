"""The protectors that are compared: the paper's, ours, and what everyone tries first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from papers.anonymizer.worlds import World, template_name, with_template
from papers.recipe import Run
from sfumato.device import resolve_device
from sfumato.protect.anonymizer.fit import AfterEpoch, AnonymizerConfig, fit_anonymizer
from sfumato.protect.anonymizer.model import Anonymizer
from sfumato.protect.augment import Deformation
from sfumato.protect.baselines import Blur, KSame, Noise, Pixelate
from sfumato.protect.prototypes.fit import PrototypesConfig, fit_prototypes
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.types import Protector

_BASELINES: dict[str, Callable[[float], Protector]] = {
    "blur": Blur,
    "pixelate": lambda block: Pixelate(int(block)),
    "noise": Noise,
}


def prototypes(
    run: Run, world: World, settings: Mapping[str, Any], *, count: int, seed: int
) -> PrototypeAnonymizer:
    """Return our anonymiser, fitted on the training pictures and the template, if there is one."""
    config = PrototypesConfig(
        prototypes=count,
        target=template_name(world),
        deformation=Deformation(**settings["deformation"]),
        seed=seed,
        device=run.device,
        **settings["fit"],
    )
    made = fit_prototypes(with_template(world), world.private, config)
    return made.to(resolve_device(run.device))  # where it releases


def paper(
    run: Run,
    world: World,
    settings: Mapping[str, Any],
    *,
    lam: float,
    seed: int,
    after_epoch: AfterEpoch | None = None,
) -> Anonymizer:
    """Return the paper's anonymiser; with a template, the intertwined method towards it."""
    config = AnonymizerConfig(
        lam=lam,
        target=template_name(world),
        seed=seed,
        device=run.device,
        **settings["paper"],
    )
    made = fit_anonymizer(with_template(world), world.private, config, after_epoch=after_epoch)
    return made.to(resolve_device(run.device))


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
