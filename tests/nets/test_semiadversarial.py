from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sfumato.nets.attributes import SmallClassifier
from sfumato.nets.semiadversarial import (
    AttributeClassifier,
    PrototypeAutoencoder,
    ResidualAutoencoder,
)


def table(channels: int) -> dict[str, nn.Module]:
    """Section 2.1.1, line by line."""
    return {
        "conv1": nn.Conv2d(channels + 3, 8, 3, padding=1),
        "conv2": nn.Conv2d(8, 12, 3, padding=1),
        "conv3": nn.Conv2d(12, 256, 3, padding=1),
        "conv4": nn.Conv2d(256, 128, 3, padding=1),
        "conv5": nn.Conv2d(131, channels, 3, padding=1),
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_the_autoencoder_is_the_papers(channels: int) -> None:
    net = PrototypeAutoencoder(channels)
    layers = table(channels)
    ours = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    for mine, theirs in zip(ours, layers.values(), strict=True):
        theirs.load_state_dict(mine.state_dict())
    x, same, target = (
        torch.rand(2, channels, 64, 64),
        torch.rand(2, 3, 64, 64),
        torch.rand(2, 3, 64, 64),
    )
    h = F.avg_pool2d(F.leaky_relu(layers["conv1"](torch.cat([x, same], 1))), 2)
    h = F.avg_pool2d(F.leaky_relu(layers["conv2"](h)), 2)
    h = F.leaky_relu(layers["conv3"](h)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    h = F.leaky_relu(layers["conv4"](h)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = torch.sigmoid(layers["conv5"](torch.cat([h, target], 1)))
    assert torch.allclose(net(x, same, target), expected, atol=1e-6)


def test_the_autoencoder_has_the_papers_sizes_at_224() -> None:
    net = PrototypeAutoencoder()
    with torch.no_grad():
        code = net.encoder(torch.rand(1, 4, 224, 224))
        assert code.shape == (1, 12, 56, 56)
        assert net.decoder(code).shape == (1, 128, 224, 224)


def test_the_papers_prototype_shifts_every_picture_alike() -> None:
    """Before the sigmoid, two prototypes differ by one image, whatever the picture."""
    net = PrototypeAutoencoder()
    same = torch.rand(1, 3, 32, 32).expand(4, -1, -1, -1)
    a, b = torch.rand(2, 1, 3, 32, 32).expand(2, 4, -1, -1, -1)
    x = torch.rand(4, 1, 32, 32)
    shift = net(x, same, a).logit() - net(x, same, b).logit()
    assert torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-4)


def test_the_classifier_is_the_papers() -> None:
    net = AttributeClassifier(1, (224, 224)).eval()
    x = torch.rand(1, 1, 224, 224)
    with torch.no_grad():
        assert net.body(x).shape == (1, 256, 4, 4)
        h = (x - 0.5) * 4
        for conv in (m for m in net.body if isinstance(m, nn.Conv2d)):
            h = F.leaky_relu(F.conv2d(h, conv.weight, conv.bias, padding=1))
            h = F.max_pool2d(F.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2), value=-1e9), 2)
        two = net.last(F.leaky_relu(net.hidden(h.flatten(1))))
        probability = torch.softmax(two, 1)[:, 1]
        assert torch.allclose(net(x).sigmoid()[:, 0], probability, atol=1e-5)


@pytest.mark.parametrize("side", [64, 96, 100, 128, 160, 224])
def test_the_classifier_takes_every_size(side: int) -> None:
    assert AttributeClassifier(3, (side, side), 2)(torch.rand(2, 3, side, side)).shape == (2, 2)


@pytest.mark.parametrize(("channels", "attributes"), [(1, 1), (3, 2)])
def test_the_residual_network_starts_as_the_identity_and_keeps_its_bound(
    channels: int, attributes: int
) -> None:
    net = ResidualAutoencoder(channels, 3 * attributes, bound=0.1)
    x = torch.rand(2, channels, 36, 64)
    same, target = torch.rand(2, 2, 3 * attributes, 36, 64)
    assert torch.equal(net(x, same, target), x)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=1.0)
    changed = net(x, same, target).detach()
    assert 0.05 < float((changed - x).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1


@pytest.mark.parametrize("family", ["plain", "residual", "separable", "wide"])
@pytest.mark.parametrize("side", [28, 36, 56])
def test_every_family_takes_any_size(family: str, side: int) -> None:
    classifier = SmallClassifier(1, 2, family=family, side=side)
    assert classifier(torch.rand(3, 1, 64, 48)).shape == (3, 2)
