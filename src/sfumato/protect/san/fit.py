"""Train a semi-adversarial network: its own classifier first, then the paper's phases or rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from sfumato.data.assemble import conform
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions
from sfumato.fit.loop import History
from sfumato.protect.san.alternations import rounds
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.config import SanConfig
from sfumato.protect.san.model import SemiAdversarial
from sfumato.protect.san.phases import phases
from sfumato.protect.san.prototypes import binary_labels, labelled, prototypes_of
from sfumato.protect.san.training import Job


@dataclass(slots=True, kw_only=True)
class SanFit:
    """A trained network, the curves of its stages, and how many pictures had no label."""

    protector: SemiAdversarial
    histories: dict[str, History] = field(default_factory=dict)
    left_out: int = 0


def fit_san(
    images: ImageSet,
    private: tuple[str, ...],
    *,
    matcher: nn.Module,
    config: SanConfig,
    known: Sequence[nn.Module] = (),
) -> SanFit:
    """Train on these images; `matcher` maps images in [0, 1] of their size to embeddings.

    The matcher is frozen. So are `known`, more classifiers of the ensemble: they map images to
    one logit an attribute, positive for value 1. Pictures without one of the labels are left out
    and counted.

    Raises:
        DataError: an attribute is missing, not binary, or has one value.
        ConfigError: a setting is out of its range.
    """
    taken, left_out = labelled(images, private)
    height, width = taken.images.shape[2:]
    torch.manual_seed(config.seed)
    protector = SemiAdversarial(
        height=height,
        width=width,
        channels=config.channels,
        attributes=private,
        network=config.network,
        bound=config.bound,
        output=config.output,
    )
    # Prototypes are RGB also where the pictures are grey (section 3.2).
    protector.set_prototypes(prototypes_of(taken, private))
    chosen = SourceOptions(channels=1 if config.channels == 1 else 3)
    pictures, labels = conform(taken.images, chosen), binary_labels(taken, private)
    made = SanFit(protector=protector, left_out=left_out)
    stage = config.stage("classifier", config.classifier_epochs)
    made.histories["classifier"] = train_classifier(
        protector.classifier, pictures, labels, stage, title="classifier"
    )
    job = Job(protector, pictures, labels, matcher.requires_grad_(False).eval(), config)
    made.histories |= phases(job) if config.network == "paper" else rounds(job, known)
    protector.eval()
    return made
