"""Training of the prototypes: two views of a picture must agree, whoever it shows.

Each step divides the batch among the prototypes so that every private value uses each of them
equally often (an optimal-transport problem, solved by Sinkhorn's iteration), then teaches the
network to predict that division of one view from the other view. The swapped prediction is that
of Caron and others (2020, SwAV); the balance within each private value is what makes it hide
the label. What a prototype then shows, and whether it may, is settled in `prototypes_pictures`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sfumato.data.imageset import ImageSet
from sfumato.errors import DataError
from sfumato.fit import Epoch, FitConfig, History, fit, one_cycle
from sfumato.protect.augment import random_view
from sfumato.protect.fitted import Fitted
from sfumato.protect.labels import private_labels
from sfumato.protect.prototypes.balance import settle
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.prototypes.division import Shares, balanced_division
from sfumato.protect.prototypes.model import PrototypeAnonymizer
from sfumato.protect.prototypes.pictures import Collection, settle_pictures

Images = Float[Tensor, "n c h w"]

_SETTLED = 50_000  # images, at most, that prototypes are settled on
_SMALLEST = 8  # pixels on a side that the encoder can work on


def fit_prototypes(
    images: ImageSet, *, private: str, config: PrototypesConfig | None = None
) -> Fitted[PrototypeAnonymizer]:
    """Find prototypes of labelled images; only the private label is looked at.

    Raises:
        DataError: the private label is unusable, `config.target` is no value of it, pictures are
            too small, or there are too few of them for two prototypes that keep the rule.
        ConfigError: the rule asks for more private values than there are.
    """
    config = config or PrototypesConfig()
    labels = private_labels(images, private, target=config.target)
    channels, height, width = images.images.shape[1:]
    if min(height, width) < _SMALLEST:
        raise DataError(
            f"expected images of at least {_SMALLEST}x{_SMALLEST} pixels, got {width}x{height}"
        )
    rows = images.floats()
    values = labels.unique(return_inverse=True)[1]
    collection = Collection.of(rows, values, config.anonymity)
    torch.manual_seed(config.seed)
    made = PrototypeAnonymizer(
        channels=channels,
        height=height,
        width=width,
        hides=private,
        prototypes=min(config.prototypes, collection.most),
        features=config.features,
        target=config.target,
    )
    history = _train(made, rows, values, config)
    made = made.cpu().to(memory_format=torch.contiguous_format).eval()
    _settle(made, rows, values, config)
    shown = None if config.target is None else images.where(private, config.target).floats()
    settled = settle_pictures(made, collection, shown=shown, seed=config.seed)
    return Fitted(protector=settled, histories={"prototypes": history}, trained=len(images))


def swapped_prediction(
    first: Float[Tensor, "n prototypes"],
    second: Float[Tensor, "n prototypes"],
    divided: tuple[Shares, Shares],
    temperature: float,
) -> Float[Tensor, ""]:
    """Return the cross-entropy of each view's division under the other view's prediction."""
    losses = [
        -(share * (similar / temperature).log_softmax(1)).sum(1).mean()
        for share, similar in zip(divided, (second, first), strict=True)
    ]
    return (losses[0] + losses[1]) / 2


@torch.no_grad()
def _settle(
    made: PrototypeAnonymizer, rows: Images, values: Int64[Tensor, "n"], config: PrototypesConfig
) -> None:
    generator = torch.Generator().manual_seed(config.seed)
    some = torch.randperm(len(rows), generator=generator)[:_SETTLED]
    parts = rows[some].split(made.batch_size)
    settled = settle(
        torch.cat([made.matcher.encoder(part) for part in parts]),
        values[some],
        len(made.pictures),
        sharpness=config.sharpness,
        rounds=config.rounds,
        seed=config.seed,
    )
    made.matcher.prototypes.copy_(settled)


def _train(
    made: PrototypeAnonymizer, rows: Images, labels: Int64[Tensor, "n"], config: PrototypesConfig
) -> History:
    made.matcher.to(memory_format=torch.channels_last)
    optimizer, schedule = one_cycle(
        made.matcher, lr=config.lr, epochs=config.epochs, weight_decay=1e-4
    )

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        images, private = batch
        first, second = (
            epoch.networks["matcher"](random_view(images, config.deformation)) for _ in range(2)
        )
        divided = [
            balanced_division(
                similar.float(), private, sharpness=config.sharpness, rounds=config.rounds
            )
            for similar in (first, second)
        ]
        loss = swapped_prediction(first, second, (divided[0], divided[1]), config.temperature)
        epoch.descend("matcher", loss)
        return {"loss": loss}

    return fit(
        networks={"matcher": made.matcher},
        optimizers={"matcher": optimizer},
        schedulers={"matcher": schedule},
        data=(rows, labels),
        step=step,
        config=FitConfig(
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=config.seed,
            device=config.device,
            precision=config.precision,
            checkpoint=config.checkpoint,
            about=config,
        ),
        title="prototypes",
    )
