"""Train a semi-adversarial network: its own classifier first, then the paper's phases or rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from sfumato.data.assemble import conform
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.protect.fitted import Fitted
from sfumato.protect.san.alternations import rounds
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.matcher import train_matcher
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.phases import phases
from sfumato.protect.san.prototypes import binary_labels, labelled, prototypes_of
from sfumato.protect.san.training import Job


def fit_san(
    images: ImageSet,
    *,
    private: str | tuple[str, ...],
    config: SanConfig | None = None,
    identity: str = "identity",
    matcher: nn.Module | None = None,
    known: Sequence[nn.Module] = (),
) -> Fitted[SemiAdversarial]:
    """Train on these images, and hide one label or several together.

    `matcher` maps images in [0, 1] of their size to embeddings; without it, one is trained first
    on the label `identity`. The matcher is frozen, and so are `known`, classifiers that join the
    ensemble: they map images to one logit an attribute, positive for value 1. Pictures without
    one of the labels are left out and counted.

    Raises:
        DataError: an attribute is missing, not binary, or has one value; or, without a matcher,
            the identities are unusable.
        ConfigError: the pictures have a size that the network cannot take.
    """
    config = config or SanConfig()
    hidden = (private,) if isinstance(private, str) else private
    taken, left_out = labelled(images, hidden)
    height, width = taken.images.shape[2:]
    torch.manual_seed(config.seed)
    protector = SemiAdversarial(
        height=height,
        width=width,
        channels=config.channels,
        attributes=hidden,
        network=config.network,
        bound=config.bound,
        output=config.output,
        person=identity,
    )
    # Prototypes are RGB also where the pictures are grey (section 3.2).
    protector.set_prototypes(prototypes_of(taken, hidden))
    chosen = matcher or _matcher(images, identity, config)
    job = Job(
        protector,
        _as_taken(taken, config),
        binary_labels(taken, hidden),
        chosen.requires_grad_(False).eval(),
        config,
    )
    stage = config.stage("classifier", config.classifier_epochs)
    histories = {
        "classifier": train_classifier(
            protector.classifier, job.pictures, job.labels, stage, title="classifier"
        )
    }
    histories |= phases(job) if config.network == "paper" else rounds(job, known)
    return Fitted(
        protector=protector.cpu().eval(),
        histories=histories,
        trained=len(taken),
        left_out=left_out,
    )


def _as_taken(images: ImageSet, config: SanConfig) -> UInt8[Tensor, "n c h w"]:
    return conform(images.images, SourceOptions(channels=config.channels))


def _matcher(images: ImageSet, identity: str, config: SanConfig) -> nn.Module:
    """Train a matcher of all people, without disturbing what is drawn after it."""
    with torch.random.fork_rng():
        people = replace(images, images=_as_taken(images, config))
        return train_matcher(people, identity, config.stage("matcher", config.matcher_epochs))
