"""The one-class autoencoder of the paper `docl`: eqs (2)-(6) and its training.

One user's network is D-M-D. `OneClass` holds any number of them as stacked tensors, so that a
device trains one and an experiment trains hundreds with the same code and the same result for
each: users share no parameter, and each draws its own batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.errors import ConfigError, DataError

Stack = Float[Tensor, "users batch dim"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClassConfig:
    """Settings of one user's training."""

    hidden: int = 32
    """M, the width of the representation layer."""
    epochs: int = 60
    """Passes over the user's own images."""
    batch_size: int = 128
    """Images a step; fewer where a user has fewer."""
    rho: float = 0.95
    """ADADELTA's decay."""
    lr: float = 1.0
    """ADADELTA's step factor: 1 in its paper."""
    noise: float = 0.0
    """Share of inputs set to zero in training (denoising); 0 as in the paper."""
    weight_decay: float = 0.0
    """L2 penalty on the weights; 0 as in the paper."""

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.epochs < 1 or self.batch_size < 1:
            raise ConfigError("hidden, epochs and batch_size must be at least 1")
        if not 0 <= self.noise < 1:
            raise ConfigError(f"noise must lie in [0, 1), got {self.noise}")


class OneClass(nn.Module):
    """A stack of D-M-D autoencoders with ReLU and sigmoid, eqs (2) and (3).

    Shapes: `encoder` (users, M, D), `encoder_bias` (users, M), `decoder` (users, D, M),
    `decoder_bias` (users, D).
    """

    def __init__(self, users: int, dim: int, hidden: int, *, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        # Glorot's uniform bound, as in the framework that the paper's footnote 2 names.
        bound = (6 / (dim + hidden)) ** 0.5

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))

        self.encoder = draw(users, hidden, dim)
        self.encoder_bias = nn.Parameter(torch.zeros(users, hidden))
        self.decoder = draw(users, dim, hidden)
        self.decoder_bias = nn.Parameter(torch.zeros(users, dim))

    def encode(self, x: Stack) -> Float[Tensor, "users batch hidden"]:
        """Eq. (2): h = ReLU(W x + b)."""
        return torch.baddbmm(self.encoder_bias[:, None], x, self.encoder.mT).relu()

    def logits(self, h: Float[Tensor, "users batch hidden"]) -> Stack:
        """The argument of the sigmoid of eq. (3)."""
        return torch.baddbmm(self.decoder_bias[:, None], h, self.decoder.mT)

    def decode(self, h: Float[Tensor, "users batch hidden"]) -> Stack:
        """Eq. (3): x_hat = sigmoid(W' h + b')."""
        return self.logits(h).sigmoid()

    def forward(self, x: Stack) -> Stack:
        """Eq. (7): the reconstruction of each row by its own user's autoencoder."""
        return self.decode(self.encode(x))


def cross_entropy(x: Stack, logits: Stack) -> Float[Tensor, "users batch"]:
    """Eq. (4), from the sigmoid's argument so that saturation costs no precision."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


def squared_error(x: Stack, reconstruction: Stack) -> Float[Tensor, "users batch"]:
    """Eq. (6): the squared distance between a feature and its reconstruction."""
    return (x - reconstruction).square().sum(-1)


def train(
    features: Sequence[Float[Tensor, "_ dim"]],
    config: OneClassConfig,
    *,
    seed: int,
    device: str = "cpu",
) -> OneClass:
    """Train one autoencoder a user on that user's features alone, eq. (5), with ADADELTA.

    `features` are in [0, 1], one tensor a user, of any number of rows. Every user takes the same
    number of steps (`epochs` passes over the largest set would need), each on own random rows.

    Raises:
        DataError: a user has no features, or values outside [0, 1].
    """
    _check(features)
    dim = features[0].shape[1]
    net = OneClass(len(features), dim, config.hidden, seed=seed).to(device)
    optimizer = torch.optim.Adadelta(
        net.parameters(), lr=config.lr, rho=config.rho, weight_decay=config.weight_decay
    )
    rows = torch.cat([f.to(device) for f in features])
    generator = torch.Generator().manual_seed(seed)
    for index in _batches([len(f) for f in features], config, generator):
        x = rows[index.to(device)]
        noisy = (
            x * (torch.rand(x.shape, generator=generator) >= config.noise).to(x)
            if config.noise
            else x
        )
        loss = cross_entropy(x, net.logits(net.encode(noisy))).mean(1).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return net.requires_grad_(False).eval()


def _batches(
    counts: Sequence[int], config: OneClassConfig, generator: torch.Generator
) -> list[Int64[Tensor, "users batch"]]:
    """Return the rows of each step: for each user random passes over the own rows, end to end."""
    batch = min(config.batch_size, max(counts))
    steps = config.epochs * -(-max(counts) // batch)
    columns = []
    start = 0
    for count in counts:
        passes = -(-steps * batch // count)
        order = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
        columns.append(order[: steps * batch].view(steps, batch) + start)
        start += count
    return list(torch.stack(columns, 1))


def _check(features: Sequence[Float[Tensor, "_ dim"]]) -> None:
    if not features or min(len(f) for f in features) < 1:
        raise DataError("every user needs at least one feature vector to train on")
    for f in features:
        if not bool(((f >= 0) & (f <= 1)).all()):
            raise DataError(
                f"features must lie in [0, 1], got {float(f.min()):.3g} to {float(f.max()):.3g}; "
                "use the backbone's scaler"
            )
