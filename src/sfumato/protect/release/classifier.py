"""A classifier trained on stored maps alone: the pictures may be gone for years."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sfumato.data.imageset import MISSING
from sfumato.device import device_of
from sfumato.errors import ArtifactError, ConfigError, DataError
from sfumato.files import MALFORMED, read_tensors, write_tensors
from sfumato.fit import Epoch, FitConfig, fit, one_cycle
from sfumato.nets.vgg import Back, plan_of
from sfumato.protect.release.config import MapClassifierConfig
from sfumato.protect.release.maps import About, StoredMaps, check_maker

_FORMAT = "1"
_LIMIT_BYTES = 1 << 30
_HELD = 0.2  # of the maps: accuracy is measured on them and nothing is chosen by it


class MapClassifier(nn.Module):
    """The layers of VGG16 behind an obfuscator's cut, for maps of that obfuscator only.

    Shapes: stored maps `(n, c, h, w)` to positions in `classes`, `(n,)`.
    """

    def __init__(self, maker: About, label: str, classes: tuple[str, ...]) -> None:
        super().__init__()
        if len(classes) < 2:
            raise ConfigError(f"a classifier needs two classes at least, got {len(classes)}")
        self.obfuscator, self.label, self.classes = maker.obfuscator, label, classes
        self.channels, self.cut, self.scale = maker.shape[0], maker.cut, maker.scale
        # Maps are standardised by those that it is trained on: a step may be any number.
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(self.channels, 1, 1))
        self.register_buffer("spread", torch.ones(self.channels, 1, 1))
        self.net = Back(self.channels, len(classes), self.cut, self.scale)

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Return logits of maps as floats."""
        logits: Tensor = self.net((maps - self.mean) / self.spread)
        return logits

    @torch.no_grad()
    def classify(self, stored: StoredMaps) -> Int64[Tensor, "n"]:
        """Return the class of each map, as a position in `classes`.

        Raises:
            DataError: the maps are of another obfuscator.
        """
        check_maker(stored.about, self.obfuscator)
        self.eval()
        device = device_of(self)
        parts = stored.floats().split(512)
        return torch.cat([self(part.to(device)).argmax(1).cpu() for part in parts])

    def accuracy(self, stored: StoredMaps) -> float:
        """Return the share of labelled maps that it names rightly.

        Raises:
            DataError: other maps, other classes, or no label.
        """
        there = stored.about.classes.get(self.label)
        truth = stored.label(self.label)
        if there != self.classes:
            raise DataError(
                f"the classifier knows {len(self.classes)} classes of {self.label!r}, the maps "
                f"have {len(there or ())}, or others; release them with the same label"
            )
        known = truth != MISSING
        if not bool(known.any()):
            raise DataError(f"no map has a value of {self.label!r}, so nothing can be scored")
        return float((self.classify(stored) == truth)[known].float().mean())

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        document = {
            "obfuscator": self.obfuscator,
            "label": self.label,
            "classes": list(self.classes),
            "channels": self.channels,
            "cut": self.cut,
            "scale": self.scale,
        }
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.state_dict().items()}
        header = {"sfumato.mapclassifier": _FORMAT, "settings": json.dumps(document)}
        write_tensors(path, tensors, header)


def open_map_classifier(path: Path) -> MapClassifier:
    """Read what `MapClassifier.save` wrote.

    Raises:
        ArtifactError: the file is missing, damaged, or no such classifier.
    """
    tensors, header = read_tensors(path, limit_bytes=_LIMIT_BYTES, error=ArtifactError)
    if header.get("sfumato.mapclassifier") != _FORMAT:
        found = header.get("sfumato.mapclassifier", "none")
        raise ArtifactError(f"{path}: expected a map classifier of format {_FORMAT}, got {found}")
    try:
        settings = json.loads(header["settings"])
        maker = _maker(settings)
        made = MapClassifier(maker, str(settings["label"]), tuple(settings["classes"]))
        made.load_state_dict(tensors)
    except (RuntimeError, *MALFORMED) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{path} is no map classifier: {reason}") from error
    return made.eval()


def fit_map_classifier(
    stored: StoredMaps, *, label: str, config: MapClassifierConfig | None = None
) -> tuple[MapClassifier, float]:
    """Train a classifier on stored maps; return it with its accuracy on a fifth kept aside.

    Raises:
        DataError: the label was not carried over, or fewer than two of its classes occur.
        ConfigError: nothing of VGG16 is left behind the cut.
    """
    config = config or MapClassifierConfig()
    truth = stored.label(label)
    known = (truth != MISSING).nonzero().squeeze(1)
    if len(truth[known].unique()) < 2 or len(known) < 1 / _HELD:
        raise DataError(
            f"training needs maps of two classes of {label!r} at least, got {len(known):,} "
            f"labelled maps of {len(truth[known].unique())}"
        )
    torch.manual_seed(config.seed)
    made = MapClassifier(stored.about, label, tuple(stored.about.classes[label]))
    generator = torch.Generator().manual_seed(config.seed)
    known = known[torch.randperm(len(known), generator=generator)]
    aside, train = known.split([int(_HELD * len(known)), len(known) - int(_HELD * len(known))])
    maps = stored.floats()
    made.mean.copy_(maps[train].mean((0, 2, 3))[:, None, None])
    made.spread.copy_(maps[train].std((0, 2, 3)).clamp(min=1e-6)[:, None, None])
    _train(made, maps[train], truth[train], config)
    rest = StoredMaps(about=stored.about, maps=stored.maps[aside], labels={label: truth[aside]})
    return made, made.accuracy(rest)


def _train(made: MapClassifier, maps: Tensor, truth: Tensor, config: MapClassifierConfig) -> None:
    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        loss = F.cross_entropy(epoch.networks["made"](batch[0]), batch[1])
        epoch.descend("made", loss)
        return {"loss": loss}

    optimizer, schedule = one_cycle(made, lr=config.lr, epochs=config.epochs, weight_decay=1e-2)
    fit(
        networks={"made": made},
        optimizers={"made": optimizer},
        schedulers={"made": schedule},
        data=(maps, truth),
        step=step,
        config=FitConfig(
            epochs=config.epochs,
            batch_size=config.batch_size,
            seed=config.seed,
            device=config.device,
        ),
        title="classifier of maps",
    )
    made.cpu().eval()


def _maker(settings: Mapping[str, object]) -> About:
    channels, cut, scale = settings["channels"], settings["cut"], settings["scale"]
    if not isinstance(channels, int) or not isinstance(cut, int) or not isinstance(scale, float):
        raise ValueError("channels, cut or scale of another type")
    if not 1 <= cut < len(plan_of(1.0)) or not 0 < scale <= 4 or not 1 <= channels <= 4096:
        raise ValueError("channels, cut or scale out of range")
    return About(
        obfuscator=str(settings["obfuscator"]),
        name="",
        stored="int8",
        shape=(channels, 1, 1),
        step=(1.0,) * channels,
        cut=cut,
        scale=scale,
        classes={},
    )
