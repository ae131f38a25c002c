"""The learners that an attacker tries on releases, from the paper's probe to the strongest here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from torch import Tensor

from sfumato.attack.tools.fitting import validated_fit
from sfumato.attack.tools.scores import balanced_accuracy
from sfumato.attack.tools.table import learn_table
from sfumato.data.imageset import MISSING
from sfumato.data.order import numpy_seed
from sfumato.device import Device, Precision, device_of
from sfumato.errors import ConfigError
from sfumato.fit import Epoch, fit
from sfumato.fit.outputs import outputs
from sfumato.nets.classifiers import ConvClassifier, Heads, LinearProbe, Perceptron
from sfumato.types import Training

# The paper's setting (section III-B and the authors' code): slow, and without an early stop.
_PAPER_LR = 5e-5
_PAPER_EPOCHS = 100
_PAPER_BATCH = 128
_MIDWAY_FACTOR = 1 / 5
_MOST_STARTS = 1_009  # of one seed

_SMALLEST_MAP = 4  # pixels on a side that a conv net can work on
_COMPONENTS = 64  # of the release, for the trees; more cost time and gain nothing measurable

Targets = Mapping[str, Int64[Tensor, "n"]]
Predictor = Callable[[Float[Tensor, "n *shape"]], Float[Tensor, "n d"]]
Scores = Callable[[Float[Tensor, "n *shape"]], dict[str, Float[Tensor, "n classes"]]]
LEARNERS = ("probe", "perceptron", "conv", "trees", "table")
_LEAST = 1e-6  # probability that trees leave to a class, so that its logarithm is finite


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerConfig:
    """How hard an attacker tries."""

    learners: tuple[str, ...] = LEARNERS
    """Which to try; `conv` is passed over where a release has no spatial shape, and `table` where
    releases take too many values to be looked up."""
    restarts: int = 2
    """Trainings of each network from other random weights."""
    epochs: int = 60
    """At most; early stop ends sooner."""
    batch_size: int = _PAPER_BATCH
    lr: float = 2e-3
    """AdamW's, divided by 5 midway as in the paper."""
    patience: int | None = 12
    """Epochs without a better validated figure before the end; None never stops early."""
    validation: float = 0.2
    """Share of the adversary's own data held out to stop and to choose by."""
    device: Device = "auto"
    precision: Precision = "no"
    """Mixed precision in training; releases are always read in full."""

    def __post_init__(self) -> None:
        if set(self.learners) - set(LEARNERS) or not self.learners:
            raise ConfigError(f"learners are {', '.join(LEARNERS)}; got {', '.join(self.learners)}")
        if self.restarts < 1 or not 0 < self.validation < 1:
            raise ConfigError("restarts must be at least 1 and validation inside (0, 1)")

    @classmethod
    def paper(cls) -> LearnerConfig:
        """Return the paper's attacker: the probe alone, its rate and its hundred epochs."""
        return cls(
            learners=("probe",), restarts=1, epochs=_PAPER_EPOCHS, lr=_PAPER_LR, patience=None
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One trained learner: how to apply it, and how well it did on the adversary's own data."""

    learner: str
    scores: Scores
    """Logarithms of how probable each class is, had all classes equally many images; by label."""
    validated: Mapping[str, float] = field(default_factory=dict)
    training: Training | None = None
    """Its curves, which show whether it converged; networks have them."""

    def predict(self, rows: Float[Tensor, "n *shape"]) -> dict[str, Int64[Tensor, "n"]]:
        """Return the most probable class of each row, by label."""
        return {name: scores.argmax(1) for name, scores in self.scores(rows).items()}


def start_of(seed: int, restart: int) -> int:
    """Return the seed of one of several starts: no two are alike, of any seeds and restarts.

    A network that is trained twice is no second attempt.
    """
    return seed * _MOST_STARTS + restart


def train_all(
    rows: Float[Tensor, "n *shape"],
    targets: Targets,
    held: tuple[Int64[Tensor, "a"], Int64[Tensor, "b"]],
    config: LearnerConfig,
    *,
    seed: int,
) -> list[Candidate]:
    """Train every learner that fits the releases' shape, networks from several starts."""
    candidates = []
    for learner in config.learners:
        if learner == "trees":
            candidates.append(_validated(_trees(rows, targets, held, seed), rows, targets, held))
        elif learner == "table":
            lookup = learn_table(rows, targets, held)
            if lookup is not None:
                candidates.append(_validated(Candidate("table", lookup), rows, targets, held))
        elif learner != "conv" or _spatial(rows):
            for restart in range(config.restarts):
                start = start_of(seed, restart)
                candidates.append(train_network(learner, rows, targets, held, config, start))
    if not candidates:
        raise ConfigError(
            f"{' and '.join(config.learners)} cannot read such a release: conv needs a spatial "
            "shape, table few different values; add the perceptron"
        )
    return candidates


def _validated(
    candidate: Candidate,
    rows: Float[Tensor, "n *shape"],
    targets: Targets,
    held: tuple[Int64[Tensor, "a"], Int64[Tensor, "b"]],
) -> Candidate:
    return replace(candidate, validated=_validate(candidate.predict, rows, targets, held[1]))


def class_weights(labels: Int64[Tensor, "n"], classes: int) -> Float[Tensor, "classes"]:
    """Return weights inversely proportional to each class's count; 0 where there is no image."""
    counts = torch.bincount(labels[labels != MISSING], minlength=classes).double()
    present = counts > 0
    weights = torch.where(present, counts.sum() / (present.sum() * counts.clamp(min=1)), 0.0)
    return weights.float()


def make_network(
    learner: str, rows: Float[Tensor, "n *shape"], classes: int
) -> LinearProbe | Perceptron | ConvClassifier:
    """Return an untrained network of the named kind for releases of this shape."""
    if learner == "conv":
        return ConvClassifier(rows.shape[1], (rows.shape[2], rows.shape[3]), classes)
    kind = LinearProbe if learner == "probe" else Perceptron
    return kind(rows[0].numel(), classes)


def _spatial(rows: Float[Tensor, "n *shape"]) -> bool:
    return rows.ndim == 4 and min(rows.shape[2:]) >= _SMALLEST_MAP


def train_network(
    learner: str,
    rows: Float[Tensor, "n *shape"],
    targets: Targets,
    held: tuple[Int64[Tensor, "a"], Int64[Tensor, "b"]],
    config: LearnerConfig,
    seed: int,
) -> Candidate:
    """Train one network to read all labels at once, and score it on the held-out rows."""
    train, check = held
    counts = {name: int(values.max()) + 1 for name, values in targets.items()}
    torch.manual_seed(seed)
    net = Heads(lambda classes: make_network(learner, rows, max(classes, 2)), counts)
    net.to(memory_format=torch.channels_last)  # half the time of a convolution on a processor
    weights = {
        name: class_weights(values[train], max(counts[name], 2)) for name, values in targets.items()
    }

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        logits = epoch.networks["net"](batch[0])
        losses = [
            F.cross_entropy(logits[n], y, weights[n].to(y.device), ignore_index=MISSING)
            for n, y in zip(targets, batch[1:], strict=True)
        ]
        # A batch without one label of an attribute has the loss 0/0 there: it teaches nothing.
        loss = torch.stack(losses).nan_to_num(0.0).sum()
        epoch.descend("net", loss)
        return {"loss": loss}

    candidate = Candidate(learner, _apply(net))

    def validated() -> dict[str, float]:
        return _validate(candidate.predict, rows, targets, check)

    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=1e-2)
    history = fit(
        networks={"net": net},
        optimizers={"net": optimizer},
        schedulers={"net": _midway(optimizer, config.epochs)},
        data=(rows[train], *(values[train] for values in targets.values())),
        step=step,
        config=validated_fit(config, seed),
        validate=lambda: {"validated": _mean(validated())},
        title=f"attack: {learner}",
    )
    return replace(candidate, validated=validated(), training=history.training())


