"""What adversaries get from a release that know more: pairs, kept labels, groups, strangers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from papers.anonymizer.assess import attacked
from papers.anonymizer.worlds import World, released_set
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.groups import GroupAttack
from sfumato.attack.linkage import LinkageAttack
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.verify import VerificationAttack
from sfumato.audit.measure.collection import of_collection
from sfumato.types import Attack, Finding, Protector

_GROUP = 10  # releases that are known to be of one person


def attacks(
    world: World, protector: Protector, config: LearnerConfig, *, seed: int
) -> dict[str, Any]:
    """Attack what the owner releases: the whole collection, with the utility label.

    `pairs` has originals with their releases, `knowing` reads the kept label along, `groups` has
    several releases of one person, `groups_knowing` both, and `verify` matches strangers.
    """
    label, kept, seeds = world.private, (world.utility,), (seed,)
    released = of_collection(protector, [released_set(world)], kept, seed=seed)
    of_strangers = of_collection(protector, [world.strangers], kept, seed=seed)
    read = AttributeAttack(attributes=(label,), known=kept, seeds=seeds, config=config)
    groups = GroupAttack(label=label, size=_GROUP, seeds=seeds, config=config)
    knowing = GroupAttack(label=label, size=_GROUP, known=kept, seeds=seeds, config=config)
    found: dict[str, Attack] = {
        "pairs": LinkageAttack(label=label, seeds=seeds, config=config, group=label),
        "knowing": read,
        "groups": groups,
        "groups_knowing": knowing,
    }
    results = {
        name: _document(attacked(attack, released, world.test, world.train))
        for name, attack in found.items()
    }
    match = VerificationAttack(identity=label, seeds=seeds, config=config)
    matched = attacked(match, of_strangers, world.strangers, world.train)
    return results | {
        "verify": {
            "auc": matched.value,
            "interval": list(matched.interval),
            "tar": asdict(matched.details)["tar"],
        }
    }


def _document(finding: Finding) -> dict[str, Any]:
    details = asdict(finding.details)
    for name in ("trained", "roc", "originals"):
        del details[name]
    return {
        "value": finding.value,
        "interval": list(finding.interval),
        "floor": finding.floor,
        **details,
    }
