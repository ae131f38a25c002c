"""The paper's two attacks on features in the clear and encrypted, and the one on the cipher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from papers.recipe import Run
from papers.shufflebits.parties import Parties
from papers.shufflebits.providers import Extractor, perceptual
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.reconstruct import ReconstructionAttack
from sfumato.attack.tools.decoder import ReconstructionConfig
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.read import inside
from sfumato.attack.tools.scores import draw_weights, interval, weighted_mean
from sfumato.audit.measure.evidence import evidence
from sfumato.data.imageset import ImageSet
from sfumato.protect.encrypted import EncryptedFeatures, Features
from sfumato.types import Finding, KeyedProtector, Knowledge, Protector, Releases

# The authors' weights of the three losses, and the two simpler ones of Fig. 4.
WEIGHTINGS = {
    "pixel": {"pixel": 1.0, "feature": 0.0, "adversarial": 0.0},
    "feature": {"pixel": 0.0, "feature": 1.0, "adversarial": 0.0},
    "feature+adversarial": {"pixel": 0.0, "feature": 1.0, "adversarial": 0.06},
}


def attributes(
    run: Run, parties: Parties, backbones: list[Extractor], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Fig. 3 and section III-D: each attribute's balanced accuracy, clear and encrypted.

    One attacker a backbone is trained on the adversary's plain features, then applied to the
    victims' features in the clear, under ShuffleBits, and sealed. `popcounts` is one that we add:
    it reads the number of set bits of each word, which no key of ShuffleBits changes.
    """
    attack = AttributeAttack(
        attributes=parties.attributes,
        seeds=tuple(range(run.seed, run.seed + settings["seeds"])),
        config=LearnerConfig(
            epochs=settings["epochs"], restarts=settings["restarts"], device=run.device
        ),
        group=parties.identity,
    )
    results = {}
    for backbone in backbones:
        releases = _releases(backbone)
        plain = plain_knowledge(parties, releases["shufflebits"])
        trained = attack.learn(plain)
        victims = {
            how: _read(parties.victims, protector, plain) for how, protector in releases.items()
        }
        found = {how: attack.apply(trained, victim) for how, victim in victims.items()}
        counting = replace(attack, view="popcounts", name="popcounts")
        counter = counting.learn(plain)
        for how in ("shufflebits", "sealed"):
            found[f"{how}, popcounts"] = counting.apply(counter, victims[how])
        results[backbone.name] = {
            name: {how: document(findings[name]) for how, findings in found.items()}
            for name in parties.attributes
        }
    return results


def reconstruction(
    run: Run, parties: Parties, backbone: Extractor, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Fig. 4 and section III-D: three weightings, and the same decoders on ciphertext."""
    victims = parties.victims.subset(range(min(settings["drawn"], len(parties.victims))))
    maps = perceptual(run, parties, settings)
    releases = _releases(backbone)
    results: dict[str, Any] = {"backbone": backbone.name}
    clear = releases_of(victims, releases["clear"])
    distances: dict[str, Tensor] = {}
    for name, weights in WEIGHTINGS.items():
        attack = ReconstructionAttack(
            seeds=tuple(range(run.seed, run.seed + settings["decoder_seeds"])),
            config=ReconstructionConfig(
                epochs=settings["decoder_epochs"],
                width=settings["width"],
                most_validated=settings["validated"],
                device=run.device,
                **cast("dict[str, Any]", weights),
            ),
            perceptual=maps,
            sheets=run.out / "figures",
            identity=parties.identity or parties.taught,
            name=f"{run.name}-{name}",
        )
        plain = plain_knowledge(parties, releases["shufflebits"])
        trained = attack.learn(plain)
        distances[name] = trained.scores(clear)
        results[name] = {
            how: document(attack.apply(trained, _read(victims, protector, plain), plain))
            for how, protector in releases.items()
        }
    results["ordering"] = sorted(distances, key=lambda name: float(distances[name].mean()))
    results["differences"] = differences(distances)
    return results


def differences(distances: Mapping[str, Float[Tensor, "seeds n"]]) -> dict[str, Any]:
    """Each weighting's cosine distance less each later one's, on the same victims.

    Victims differ among each other far more than weightings do on one victim, so that only the
    paired difference says which weighting is better; above 0 it is the second.
    """
    differences = {}
    for worse, better in combinations(distances, 2):
        paired = distances[worse] - distances[better]
        weights = draw_weights(paired.shape[1], seeds=len(paired))
        differences[f"{worse} - {better}"] = {
            "value": float(paired.mean()),
            "interval": list(interval(weighted_mean(paired.flatten()), weights)),
        }
    return differences


def cryptanalysis(
    parties: Parties, backbones: list[Extractor], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Beyond the paper: recover features from ciphertext, one fresh key a picture."""
    victims = parties.victims.subset(range(min(settings["broken"], len(parties.victims))))
    results = {}
    for backbone in backbones:
        releases = _releases(backbone)
        found = {}
        for how in ("shufflebits", "sealed"):
            knowledge = Knowledge.of(releases[how], parties.adversary)
            victim = releases_of(victims, releases[how])
            for known in settings["known_values"]:
                attack = BitStatistics(known_values=known)
                found[f"{how}, {known} values known"] = document(attack.run(victim, knowledge))
        results[backbone.name] = found
    return results


def document(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON values, and whether it is not shown to be above its floor.

    Of the many learners without their curves, which are nine tenths of a result.
    """
    found = asdict(finding)
    for learner in found["details"]["trained"]:
        learner.pop("training")
    return found | {"leakage": finding.leakage, "at_floor": not evidence(finding).shown}


def _releases(backbone: Extractor) -> dict[str, Protector]:
    return {
        "clear": Features(backbone),
        "shufflebits": EncryptedFeatures(backbone, "shufflebits"),
        "sealed": EncryptedFeatures(backbone, "sealed"),
    }


def plain_knowledge(parties: Parties, keyed: Protector) -> Knowledge:
    """Return what an adversary has who learns on features in the clear."""
    one = releases_of(parties.victims.subset([0]), keyed)
    return inside(one, Knowledge.of(keyed, parties.adversary))[1]


def _read(victims: ImageSet, protector: Protector, plain: Knowledge) -> Releases:
    """Return the victims' releases as who learned on features in the clear takes them."""
    return inside(releases_of(victims, protector), plain)[0]


def releases_of(victims: ImageSet, protector: Protector) -> Releases:
    """Return the victims' releases, each picture a request of its own and so with its own key."""
    if isinstance(protector, KeyedProtector):
        return Releases.of(protector, victims, at_once=1)
    return Releases.of(protector, victims)
