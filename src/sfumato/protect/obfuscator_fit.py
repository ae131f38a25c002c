"""Training of the obfuscator: the paper's Algorithm 1, and a bottleneck that needs no attacker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.data.imageset import MISSING, ImageSet
from sfumato.errors import ConfigError, DataError
from sfumato.fit import FitConfig, History, Turn, fit
from sfumato.nets.reconstructors import RECONSTRUCTORS, reconstructor
from sfumato.nets.vgg import DEEP_CUT, xavier
from sfumato.protect.deform import Deformation, random_view
from sfumato.protect.obfuscator import Obfuscator, Stored
from sfumato.protect.obfuscator_losses import (
    bounded_loss,
    excess_rate,
    obfuscator_loss,
    rate_loss,
    reconstructor_loss,
)

Objective = Literal["rate", "psnr", "bounded", "none"]
Images = Float[Tensor, "n c h w"]

_RAMP = 0.4  # share of the epochs over which the rate's weight grows to its full value
_CALIBRATED = 1024  # images that set the step of the 8 bits
_PRIOR_SPEED = 10  # a class's prior is a mean of many maps and may move faster than weights


@dataclass(frozen=True, slots=True, kw_only=True)
class ObfuscatorConfig:
    """What the obfuscator is trained for, and how long."""

    objective: Objective = "rate"
    """`rate` bounds what a map says beyond its class; `psnr` is the paper's; `bounded` is the
    paper's with errors counted down to the mean picture only; `none` protects nothing."""
    lam: float = 0.01
    """Weight of privacy against utility, lambda in eq. (2); cross-entropy per nat for `rate`."""
    epochs: int = 40
    """`rate` and `none`: passes over the data. `psnr` and `bounded`: of the warm-up."""
    cycles: int = 10
    """`psnr` and `bounded`: rounds of Algorithm 1 after the warm-up."""
    sub_epochs: int = 1
    """`psnr` and `bounded`: T_sub, epochs of each of the three turns of a round."""
    reconstructors: tuple[str, ...] = ("simrec",)
    """`psnr` and `bounded`: attackers to train against, all at once."""
    renew: int = 0
    """`psnr` and `bounded`: rounds after which an attacker, in turn, starts from new weights."""
    cut: int = DEEP_CUT
    """Entries of VGG16's plan before the cut; the paper's is `nets.vgg.PAPER_CUT`."""
    scale: float = 1.0
    """Of VGG16's channels; 0.25 trains on two cores."""
    attacker_scale: float = 1.0
    """Of the reconstructors' channels."""
    map_channels: int | None = None
    """Narrows the map; None keeps VGG16's channels at the cut."""
    stored: Stored = "int8"
    deformation: Deformation = field(
        default_factory=lambda: Deformation(turn=8.0, zoom=0.1, shear=0.05, move=0.1)
    )
    """Augmentation."""
    flip: bool = False
    """Augmentation by mirror images; not for digits."""
    batch_size: int = 128
    lr: float = 2e-3
    """AdamW's, of a one-cycle schedule in the first stage, a tenth of it in the rounds."""
    initialisation: Literal["xavier", "torch"] = "xavier"
    """The paper's is Xavier's."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the training; bf16 halves the time on processors that have it."""
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"

    def __post_init__(self) -> None:
        unknown = set(self.reconstructors) - set(RECONSTRUCTORS)
        if unknown or not self.reconstructors:
            raise ConfigError(
                f"--reconstructor is any of {', '.join(RECONSTRUCTORS)}, got "
                f"{', '.join(sorted(unknown)) or 'none'}"
            )
        if self.lam < 0 or self.lr <= 0:
            raise ConfigError(f"--lam must not be negative and --lr above 0, got {self.lam:g}")

    @property
    def noise(self) -> float:
        """Standard deviation of the noise in the map: only the rate needs it."""
        return 1.0 if self.objective == "rate" else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a training leaves."""

    obfuscator: Obfuscator
    priors: Float[Tensor, "k m y x"]
    warmup_accuracy: float
    """On the images kept aside, before any protection; of `rate`, the accuracy at its end."""
    accuracies: tuple[float, ...]
    """On the images kept aside: an epoch of the first stage, then a round."""


def fit_obfuscator(
    images: ImageSet,
    utility: str,
    config: ObfuscatorConfig,
    *,
    check: ImageSet,
    warm: Fitted | None = None,
) -> Fitted:
    """Train an obfuscator and its classifier; `check` are images for accuracy only.

    `warm` is one trained with the objective `none`, from which the rounds of `psnr` and `bounded`
    start instead of from a warm-up of their own; it stays as it is.

    Raises:
        DataError: an image has no utility label, or only one class occurs.
        ConfigError: the pictures are too small for the cut, or `warm` is of another architecture.
    """
    labels = utility_labels(images, utility)
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
        stored=config.stored,
    )
    if config.initialisation == "xavier":
        xavier(made)
    made.to(memory_format=torch.channels_last)
    priors = _Priors(len(made.classes), made.map_shape)
    job = _Job(made, priors, images.floats(), labels, check, config)
    accuracies = job.first_stage() if warm is None else _start(made, warm)
    warmed = accuracies[-1]
    if config.objective in ("psnr", "bounded"):
        accuracies += job.rounds()
    made = made.cpu().to(memory_format=torch.contiguous_format).eval()
    with torch.no_grad():
        made.set_step(made.noisy(made.means(job.images[:_CALIBRATED])))
    return Fitted(
        obfuscator=made,
        priors=priors.maps.detach().cpu(),
        warmup_accuracy=warmed,
        accuracies=tuple(accuracies),
    )


def _start(made: Obfuscator, warm: Fitted) -> list[float]:
    """Take over the weights of a warm-up, and return its accuracies."""
    try:
        made.load_state_dict(warm.obfuscator.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"expected a warm-up with maps {made.map_shape} and {len(made.classes)} classes, got "
            f"{warm.obfuscator.map_shape} and {len(warm.obfuscator.classes)}"
        ) from error
    return list(warm.accuracies)


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


@torch.no_grad()
def certified_rate(fitted: Fitted, images: ImageSet) -> float:
    """Return the mean excess rate of these images in nats: no map says more beyond its class."""
    made = fitted.obfuscator.eval()
    labels = images.label(made.utility)
    rates = [
        excess_rate(made.means(part), fitted.priors, where)
        for part, where in zip(images.floats().split(256), labels.split(256), strict=True)
    ]
    return float(torch.cat(rates).mean()) / max(made.noise, 1e-9) ** 2


class _Priors(nn.Module):
    """A learned map a class."""

    def __init__(self, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.zeros(classes, *shape))


class _Job:
    """The data and the networks of one training."""

    def __init__(
        self,
        made: Obfuscator,
        priors: _Priors,
        images: Images,
        labels: Int64[Tensor, "n"],
        check: ImageSet,
        config: ObfuscatorConfig,
    ) -> None:
        self.made, self.priors, self.config = made, priors, config
        self.images, self.labels, self.check = images, labels, check
        self.mean = images.mean(0)
        attackers = {name: self._attacker(name) for name in config.reconstructors}
        self.attackers = nn.ModuleDict(attackers)

    def _attacker(self, name: str) -> nn.Module:
        config = self.config
        net = reconstructor(name, self.made.map_shape, self.made.shape, width=config.attacker_scale)
        if config.initialisation == "xavier":
            xavier(net)
        return net.to(memory_format=torch.channels_last)

    def accuracy(self) -> Mapping[str, float]:
        """Return the share of images kept aside that the classifier names rightly."""
        labels = self.check.label(self.made.utility)
        device = next(self.made.parameters()).device
        found = [
            self.made.classifier(self.made.noisy(self.made.means(part.to(device)))).argmax(1).cpu()
            for part in self.check.floats().split(256)
        ]
        return {"accuracy": float((torch.cat(found) == labels).float().mean())}

    def first_stage(self) -> list[float]:
        """Train obfuscator and classifier, without an attacker; return the accuracy by epoch."""
        config = self.config
        groups: list[dict[str, Any]] = [
            {"params": list(self.made.parameters())},
            {"params": list(self.priors.parameters()), "lr": config.lr * _PRIOR_SPEED},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.lr, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [config.lr, config.lr * _PRIOR_SPEED], total_steps=config.epochs + 1
        )
        history = self._run(
            {"made": self.made, "priors": self.priors},
            {"all": optimizer},
            self._first_step,
            epochs=config.epochs,
            schedulers={"all": schedule},
            title=f"obfuscator: {config.objective}",
        )
        return [figures["accuracy"] for figures in history.epochs]

    def rounds(self) -> list[float]:
        """Algorithm 1 after the warm-up: three turns a round; return the accuracy of each round."""
        config, made = self.config, self.made
        body, rest = list(made.body.parameters()), list(made.classifier.parameters())
        slow = config.lr / 10
        attack = torch.optim.Adam(self.attackers.parameters(), lr=config.lr)
        joint = torch.optim.Adam([*body, *rest], lr=slow)
        defend = torch.optim.Adam(body, lr=slow)
        networks = {"made": made, "attackers": self.attackers}
        turns: list[tuple[str, torch.optim.Optimizer, Callable[..., Mapping[str, Tensor]]]] = [
            ("joint", joint, self._joint_step),
            ("attack", attack, self._attack_step),
            ("defend", defend, self._defend_step),
        ]
        accuracies = []
        for cycle in range(config.cycles):
            if config.renew and cycle and cycle % config.renew == 0:
                self._renew(cycle // config.renew)
                attack = torch.optim.Adam(self.attackers.parameters(), lr=config.lr)
                turns[1] = ("attack", attack, self._attack_step)
            for i, (name, optimizer, step) in enumerate(turns):
                self._run(
                    networks,
                    {name: optimizer},
                    step,
                    epochs=config.sub_epochs,
                    seed=config.seed + 1 + 3 * cycle + i,
                    title=f"round {cycle + 1} of {config.cycles}: {name}",
                )
            made.eval()
            with torch.no_grad():
                accuracies.append(self.accuracy()["accuracy"])
        return accuracies

    def _renew(self, turn: int) -> None:
        names = list(self.attackers)
        name = names[turn % len(names)]
        device = next(self.attackers.parameters()).device
        self.attackers[name] = self._attacker(name).to(device)

    def _first_step(self, batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        images, labels = self._view(batch[0]), batch[1]
        means = self.made.means(images)
        logits = self.made.classifier(self.made.noisy(means))
        if self.config.objective == "rate":
            weight = self.config.lam * min(1.0, turn.epoch / max(1.0, _RAMP * self.config.epochs))
            loss = rate_loss(logits, labels, means, self.priors.maps, weight)
        else:
            loss = F.cross_entropy(logits, labels)
        turn.descend("all", loss)
        return {"loss": loss}

    def _joint_step(self, batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        logits = self.made.classifier(self.made.means(self._view(batch[0])))
        loss = F.cross_entropy(logits, batch[1])
        turn.descend("joint", loss)
        return {"loss": loss}

    def _attack_step(self, batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        images = self._view(batch[0])
        self.made.eval()  # frozen, with its statistics
        with torch.no_grad():
            maps = self.made.means(images)
        losses = [reconstructor_loss(images, net(maps)) for net in self.attackers.values()]
        loss = torch.stack(losses).sum()
        turn.descend("attack", loss)
        return {"psnr": -loss / len(losses)}

    def _defend_step(self, batch: tuple[Tensor, ...], turn: Turn) -> Mapping[str, Tensor]:
        images, labels = self._view(batch[0]), batch[1]
        self.attackers.eval()
        self.made.classifier.eval()
        maps = self.made.means(images)
        logits = self.made.classifier(maps)
        losses = [
            self._privacy(logits, labels, images, net(maps)) for net in self.attackers.values()
        ]
        loss = torch.stack(losses).mean()
        turn.descend("defend", loss)
        return {"loss": loss}

    def _privacy(self, logits: Tensor, labels: Tensor, images: Tensor, guesses: Tensor) -> Tensor:
        if self.config.objective == "psnr":
            return obfuscator_loss(logits, labels, images, guesses, self.config.lam)
        floor = self.mean.to(images.device)
        return bounded_loss(logits, labels, images, guesses, self.config.lam, floor)

    def _view(self, images: Images) -> Images:
        if self.config.flip:
            mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return random_view(images, self.config.deformation)

    def _run(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        step: Callable[[tuple[Tensor, ...], Turn], Mapping[str, Tensor]],
        *,
        epochs: int,
        title: str,
        seed: int | None = None,
        schedulers: Mapping[str, torch.optim.lr_scheduler.LRScheduler] | None = None,
    ) -> History:
        return fit(
            networks=networks,
            optimizers=optimizers,
            schedulers=schedulers,
            data=(self.images, self.labels),
            step=step,
            config=FitConfig(
                epochs=epochs,
                batch_size=self.config.batch_size,
                seed=self.config.seed if seed is None else seed,
                device=self.config.device,
                precision=self.config.precision,
            ),
            validate=self.accuracy,
            title=title,
        )
