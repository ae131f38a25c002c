"""The one-class autoencoder is the paper's, and a stack of them is that many separate users."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.errors import ConfigError, DataError
from sfumato.features.augmentation import Augmentation
from sfumato.filter.oneclass import (
    OneClass,
    OneClassConfig,
    cross_entropy,
    cross_entropy_gradient,
    squared_error,
    train,
)

PLAIN = OneClassConfig.paper(hidden=5, epochs=10, least_steps=60, batch_size=16)
NOISY = OneClassConfig(
    hidden=5, epochs=10, least_steps=60, batch_size=16, noise=0.5, code_noise=0.2, average=4.0
)


def pictures(count: int, dim: int = 24, *, seed: int = 0) -> Float[Tensor, "n d"]:
    generator = torch.Generator().manual_seed(seed)
    basis = torch.randn(3, dim, generator=generator)
    return (torch.randn(count, 3, generator=generator) @ basis).sigmoid()


class PaperNetwork(nn.Module):
    """Section 2.1 word for word: one user, no batches of users, no shared code."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(dim, hidden)
        self.decoder = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(torch.relu(self.encoder(x))))


def literal(net: OneClass, user: int) -> PaperNetwork:
    paper = PaperNetwork(net.encoder.shape[2], net.encoder.shape[1]).double()
    paper.load_state_dict(
        {
            "encoder.weight": net.encoder[user].detach(),
            "encoder.bias": net.encoder_bias[user].detach(),
            "decoder.weight": net.decoder[user].detach(),
            "decoder.bias": net.decoder_bias[user].detach(),
        }
    )
    return paper


@given(
    users=st.integers(1, 4),
    dim=st.integers(2, 30),
    hidden=st.integers(1, 9),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=30)
def test_equations_2_to_6_equal_the_literal_network(
    users: int, dim: int, hidden: int, seed: int
) -> None:
    net = OneClass(users, dim, hidden, seed=seed).double()
    nn.init.normal_(net.encoder_bias)
    nn.init.normal_(net.decoder_bias)
    x = torch.rand(users, 7, dim, dtype=torch.float64)
    with torch.no_grad():
        found, entropy = net(x), cross_entropy(x, net.logits(net.encode(x)))
        for i in range(users):
            expected = literal(net, i)(x[i])
            assert torch.allclose(found[i], expected, atol=1e-12)
            for j in range(7):
                pairs = list(zip(x[i, j].tolist(), expected[j].tolist(), strict=True))
                eq4 = -sum(a * math.log(b) + (1 - a) * math.log(1 - b) for a, b in pairs)
                eq6 = sum((a - b) ** 2 for a, b in pairs)
                assert float(entropy[i, j]) == pytest.approx(eq4, rel=1e-9)
                assert float(squared_error(x, found)[i, j]) == pytest.approx(eq6, rel=1e-9)


def test_the_training_gradient_is_that_of_equation_4() -> None:
    logits = torch.randn(2, 3, 11, dtype=torch.float64, requires_grad=True)
    x = torch.rand(2, 3, 11, dtype=torch.float64)
    (expected,) = torch.autograd.grad(cross_entropy(x, logits).sum(), logits)
    assert torch.allclose(cross_entropy_gradient(x, logits.detach()), expected, atol=1e-12)


def test_training_is_adadelta_on_equation_5() -> None:
    # One batch of all images a step, so that the order of the images does not matter.
    x = pictures(16)
    config = OneClassConfig.paper(hidden=5, epochs=40, least_steps=1, batch_size=16)
    trained = train([x], config, seed=3)
    paper = literal(OneClass(1, 24, 5, seed=3), 0)
    optimizer = torch.optim.Adadelta(paper.parameters(), lr=1.0, rho=0.95)
    for _ in range(40):
        loss = nn.functional.binary_cross_entropy(paper(x.double()), x.double(), reduction="sum")
        optimizer.zero_grad()
        (loss / 16).backward()
        optimizer.step()
    assert torch.allclose(trained.encoder[0].double(), paper.encoder.weight, atol=1e-5)
    assert torch.allclose(trained.decoder_bias[0].double(), paper.decoder.bias, atol=1e-5)
    start = OneClass(1, 24, 5, seed=3).encoder[0].detach()
    assert float((trained.encoder[0] - start).abs().max()) > 1e-2


@pytest.mark.parametrize("config", [PLAIN, NOISY], ids=["plain", "noisy"])
def test_a_user_alone_trains_as_in_a_stack(config: OneClassConfig) -> None:
    # Of different sizes: fewer images than a batch, and numbers of steps that differ.
    sets = [pictures(9, seed=1), pictures(150, seed=2), pictures(40, seed=3)]
    stack = train(sets, config, seed=7)
    for i, own in enumerate(sets):
        alone = train([own], config, seed=7 + i)
        for name, value in alone.named_parameters():
            assert torch.allclose(stack.get_parameter(name)[i], value[0], atol=1e-5), name
            assert torch.equal(stack.alone(i).get_parameter(name)[0], stack.get_parameter(name)[i])


