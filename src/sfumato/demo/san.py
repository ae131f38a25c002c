"""The semi-adversarial network's part of the demo: glasses hidden, people still recognised."""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torchmetrics.functional.classification import binary_roc

from sfumato.attack.tools.matchers import separation
from sfumato.attack.tools.scores import area, two_sided
from sfumato.data.imageset import ImageSet
from sfumato.data.pixels import as_uint8
from sfumato.data.sheet import contact_sheet
from sfumato.data.sources import load
from sfumato.data.splits import split_groups
from sfumato.demo.section import Advance, Figure, Picture, Plot, Section
from sfumato.fit.config import FitConfig
from sfumato.nets.classifiers import ConvClassifier
from sfumato.protect.san.classifiers import train_classifier
from sfumato.protect.san.config import Drawn, SanConfig
from sfumato.protect.san.fit import fit_san
from sfumato.protect.san.matcher import IdentityMatcher, train_matcher
from sfumato.protect.san.model import SemiAdversarial

STEPS = 4

_PRIVATE = "glasses"
_PEOPLE, _COUNT, _SIDE = 60, 900, 32
_SHARES = (0.7, 0.3)  # trained on; judged: other people
_SHOWN = 8
_OUTPUTS: tuple[Drawn, ...] = ("SM", "NT", "OP")
_COLOURS = {"original": "#1f2933", "SM": "#0b7285", "NT": "#8f6fb3", "OP": "#c2703d"}


@dataclass(frozen=True, slots=True)
class _World:
    train: ImageSet
    judged: ImageSet

    @property
    def truth(self) -> Int64[Tensor, "n"]:
        return self.judged.label(_PRIVATE)


def san_demo(*, seed: int, advance: Advance = lambda _: None) -> Section:
    """Hide who wears glasses from classifiers that the network never met."""
    train, judged = split_groups(
        load(f"characters:{_PEOPLE}", count=_COUNT, size=_SIDE), "identity", _SHARES, seed=seed
    )
    world = _World(train, judged)
    matcher, stranger_matcher = (
        train_matcher(train, "identity", _stage(6, seed + i), width=8 + 4 * i) for i in (0, 1)
    )
    advance("face matchers trained")
    net = fit_san(train, private=_PRIVATE, matcher=matcher, config=_config(seed)).protector
    advance("semi-adversarial network trained")
    versions = _versions(net, world)
    stranger = _stranger(train.images, world, seed)
    advance("a classifier trained that the network never met")
    taught = _stranger(as_uint8(_drawn(net, train, "OP")), world, seed)
    advance("a classifier retrained on protected pictures")
    return _section(world, versions, stranger, taught, stranger_matcher)


def _config(seed: int) -> SanConfig:
    return SanConfig.preset(
        "drawn",
        bound=0.25,
        classifier_epochs=4,
        epochs=5,
        rounds=1,
        joint_images=None,
        ensemble=4,
        ensemble_images=800,
        match_weight=1.0,
        seed=seed,
        device="cpu",
    )


def _stage(epochs: int, seed: int) -> FitConfig:
    return FitConfig(epochs=epochs, seed=seed, device="cpu", batch_size=64)


@torch.no_grad()
def _drawn(net: SemiAdversarial, images: ImageSet, output: Drawn) -> Float[Tensor, "n c h w"]:
    labels = images.label(_PRIVATE)[:, None]
    parts = [
        net.draw(x, y, output)
        for x, y in zip(images.floats().split(128), labels.split(128), strict=True)
    ]
    return torch.cat(parts)


def _versions(net: SemiAdversarial, world: _World) -> dict[str, Float[Tensor, "n c h w"]]:
    drawn = {output: _drawn(net, world.judged, output) for output in _OUTPUTS}
    return {"original": world.judged.floats()} | drawn


def _stranger(images: Tensor, world: _World, seed: int) -> nn.Module:
    """Train a classifier of another kind than those in the ensemble."""
    torch.manual_seed(seed + 1)
    net = ConvClassifier(3, (_SIDE, _SIDE), 1, width=12)
    labels = world.train.label(_PRIVATE)[:, None]
    train_classifier(net, images, labels, _stage(6, seed + 1), title="classifier")
    return net


@torch.no_grad()
def _scores(net: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    scores: Tensor = net(images)[:, 0].sigmoid()
    return scores


def _auc(net: nn.Module, images: Float[Tensor, "n c h w"], truth: Int64[Tensor, "n"]) -> float:
    scores = _scores(net, images)
    return area(scores[truth == 1], scores[truth == 0])


def _section(
    world: _World,
    versions: dict[str, Float[Tensor, "n c h w"]],
    stranger: nn.Module,
    taught: nn.Module,
    matcher: IdentityMatcher,
) -> Section:
    read = {name: _auc(stranger, images, world.truth) for name, images in versions.items()}
    people = world.judged.label("identity")
    with torch.no_grad():
        kept = {name: separation(matcher(versions[name]), people) for name in ("original", "OP")}
    again = _auc(taught, versions["OP"], world.truth)
    return Section(
        slug="san",
        title="Hidden attributes",
        sentence=(
            "A small change is to mislead classifiers of glasses that were never seen in training: "
            f"one of them goes from {read['original']:.2f} to {read['OP']:.2f} (area under the "
            f"curve, 0.5 is a guess), one that learns from protected pictures has {again:.2f}, and "
            f"a strange matcher of people goes from {kept['original']:.2f} to {kept['OP']:.2f}."
        ),
        figures=(
            _low("glasses seen by a strange classifier, originals (AUC)", read["original"]),
            _low("the same, protected pictures, read backwards where that tells more",
                 read["OP"]),
            _low("glasses seen by a classifier retrained on protected pictures (AUC)", again),
            _high("people told apart by a strange matcher, originals (AUC)", kept["original"]),
            _high("the same, protected pictures", kept["OP"]),
        ),
        pictures=(_sheet(world, versions),),
        plots=(_plot(stranger, versions, world.truth),),
    )  # fmt: skip


def _low(label: str, auc: float) -> Figure:
    """Return what an adversary reads: an area of 0.2 says as much as one of 0.8."""
    return Figure(label=label, value=two_sided(auc), wanted="low", chance=0.5)


def _high(label: str, value: float) -> Figure:
    return Figure(label=label, value=value, wanted="high", chance=0.5)


def _sheet(world: _World, versions: dict[str, Float[Tensor, "n c h w"]]) -> Picture:
    halves = [(world.truth == value).nonzero().squeeze(1)[: _SHOWN // 2] for value in (0, 1)]
    chosen = torch.cat(halves)
    shown = torch.cat([versions[name][chosen] for name in ("original", *_OUTPUTS)])
    return Picture(
        caption="Rows: originals; the same (SM), neutral (NT) and opposite (OP) prototype. The "
        "left half wears no glasses.",
        png=contact_sheet(as_uint8(shown), columns=len(chosen), side=64),
    )


def _plot(
    stranger: nn.Module, versions: dict[str, Float[Tensor, "n c h w"]], truth: Int64[Tensor, "n"]
) -> Plot:
    figure = go.Figure()
    for name, images in versions.items():
        far, tar, _ = binary_roc(_scores(stranger, images), truth)
        figure.add_scatter(x=far.tolist(), y=tar.tolist(), name=name, line_color=_COLOURS[name])
    figure.update_layout(xaxis_title="false positive rate", yaxis_title="true positive rate")
    return Plot(caption="How well a strange classifier sees glasses: ROC curves.", figure=figure)
