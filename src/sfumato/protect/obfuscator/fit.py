"""Training of the obfuscator: the paper's Algorithm 1, and a bottleneck that needs no attacker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.splits import split_images
from sfumato.device import device_of, resolve_device
from sfumato.errors import ConfigError, DataError
from sfumato.fit import Epoch, History
from sfumato.nets.vgg import xavier
from sfumato.protect.fitted import Fitted
from sfumato.protect.obfuscator.alternations import rounds
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.obfuscator.losses import rate_loss
from sfumato.protect.obfuscator.model import Obfuscator
from sfumato.protect.obfuscator.teachers import taught
from sfumato.protect.obfuscator.training import Job, Labels

_RAMP = 0.4  # share of the epochs over which the rate's weight grows to its full value
_CHECKED = 0.1  # of the images, where none are given for it, only measure accuracy
_LEAST = 10  # images of which that tenth is one
_CALIBRATED = 1024  # images that set the step of the 8 bits
_PRIOR_SPEED = 10  # a class's prior is a mean of many maps and may move faster than weights


def fit_obfuscator(
    images: ImageSet,
    *,
    utility: str,
    config: ObfuscatorConfig | None = None,
    check: ImageSet | None = None,
    warm: Fitted[Obfuscator] | None = None,
) -> Fitted[Obfuscator]:
    """Train an obfuscator and its classifier.

    `check` are images for accuracy only; without it a tenth of `images` is kept aside for that.
    `warm` is one trained with the objective `none`, from which the rounds of `psnr` and `bounded`
    start instead of from a warm-up of their own; it stays as it is.

    Raises:
        DataError: an image has no utility label, only one class occurs, or there are too few.
        ConfigError: the pictures are too small for the cut, or `warm` is of another architecture.
    """
    config = config or ObfuscatorConfig()
    utility_labels(images, utility)
    if check is None:
        images, check = _apart(images, config.seed)
    labels = _labels(images, utility, config)
    made = _drawn(images, utility, config)
    job = Job(made, images.floats(), labels, check, config)
    histories = {"warm-up": _first_stage(job) if warm is None else _start(made, warm)}
    if config.objective in ("psnr", "bounded"):
        histories["rounds"] = rounds(job)
    _calibrate(job)
    made = made.cpu().to(memory_format=torch.contiguous_format).eval()
    if made.noise:
        made.measure_nats(check.floats())
    return Fitted(
        protector=made,
        histories=histories,
        trained=len(images),
        checked=len(check),
    )


def _apart(images: ImageSet, seed: int) -> tuple[ImageSet, ImageSet]:
    if len(images) < _LEAST:
        raise DataError(
            f"{images.name}: expected at least {_LEAST} images, of which a tenth is kept aside to "
            f"measure accuracy, got {len(images)}; add images"
        )
    rest, check = split_images(images, (1 - _CHECKED, _CHECKED), seed=seed)
    return rest, check


def _labels(images: ImageSet, utility: str, config: ObfuscatorConfig) -> Labels:
    if not config.teachers:
        return utility_labels(images, utility)

    def teach(others: ImageSet, number: int) -> Obfuscator:
        path = config.checkpoint
        alone = replace(
            config,
            teachers=0,
            seed=config.seed + number + 1,
            checkpoint=None if path is None else path.with_name(f"{path.name}.teacher{number}"),
        )
        seen = others.subset(range(1))  # nobody looks at a teacher's accuracy
        made = fit_obfuscator(others, utility=utility, config=alone, check=seen).protector
        return made.to(resolve_device(config.device))

    return taught(images, config.teachers, teach, seed=config.seed)


def _drawn(images: ImageSet, utility: str, config: ObfuscatorConfig) -> Obfuscator:
    channels, height, width = images.images.shape[1:]
    torch.manual_seed(config.seed)
    made = Obfuscator(
        channels=channels,
        height=height,
        width=width,
        utility=utility,
        classes=list(images.classes[utility]),
        objective=config.objective,
        cut=config.cut,
        scale=config.scale,
        map_channels=config.map_channels,
        noise=config.noise,
        most_nats=config.most_nats if config.noise else None,
        stored=config.stored,
    )
    if config.initialisation == "xavier":
        xavier(made)
    return made.to(memory_format=torch.channels_last)


@torch.no_grad()
def _calibrate(job: Job) -> None:
    """Set the step of the 8 bits by some of the images.

    They are drawn: collections come sorted, and other classes than the first may need longer steps.
    """
    made = job.made.eval()
    generator = torch.Generator().manual_seed(job.config.seed)
    some = torch.randperm(len(job.images), generator=generator)[:_CALIBRATED]
    made.set_step(made.noisy(made.means(job.images[some].to(device_of(made)))))


def _start(made: Obfuscator, warm: Fitted[Obfuscator]) -> History:
    """Take over the weights of a warm-up, and return its history."""
    try:
        made.load_state_dict(warm.protector.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"expected a warm-up with maps {made.map_shape} and {len(made.classes)} classes, got "
            f"{warm.protector.map_shape} and {len(warm.protector.classes)}"
        ) from error
    return warm.histories["warm-up"]


def utility_labels(images: ImageSet, utility: str) -> Int64[Tensor, "n"]:
    """Return the labels to classify by.

    Raises:
        DataError: there is no such label, an image has none, or only one class occurs.
    """
    labels = images.label(utility)
    missing = int((labels == MISSING).sum())
    if missing or len(labels.unique()) < 2:
        raise DataError(
            f"{images.name}: expected a {utility!r} for every image and two classes at least, got "
            f"{missing:,} images without one and {len(labels.unique())} classes"
        )
    return labels


def _first_stage(job: Job) -> History:
    """Train obfuscator and classifier, without an attacker."""
    config, made = job.config, job.made
    fast = [made.priors] if made.noise else []
    slow = [value for name, value in made.named_parameters() if name != "priors"]
    groups = [{"params": slow}, *({"params": [value]} for value in fast)]
    speeds = [config.lr, *(config.lr * _PRIOR_SPEED for _ in fast)]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, speeds, total_steps=config.epochs + 1)

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        images, labels = job.view(batch[0]), batch[1]
        means = made.learned(images)
        logits = made.classifier(made.noisy(means))
        if config.objective == "rate":
            weight = config.lam * min(1.0, epoch.number / max(1.0, _RAMP * config.epochs))
            loss = rate_loss(logits, labels, means, made.priors, weight)
        else:
            loss = F.cross_entropy(logits, labels)
        epoch.descend("all", loss)
        return {"loss": loss}

    return job.run(
        {"made": made},
        {"all": optimizer},
        step,
        epochs=config.epochs,
        seed=config.seed,
        schedulers={"all": schedule},
        checkpoint=config.checkpoint,
        title=f"obfuscator: {config.objective}",
    )