def train_namer(
    rows: Float[Tensor, "n *shape"],
    people: Int64[Tensor, "n"],
    config: LearnerConfig,
    *,
    seed: int,
) -> LinearProbe | Perceptron | ConvClassifier:
    """Train one network to name people, or the values of any label.

    It keeps to the epochs given: the people on whom it could be validated are not among those
    that it names, and a matcher is chosen on them afterwards.
    """
    torch.manual_seed(seed)
    kind = "conv" if _spatial(rows) else "perceptron"
    net = make_network(kind, rows, int(people.max()) + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=1e-2)

    def step(batch: tuple[Tensor, ...], epoch: Epoch) -> Mapping[str, Tensor]:
        loss = F.cross_entropy(epoch.networks["net"](batch[0]), batch[1])
        epoch.descend("net", loss)
        return {"loss": loss}

    fit(
        networks={"net": net},
        optimizers={"net": optimizer},
        schedulers={"net": _midway(optimizer, config.epochs)},
        data=(rows, people),
        step=step,
        config=replace(validated_fit(config, seed), patience=None),
        title="attack: matcher",
    )

    return net


def embedding(net: LinearProbe | Perceptron | ConvClassifier) -> Predictor:
    """Return a network's layer before the last as a function of many rows, on the CPU."""
    return lambda rows: outputs(net, rows, batch_size=1024, through=net.embed)


