"""What others learn from an obfuscator's maps: pictures, members, links, labels, the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from papers.obfuscator.parties import Parties
from papers.recipe import Run, frozen
from papers.stages import Stage
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.linkage import LinkageAttack
from sfumato.attack.membership import MembershipAttack, with_membership
from sfumato.attack.reconstruct import ReconstructionAttack, ReconstructionDetails
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.data.imageset import ImageSet
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.release.classifier import fit_map_classifier
from sfumato.protect.release.config import MapClassifierConfig
from sfumato.protect.release.maps import StoredMaps, about
from sfumato.types import Attack, Finding, Knowledge, Releases, ask

SHOWN = 8
"""Victims whose pictures are drawn in the figures."""


def draw(
    run: Run, party: Parties, made: Obfuscator, settings: Mapping[str, Any], network: str
) -> Stage:
    """Train one reconstructor from scratch on the adversary's own releases, and draw the victims.

    Return what it reached in PSNR and SSIM, how well it did on held-out pictures of the adversary,
    by which the best network is chosen, and the first pictures that it drew.
    """
    attack = ReconstructionAttack(
        seeds=tuple(range(run.seed, run.seed + settings["seeds"])),
        config=ReconstructionConfig(
            networks=(network,),
            device=run.device,
            **{key: value for key, value in settings.items() if key != "seeds"},
        ),
        metric="psnr",
        label=party.utility,
    )
    knowledge = Knowledge.of(made, party.adversary)
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)  # the noise of this release, so that a run can be repeated
        trained = attack.learn(knowledge)
        victim = Releases.of(made, party.victims)
        found = attack.apply(trained, victim, knowledge)
        drawn = trained.draw(victim)[0]
    details = found.details
    assert isinstance(details, ReconstructionDetails)
    trainings = [one.training for one in details.trained if one.training is not None]
    document = {
        "network": network,
        "validated": sum(d.validated for d in trained.decoders) / len(trained.decoders),
        "psnr": asdict(details.scores["psnr"]),
        "ssim": asdict(details.scores["ssim"]),
        "floors": details.floors,
        "epochs": [len(one.curves["validated"]) for one in trainings],
        "stopped_early": [one.stopped_early for one in trainings],
    }
    return document, {"drawn": drawn[:SHOWN]}


def others(
    run: Run, party: Parties, made: Obfuscator, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return membership inference, linkage by example, and every further label read from maps.

    `settings["attributes"]` are labels that no training looked at; who is shown may be one.
    """
    config = LearnerConfig(device=run.device, **frozen(settings["learners"]))

    found = {
        "membership": membership(run, party, made, config),
        "linkage": _run(
            LinkageAttack(label=party.utility, seeds=(run.seed,), config=config),
            made,
            party.adversary,
            party.victims,
            seed=run.seed,
        ),
    }
    for label in settings["attributes"]:
        found[label] = _run(
            AttributeAttack(attributes=(label,), seeds=(run.seed,), config=config),
            made,
            party.adversary,
            party.victims,
            seed=run.seed,
        )
    return {name: asdict(finding) for name, finding in found.items()}


def retrain(run: Run, party: Parties, made: Obfuscator) -> float:
    """Return the accuracy of a classifier trained later on released maps, without any picture."""
    classes = {party.utility: party.keeper.classes[party.utility]}
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        kept, new = (
            StoredMaps(
                about=about(made, classes),
                maps=ask(made.release, images.floats()),
                labels={party.utility: images.label(party.utility)},
            )
            for images in (party.keeper, party.victims)
        )
    config = MapClassifierConfig(seed=run.seed, device=run.device)
    classifier, _ = fit_map_classifier(kept, label=party.utility, config=config)
    return classifier.accuracy(new)


def membership(
    run: Run,
    party: Parties,
    made: Obfuscator,
    config: LearnerConfig,
) -> Finding:
    """Half of the members and of the strangers are known to the adversary, the rest are victims."""
    count = min(len(party.keeper), len(party.adversary))
    half = count // 2
    members, strangers = (
        (images.subset(range(half)), images.subset(range(half, count)))
        for images in (party.keeper, party.adversary)
    )
    kept = (party.utility,)
    known = with_membership(members[0], strangers[0], keep=kept)
    victims = with_membership(members[1], strangers[1], keep=kept)
    return _run(
        MembershipAttack(
            classify=made.logits, label=party.utility, seeds=(run.seed,), config=config
        ),
        made,
        known,
        victims,
        seed=run.seed,
    )


def _run(
    attack: Attack,
    made: Obfuscator,
    own: ImageSet,
    victims: ImageSet,
    *,
    seed: int,
) -> Finding:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return attack.run(Releases.of(made, victims), Knowledge.of(made, own))
