from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sfumato.nets.autoencoders import (
    ConvAutoencoder,
    ConvEncoder,
    PictureDiscriminator,
    PrototypeMatcher,
    VectorEncoder,
)


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(("channels", "size"), [(1, (20, 20)), (3, (50, 50)), (1, (13, 8))])
def test_any_size_comes_back_in_the_unit_range(
    channels: int, size: tuple[int, int], skips: bool
) -> None:
    images = torch.rand(3, channels, *size)
    out = ConvAutoencoder(channels, width=4, code=6, skips=skips)(images).detach()
    assert out.shape == images.shape
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_without_skips_all_passes_through_the_code() -> None:
    images = torch.rand(4, 1, 20, 20)
    for skips in (False, True):
        net = ConvAutoencoder(1, width=4, code=6, skips=skips).eval()
        net.code.register_forward_hook(lambda _, __, out: torch.zeros_like(out))
        out = net(images)
        assert torch.allclose(out[0], out[1]) is not skips


@pytest.mark.parametrize("size", [(20, 20), (13, 10)])
def test_a_code_can_pass_through_a_vector(size: tuple[int, int]) -> None:
    net = ConvAutoencoder(1, width=4, code=6, numbers=3, size=size).eval()
    seen: list[torch.Tensor] = []
    net.vector.body[1].register_forward_hook(lambda _, __, out: seen.append(out))
    images = torch.rand(5, 1, *size)
    out = net(images)
    assert out.shape == images.shape
    assert seen[0].shape == (5, 3)
    net.vector.body[1].register_forward_hook(lambda _, __, out: torch.zeros_like(out))
    blind = net(images)
    torch.testing.assert_close(blind, blind[:1].expand_as(blind))


def test_the_autoencoder_is_the_one_described() -> None:
    net = ConvAutoencoder(1, width=4, code=6).eval()
    images = torch.rand(2, 1, 21, 20)
    x = net.first(images)
    y = net.second(F.max_pool2d(x, 2, ceil_mode=True))
    code = net.code(F.max_pool2d(y, 2, ceil_mode=True))
    assert code.shape == (2, 6, 6, 5)
    up = F.interpolate(net.half_back(code), size=(11, 10))
    up = F.interpolate(net.full_back(up), size=(21, 20))
    torch.testing.assert_close(net(images), net.picture(up).sigmoid())


@pytest.mark.parametrize("size", [(20, 20), (50, 49), (5, 8)])
def test_the_discriminator_judges_each_picture_alone(size: tuple[int, int]) -> None:
    net = PictureDiscriminator(1, size, width=4)
    images = torch.rand(5, 1, *size)
    torch.testing.assert_close(net(images)[2:], net(images[2:]))
    assert net(images).shape == (5,)


def test_a_bounded_discriminator_differs_no_more_than_its_pictures() -> None:
    torch.manual_seed(0)
    net = PictureDiscriminator(1, (12, 12), width=4, spectral=True)
    for layer in (net.body[0], net.body[2], net.head):
        torch.nn.init.normal_(layer.parametrizations.weight.original, std=3.0)
    for _ in range(50):  # each call in training improves what is known of the singular value
        net(torch.rand(2, 1, 12, 12))
    net.eval()
    for layer in (net.body[0], net.body[2], net.head):
        largest = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert float(largest) == pytest.approx(1.0, abs=1e-3)


def test_similarities_are_cosines_to_the_prototypes() -> None:
    net = PrototypeMatcher(1, 7, width=4, dim=16).eval()
    images = torch.rand(5, 1, 20, 20)
    vectors = net.encoder(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    expected = F.cosine_similarity(vectors[:, None], net.prototypes[None], dim=2)
    torch.testing.assert_close(net(images), expected)
    assert ConvEncoder(3, width=4, dim=16)(torch.rand(2, 3, 8, 8)).shape == (2, 16)


def test_numbers_of_any_shape_become_unit_vectors() -> None:
    made = VectorEncoder(24, width=8, dim=5).eval()(torch.rand(3, 6, 2, 2))
    assert made.shape == (3, 5)
    torch.testing.assert_close(made.norm(dim=1), torch.ones(3))
