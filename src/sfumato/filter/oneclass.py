"""The one-class autoencoder of the paper `docl`: eqs (2)-(6) and its training.

One user's network is D-M-D. `OneClass` holds any number of them as stacked tensors, so that a
device trains one and an experiment trains hundreds with the same code: users share no parameter,
no image and no random draw.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sfumato.device import Device, resolve_device
from sfumato.errors import ConfigError, DataError
from sfumato.features.augmentation import Augmentation

Stack = Float[Tensor, "users batch dim"]
Codes = Float[Tensor, "users batch hidden"]

Rows = Float[Tensor, "_ dim"] | Float[Tensor, "_ _ dim"]
"""One user's features: an image a row, or several views of each image."""

_ALIGNED_STEPS = 300
Preset = Literal["default", "plain", "paper"]
"""Trainings by name: ours; ours on pictures as they are, which is harder to steal from, but tells
the platform which pictures were enrolled; and the paper's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClassConfig:
    """Settings of one user's training: of every recipe, command, client and page.

    They were chosen by what they tell the platform and by how surely they know the class: recipes
    `membership` and `training` of the paper. `OneClassConfig.paper()` is the paper's own training.

    Raises:
        ConfigError: a value is out of its range.
    """

    hidden: int = 32
    """M, the width of the representation layer."""
    epochs: int = 60
    """Passes over the user's own images."""
    least_steps: int = 1000
    """Steps to take even where that means more passes: a few images are soon passed over."""
    batch_size: int = 64
    """Images a step; fewer images than that are repeated within a step."""
    rho: float = 0.95
    """ADADELTA's decay."""
    lr: float = 1.0
    """ADADELTA's step factor: 1 in its paper."""
    noise: float = 0.9
    """Share of inputs hidden in training (the others are scaled up); the target stays whole."""
    code_noise: float = 0.0
    """Share of the code hidden in training, likewise."""
    average: float | None = 8.0
    """The result is an average of the weights of all steps, later ones counting more: eta of
    Shamir and Zhang (2013, section 4). None takes the last step's."""
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    """The views of pictures that devices train on; None trains on the pictures as they are."""

    def __post_init__(self) -> None:
        if min(self.hidden, self.epochs, self.least_steps, self.batch_size) < 1:
            raise ConfigError("hidden, epochs, least_steps and batch_size must be at least 1")
        for name in ("noise", "code_noise"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.average is not None and not 0 <= self.average < inf:
            raise ConfigError(f"average must be None, or finite and at least 0, got {self.average}")

    @classmethod
    def paper(cls, **changes: Any) -> OneClassConfig:  # noqa: ANN401 - fields of this class
        """Return the paper's own training: whole pictures as they are, and the last weights."""
        paper = {"least_steps": 300, "noise": 0.0, "code_noise": 0.0}
        return cls(**paper | {"average": None, "augmentation": None} | changes)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> OneClassConfig:  # noqa: ANN401
        """Return the training of that name, with some fields changed.

        Raises:
            ConfigError: there is no such preset.
        """
        if name not in get_args(Preset):
            known = " or ".join(get_args(Preset))
            raise ConfigError(f"expected the preset {known}, got {name!r}")
        if name == "paper":
            return cls.paper(**changes)
        plain = {"least_steps": 300, "noise": 0.3, "augmentation": None}
        return cls(**(plain | changes if name == "plain" else changes))

    def suited(self, kind: str) -> OneClassConfig:
        """Return this training with the views that suit a backbone of that kind, if it has any.

        Few steps are enough on aligned faces: with 1,000 the network knew its own pictures from
        others of the same person (AUC 0.83 of 60 people with 7 pictures, in place of 0.77, which
        their mean alone tells), and blocked no more of them.
        """
        if self.augmentation is None:
            return self
        suited = replace(self, augmentation=Augmentation.suited(kind))
        few = Augmentation.aligned() == suited.augmentation
        return replace(suited, least_steps=min(self.least_steps, _ALIGNED_STEPS)) if few else suited

    def steps(self, count: int) -> int:
        """Return the number of gradient steps for a user with `count` images."""
        return max(self.least_steps, -(-self.epochs * count // self.batch_size))


class OneClass(nn.Module):
    """A stack of D-M-D autoencoders with ReLU and sigmoid, eqs (2) and (3).

    Shapes: `encoder` (users, M, D), `encoder_bias` (users, M), `decoder` (users, D, M),
    `decoder_bias` (users, D). User i is initialised from `seed + i` alone.
    """

    def __init__(self, users: int, dim: int, hidden: int, *, seed: int) -> None:
        super().__init__()
        # Glorot's uniform bound, as in the framework that the paper's footnote 2 names.
        bound = (6 / (dim + hidden)) ** 0.5
        self.encoder = nn.Parameter(torch.empty(users, hidden, dim))
        self.encoder_bias = nn.Parameter(torch.zeros(users, hidden))
        self.decoder = nn.Parameter(torch.empty(users, dim, hidden))
        self.decoder_bias = nn.Parameter(torch.zeros(users, dim))
        with torch.no_grad():
            for i in range(users):
                generator = torch.Generator().manual_seed(seed + i)
                self.encoder[i].uniform_(-bound, bound, generator=generator)
                self.decoder[i].uniform_(-bound, bound, generator=generator)

    def encode(self, x: Stack) -> Codes:
        """Eq. (2): h = ReLU(W x + b)."""
        return torch.baddbmm(self.encoder_bias[:, None], x, self.encoder.mT).relu()

    def logits(self, h: Codes) -> Stack:
        """The argument of the sigmoid of eq. (3)."""
        return torch.baddbmm(self.decoder_bias[:, None], h, self.decoder.mT)

    def decode(self, h: Codes) -> Stack:
        """Eq. (3): x_hat = sigmoid(W' h + b')."""
        return self.logits(h).sigmoid()

    def forward(self, x: Stack) -> Stack:
        """Eq. (7): the reconstruction of each row by its own user's autoencoder."""
        return self.decode(self.encode(x))

    def alone(self, user: int) -> OneClass:
        """Return a copy of one user's network, as a stack of one."""
        _, hidden, dim = self.encoder.shape
        made = OneClass(1, dim, hidden, seed=0).to(self.encoder.device)
        with torch.no_grad():
            for name, weights in made.named_parameters():
                weights.copy_(self.get_parameter(name)[user : user + 1])
        return made.requires_grad_(False).eval()


def cross_entropy(x: Stack, logits: Stack) -> Float[Tensor, "users batch"]:
    """Eq. (4), from the sigmoid's argument so that saturation costs no precision."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def cross_entropy_gradient(x: Stack, logits: Stack) -> Stack:
    """The derivative of eq. (4) by the sigmoid's argument: x_hat - x.

    It takes no logarithm and stores no intermediate, which halves the time of a training step.
    """
    return logits.sigmoid() - x


def squared_error(x: Stack, reconstruction: Stack) -> Float[Tensor, "users batch"]:
    """Eq. (6): the squared distance between a feature and its reconstruction."""
    return (x - reconstruction).square().sum(-1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute a block on one core: these matrices are so small that a second one mostly waits.

    With one of two cores taken by another process, the demo took 549 s on two threads instead of
    about 30 s on one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train(
    features: Sequence[Rows],
    config: OneClassConfig,
    *,
    seed: int,
    device: Device = "cpu",
) -> OneClass:
    """Train one autoencoder a user on that user's features alone, eq. (5), with ADADELTA.

    `features` are in [0, 1], one tensor a user, of any number of images: (n, dim), or (n, views,
    dim) where each pass over the images takes the next view of each. User i takes the same
    initial weights, batches, noise and number of steps as `train([features[i]], seed=seed + i)`:
    the two results differ by the rounding of stacked matrix products alone.

    Raises:
        DataError: a user has no features, or values outside [0, 1].
    """
    _check(features)
    where = resolve_device(device)
    net = OneClass(len(features), features[0].shape[-1], config.hidden, seed=seed).to(where)
    optimizer = torch.optim.Adadelta(net.parameters(), lr=config.lr, rho=config.rho)
    result = net if config.average is None else copy.deepcopy(net).requires_grad_(False)
    draws = [_Draws(f.to(where, torch.float32), config, seed + i) for i, f in enumerate(features)]
    steps = torch.tensor([config.steps(len(f)) for f in features], device=where)
    for step in range(int(steps.max())):
        learning = steps > step
        x, noisy = (torch.stack(part) for part in zip(*(d.images() for d in draws), strict=True))
        h = net.encode(noisy)
        logits = net.logits(h * torch.stack([d.kept_code() for d in draws]))
        # ADADELTA moves nothing where the gradient is zero, so users who are done stand still.
        scale = learning[:, None, None] / config.batch_size
        optimizer.zero_grad()
        logits.backward(cross_entropy_gradient(x, logits.detach()) * scale)
        optimizer.step()
        if config.average is not None:
            share = (config.average + 1) / (config.average + 1 + step)
            _average(result, net, learning, share)
    return result.requires_grad_(False).eval()


class _Draws:
    """One user's batches and noise, from a generator that no other user touches."""

    def __init__(self, x: Rows, config: OneClassConfig, seed: int) -> None:
        self.x, self.config = x if x.dim() == 3 else x[:, None], config
        self.generator = torch.Generator(x.device).manual_seed(seed)
        self.rows = self._passes()

    def images(self) -> tuple[Float[Tensor, "batch dim"], Float[Tensor, "batch dim"]]:
        """Return the next batch, and the same batch as the encoder sees it."""
        x = self.x[next(self.rows).unbind(1)]
        return x, x * self._kept(x.shape, self.config.noise) if self.config.noise else x

    def kept_code(self) -> Float[Tensor, "batch hidden"]:
        """Return the factors of the next batch's codes."""
        shape = torch.Size((self.config.batch_size, self.config.hidden))
        return self._kept(shape, self.config.code_noise)

    def _kept(self, shape: torch.Size, hidden_share: float) -> Tensor:
        if not hidden_share:
            return self.x.new_ones(()).expand(shape)
        # A comparison of uniform draws takes a quarter of the time of `bernoulli_`.
        drawn = torch.rand(shape, generator=self.generator, device=self.x.device)
        return (drawn >= hidden_share).to(self.x) / (1 - hidden_share)

    def _passes(self) -> Iterator[Int64[Tensor, "batch 2"]]:
        """Yield image and view of each row of a step: random passes over all images, end to end."""
        size, (count, views) = self.config.batch_size, self.x.shape[:2]
        order = torch.empty(0, 2, dtype=torch.int64, device=self.x.device)
        passes = 0
        while True:
            while len(order) < size:
                again = torch.randperm(count, generator=self.generator, device=self.x.device)
                view = torch.full_like(again, passes % views)
                order = torch.cat([order, torch.stack([again, view], 1)])
                passes += 1
            yield order[:size]
            order = order[size:]


def _average(
    result: OneClass, net: OneClass, learning: Bool[Tensor, " users"], share: float
) -> None:
    """Move the average of those who still learn towards their weights, by that share of the way."""
    weight = share * learning
    with torch.no_grad():
        for mean, now in zip(result.parameters(), net.parameters(), strict=True):
            mean.lerp_(now, weight.view(-1, *(1,) * (now.dim() - 1)).to(now))


def _check(features: Sequence[Rows]) -> None:
    if not features or min(len(f) for f in features) < 1:
        raise DataError("every user needs at least one feature vector to train on")
    for f in features:
        if not bool(((f >= 0) & (f <= 1)).all()):
            raise DataError(
                f"features must lie in [0, 1], got {float(f.min()):.3g} to {float(f.max()):.3g}; "
                "use the backbone's scaler"
            )
