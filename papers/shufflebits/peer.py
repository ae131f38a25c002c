"""Encryption that keeps distances, under the attacks of this paper and two of its own.

Beside features in the clear, ShuffleBits and envelopes. Every protector meets every attacker:

- `plain`: the paper's, who learned on plain features of own pictures.
- `set bits`: the same, by the number of set bits of each word.
- `matched`: the same, after telling dimensions apart by how intercepted ones are distributed.
- `queried`: learned on releases of own pictures by the same service.
- `nearest`: takes the most alike of own plain features, after the same matching; draws its picture.
- `linked`: who of two releases is near to whom, without any key, label or extractor.
- `recovered`: features told from releases alone; from ciphertext of fresh keys by `bitstatistics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from papers.recipe import Results, Run
from papers.shufflebits import parties as who
from papers.shufflebits.alloy import AlloyFeatures
from papers.shufflebits.attacks import document, plain_knowledge, releases_of
from papers.shufflebits.matching import matched
from papers.shufflebits.parties import Parties
from papers.shufflebits.providers import Extractor, extractors
from sfumato.attack.attributes import AttributeAttack
from sfumato.attack.on_cipher.bitstatistics import BitStatistics
from sfumato.attack.tools.learners import LearnerConfig
from sfumato.attack.tools.read import inside, read
from sfumato.attack.tools.scores import mean_interval, share_interval
from sfumato.protect.encrypted import EncryptedFeatures, Features
from sfumato.types import KeyedProtector, Knowledge, Protector


def peer(run: Run, settings: Mapping[str, Any]) -> Results:
    """Handwritten digits, one network of the provider's, every protector and attacker."""
    parties = who.digits(run, settings)
    run.apart(provider=parties.provider, adversary=parties.adversary, victims=parties.victims)
    backbone = extractors(run, parties, settings)[0]
    found = {
        name: _attacked(run, parties, backbone, protector, settings)
        for name, protector in _protectors(backbone, settings).items()
    }
    return {"chance": 1 / len(parties.victims.label("digit").unique()), "protectors": found}


def _protectors(backbone: Extractor, settings: Mapping[str, Any]) -> dict[str, Protector]:
    peers = {
        f"alloy, factor {factor:g}": AlloyFeatures(backbone, factor=factor)
        for factor in settings["factors"]
    }
    return {
        "clear": Features(backbone),
        **peers,
        "shufflebits": EncryptedFeatures(backbone, "shufflebits"),
        "sealed": EncryptedFeatures(backbone, "sealed"),
    }


def _attacked(
    run: Run,
    parties: Parties,
    backbone: Extractor,
    protector: Protector,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    plain = plain_knowledge(parties, EncryptedFeatures(backbone, "shufflebits"))
    intercepted = victim = releases_of(parties.victims, protector)
    # Words of ciphertext are taken for the floats that they stand for.
    if isinstance(protector, KeyedProtector):
        victim = inside(victim, Knowledge.of(protector, parties.adversary))[0]
    public = plain.query(plain.images)
    told = replace(victim, tensor=matched(read(victim.tensor, "numbers"), public))
    attack = AttributeAttack(
        attributes=(parties.taught,),
        seeds=tuple(range(run.seed, run.seed + settings["seeds"])),
        config=LearnerConfig(
            epochs=settings["epochs"], restarts=settings["restarts"], device=run.device
        ),
    )
    counting = replace(attack, view="popcounts", name="popcounts")
    learned = attack.learn(plain)
    asked = replace(plain, query=_one_request_each(protector))
    attributes = {
        "plain": attack.apply(learned, victim),
        "set bits": counting.apply(counting.learn(plain), victim),
        "matched": attack.apply(learned, told),
        "queried": attack.apply(attack.learn(asked), intercepted),
    }
    digits = parties.victims.label(parties.taught)
    return {
        "digit": {how: document(found[parties.taught]) for how, found in attributes.items()},
        "nearest": _nearest(parties, backbone, told.tensor, public),
        "linked": _linked(read(victim.tensor, "numbers"), digits),
        "recovered": _recovered(parties, backbone, protector, told.tensor, settings),
    }


def _one_request_each(protector: Protector) -> Any:  # noqa: ANN401 - a query
    """Return the service as an adversary asks it: a picture a request, as its users do."""
    return lambda images: torch.cat([protector.release(one) for one in images.split(1)])


def _nearest(
    parties: Parties, backbone: Extractor, rows: Float[Tensor, "n d"], public: Float[Tensor, "m d"]
) -> dict[str, Any]:
    """Return the cosine distance of the adversary's most alike picture, and how often it is right.

    The distance is between the provider's features of the victim's picture and of that one.
    """
    alike = F.normalize(rows.double(), dim=1) @ F.normalize(public.double(), dim=1).T
    picks = alike.argmax(1)
    truth = backbone(parties.victims.floats())
    distances = 1 - F.cosine_similarity(truth, public[picks], dim=1)
    label = parties.taught
    right = parties.adversary.label(label)[picks] == parties.victims.label(label)
    return {
        "cosine_distance": float(distances.mean()),
        "digit": _share(right, parties.victims.label(label)),
    }


def _linked(rows: Float[Tensor, "n d"], digits: Int64[Tensor, "n"]) -> dict[str, Any]:
    """Return how often the release that is nearest to one shows the same digit."""
    alike = F.normalize(rows.double(), dim=1) @ F.normalize(rows.double(), dim=1).T
    alike.fill_diagonal_(-2.0)  # itself
    return _share(digits[alike.argmax(1)] == digits, digits)


def _recovered(
    parties: Parties,
    backbone: Extractor,
    protector: Protector,
    rows: Float[Tensor, "n d"],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the cosine similarity of what is recovered with the features."""
    if isinstance(protector, EncryptedFeatures):
        few = parties.victims.subset(range(settings["broken"]))
        knowledge = Knowledge.of(protector, parties.adversary)
        return document(BitStatistics().run(releases_of(few, protector), knowledge))
    truth = backbone(parties.victims.floats()).double()
    found = F.cosine_similarity(rows.double(), truth, dim=1)
    low, high = mean_interval(found.float()[None])
    return {"value": float(found.mean()), "interval": [low, high]}


def _share(right: Tensor, digits: Int64[Tensor, "n"]) -> dict[str, Any]:
    """Return a balanced share and its interval."""
    value = torch.stack([right[digits == digit].float().mean() for digit in digits.unique()])
    low, high = share_interval(right.float()[None], digits)
    return {"value": float(value.mean()), "interval": [low, high]}
