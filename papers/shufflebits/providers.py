"""The provider's extractors, and the early layers that the adversary trains to compare pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from papers.recipe import Run
from papers.shufflebits.parties import Parties
from sfumato.attack.tools.learners import LearnerConfig, train_namer
from sfumato.data.imageset import ImageSet
from sfumato.device import Device, resolve_device
from sfumato.errors import DataError
from sfumato.features.backbone import Backbone, open_backbone
from sfumato.features.preprocess import Preprocess
from sfumato.nets.classifiers import ConvClassifier

_STAGE = 7  # modules before the first pool of a ConvClassifier: its earliest maps
_FACE = 150  # side of the face network's input


class Extractor:
    """A backbone that is asked for the same pictures again and again, and remembers its answers.

    It runs on the accelerator where there is one and answers on the CPU.
    """

    def __init__(self, backbone: Backbone, device: Device) -> None:
        self.backbone, self.name = backbone, backbone.name
        self.answers: dict[bytes, Tensor] = {}
        self.device = resolve_device(device)
        self.backbone.to(self.device)

    def __call__(self, images: Tensor, /) -> Tensor:
        """Return the features in [0, 1], `(n, d)`."""
        keys = [hashlib.sha256(row.contiguous().numpy().tobytes()).digest() for row in images]
        new = [i for i, key in enumerate(keys) if key not in self.answers]
        for part in torch.tensor(new, dtype=torch.int64).split(64):
            with torch.no_grad():
                features = self.backbone(images[part].to(self.device)).cpu()
            self.answers |= {keys[i]: row for i, row in zip(part.tolist(), features, strict=True)}
        return torch.stack([self.answers[key] for key in keys])


def extractors(run: Run, parties: Parties, settings: Mapping[str, Any]) -> list[Extractor]:
    """Return the recipe's backbones, each with its scaler fitted on the provider's pictures."""
    made = {"own": _own, "facenet": _facenet}
    backbones = [
        made[name](run, parties, settings)
        if name in made
        else open_backbone(
            name, public=parties.provider, dims=settings.get("dims", {}).get(name), seed=run.seed
        )
        for name in settings["backbones"]
    ]
    return [Extractor(backbone, run.device) for backbone in backbones]


def perceptual(
    run: Run, parties: Parties, settings: Mapping[str, Any]
) -> Callable[[Tensor], Tensor]:
    """Return the early maps of a network that the adversary trains on its own labelled pictures.

    It stands where the paper has ResNet-50's "conv2 block3 out": that network's weights are
    not part of this repository, and an adversary who has labels can train one.
    """
    net = _trained(parties.adversary.floats(), _labels(parties.adversary, parties), run, settings)
    stage = net.body[:_STAGE].requires_grad_(False).eval()

    def maps(images: Tensor) -> Tensor:
        found: Tensor = stage.to(images.device)(images)
        return found

    return maps


class _Features(nn.Module):
    def __init__(self, net: ConvClassifier) -> None:
        super().__init__()
        self.body = net.body

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body(x)
        return features


def _own(run: Run, parties: Parties, settings: Mapping[str, Any]) -> Backbone:
    """Return a conv net trained on the provider's pictures to name `taught`."""
    images = parties.provider.floats()
    values = parties.provider.label(parties.taught)
    # A person with a single picture teaches a recogniser nothing.
    often = torch.isin(values, _frequent(values, least=settings.get("least_images", 2)))
    labels = values[often].unique(return_inverse=True)[1]
    net = _trained(images[often], labels, run, settings)
    channels, height, width = images.shape[1:]
    backbone = Backbone.wrap(
        _Features(net),
        name="own",
        preprocess=Preprocess(size=(height, width), channels=channels),
    )
    return backbone.fit(parties.provider)


def _trained(
    images: Tensor, labels: Tensor, run: Run, settings: Mapping[str, Any]
) -> ConvClassifier:
    config = LearnerConfig(epochs=settings["own_epochs"], batch_size=64, device=run.device)
    net = train_namer(images, labels, config, seed=run.seed)
    assert isinstance(net, ConvClassifier)
    return net.cpu()


def _labels(images: ImageSet, parties: Parties) -> Tensor:
    """Return one label with a value for every combination of the attacked attributes."""
    columns = torch.stack([images.label(name) for name in parties.attributes[:2]], 1)
    rows: Tensor = columns.unique(dim=0, return_inverse=True)[1]
    return rows


def _frequent(values: Tensor, *, least: int) -> Tensor:
    return (torch.bincount(values) >= least).nonzero().squeeze(1)


class _To255(nn.Module):
    """Scales values from [0, 1] to the [0, 255] that the published network expects."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x * 255)
        return features


def _facenet(run: Run, parties: Parties, _: Mapping[str, Any]) -> Backbone:
    """Return dlib's 128-D face network, from the weights that face-api publishes."""
    from papers.docl.facenet import load_facenet

    folder = (run.data_dir or run.out).parent / "models" / "face-api"
    if not folder.is_dir():
        raise DataError(
            "the face network's weights (face-api 1.7.15) are read from models/face-api beside "
            f"the data folder; there is no {folder}"
        )
    backbone = Backbone.wrap(
        _To255(load_facenet(folder)),
        name="facenet",
        preprocess=Preprocess(size=(_FACE, _FACE), channels=3),
    )
    return backbone.fit(parties.provider.subset(range(min(512, len(parties.provider)))))