def test_nobody_elses_images_change_a_users_network() -> None:
    own, one, other = pictures(30), pictures(90, seed=1), pictures(20, seed=2)
    first, second = train([own, one], NOISY, seed=0), train([own, other], NOISY, seed=0)
    assert torch.allclose(first.encoder[0], second.encoder[0], atol=1e-5)
    assert not torch.allclose(first.encoder[1], second.encoder[1], atol=1e-2)


def test_own_images_are_reconstructed_better_than_others() -> None:
    sets = [pictures(120, seed=1), pictures(120, seed=2)]
    config = OneClassConfig(hidden=5, epochs=100, batch_size=16, noise=0.1)
    net = train([s[:100] for s in sets], config, seed=0)
    fresh = torch.stack([s[100:] for s in sets])
    own = squared_error(fresh, net(fresh))
    foreign = squared_error(fresh.flip(0), net(fresh.flip(0)))
    assert float((own < foreign).float().mean()) > 0.9


def test_the_same_seed_gives_the_same_network() -> None:
    x = pictures(40)
    one, again = train([x], NOISY, seed=1), train([x], NOISY, seed=1)
    assert torch.equal(one.encoder, again.encoder)
    assert not torch.equal(one.encoder, train([x], NOISY, seed=2).encoder)
    assert not any(parameter.requires_grad for parameter in one.parameters())


def test_steps_follow_the_images_but_never_fall_below_the_least() -> None:
    config = OneClassConfig(epochs=3, least_steps=20, batch_size=10)
    assert [config.steps(n) for n in (1, 66, 67, 101)] == [20, 20, 21, 31]


@pytest.mark.parametrize(
    "wrong",
    [{"hidden": 0}, {"least_steps": 0}, {"noise": 1.0}, {"average": -0.1}, {"average": math.nan}],
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        OneClassConfig(**wrong)


def test_the_papers_training_hides_nothing_and_takes_the_last_weights() -> None:
    paper = OneClassConfig.paper(hidden=8)
    assert (paper.noise, paper.code_noise, paper.average, paper.hidden) == (0, 0, None, 8)
    assert OneClassConfig.preset("paper") == OneClassConfig.paper()
    assert OneClassConfig.preset("default", epochs=2) == OneClassConfig(epochs=2)
    with pytest.raises(ConfigError, match="default or plain or paper, got 'other'"):
        OneClassConfig.preset("other")


def test_the_result_is_the_average_that_its_paper_writes_down() -> None:
    """Shamir and Zhang: the average moves by (eta + 1) / (t + eta) of the way in step t."""
    x = [pictures(20)]
    steps = {"hidden": 5, "epochs": 1, "batch_size": 20, "average": None}
    path = [train(x, OneClassConfig(**steps, least_steps=t), seed=3).encoder for t in range(1, 7)]
    expected = path[0]
    for t, weights in enumerate(path, 1):
        expected = expected.lerp(weights, (4 + 1) / (t + 4))
    averaged = train(x, OneClassConfig(**steps | {"average": 4.0}, least_steps=6), seed=3).encoder
    assert torch.allclose(averaged, expected, atol=1e-6)
    assert not torch.allclose(averaged, path[-1], atol=1e-3)


def test_unusable_features_are_refused() -> None:
    with pytest.raises(DataError, match="at least one feature vector"):
        train([pictures(3), pictures(0)], PLAIN, seed=0)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        train([pictures(3) * 3], PLAIN, seed=0)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        train([torch.full((3, 4), float("nan"))], PLAIN, seed=0)


def test_each_pass_takes_the_next_view_of_every_image() -> None:
    """With as many images as a batch has, steps take view after view; one view is no views."""
    x = torch.rand(16, 6, generator=torch.Generator().manual_seed(0))
    config = OneClassConfig.paper(hidden=3, epochs=1, least_steps=3, batch_size=16)
    alone = train([x], config, seed=2)
    assert torch.equal(train([x[:, None]], config, seed=2).encoder, alone.encoder)
    views = torch.stack([x, x.flip(1), 1 - x], 1)
    two = replace(config, least_steps=2)
    changed = views.clone()
    changed[:, 2] = 0.5
    assert torch.equal(train([views], two, seed=2).encoder, train([changed], two, seed=2).encoder)
    assert not torch.equal(
        train([views], config, seed=2).encoder, train([changed], config, seed=2).encoder
    )


def test_plain_is_ours_on_pictures_as_they_are() -> None:
    plain, ours = OneClassConfig.preset("plain"), OneClassConfig()
    assert plain.augmentation is None is OneClassConfig.paper().augmentation
    assert plain.average == ours.average
    assert ours.suited("face").augmentation == Augmentation.aligned()
    assert plain.suited("face") == plain