def _midway(optimizer: torch.optim.Optimizer, epochs: int) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.MultiStepLR(
        optimizer, [max(1, epochs // 2)], gamma=_MIDWAY_FACTOR
    )


def _apply(net: Heads) -> Scores:
    def scores(rows: Float[Tensor, "n *shape"]) -> dict[str, Tensor]:
        device = device_of(net)
        net.eval()
        with torch.no_grad():
            parts = [net(batch.to(device)) for batch in rows.split(1024)]
        return {n: torch.cat([p[n].log_softmax(1) for p in parts]).cpu() for n in net.names}

    return scores


def _validate(
    predict: Callable[[Float[Tensor, "n *shape"]], dict[str, Tensor]],
    rows: Float[Tensor, "n *shape"],
    targets: Targets,
    check: Tensor,
) -> dict[str, float]:
    predicted = predict(rows[check])
    return {
        name: balanced_accuracy(predicted[name], values[check])
        for name, values in targets.items()
        if bool((values[check] != MISSING).any())
    }


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / max(1, len(values))


def _trees(
    rows: Float[Tensor, "n *shape"],
    targets: Targets,
    held: tuple[Int64[Tensor, "a"], Int64[Tensor, "b"]],
    seed: int,
) -> Candidate:
    """Train gradient-boosted trees on the release's principal components."""
    train, seed = held[0], numpy_seed(seed)
    flat = rows.flatten(1)
    components = min(_COMPONENTS, flat.shape[1], len(train))
    projection = PCA(components, svd_solver="full" if components < 2 else "auto", random_state=seed)
    with warnings.catch_warnings():
        # Of a constant release, a perfect protector's, every share of the variance is 0/0.
        warnings.simplefilter("ignore", RuntimeWarning)
        reduced = projection.fit_transform(flat[train].numpy())
    models = {}
    for name, values in targets.items():
        known = values[train] != MISSING
        labels = values[train][known].numpy()
        model = HistGradientBoostingClassifier(class_weight="balanced", random_state=seed)
        model.set_params(max_iter=_rounds(int(values.max()) + 1), early_stopping=False)
        models[name] = model.fit(reduced[known.numpy()], labels)

    def scores(new: Float[Tensor, "n *shape"]) -> dict[str, Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a clipped ciphertext may overflow
            small = projection.transform(new.flatten(1).numpy())
        found = {}
        for name, model in models.items():
            # Of a class that the training rows lack there is no column.
            each = torch.full((len(small), int(targets[name].max()) + 1), _LEAST)
            each[:, model.classes_] = torch.from_numpy(model.predict_proba(small)).float()
            found[name] = each.clamp(min=_LEAST).log()
        return found

    return Candidate("trees", scores)


def _rounds(classes: int) -> int:
    # One tree a class and round: 30 people for 100 rounds would take minutes for no gain.
    return max(20, 200 // classes)
