"""The paper's figures 6 and 11 to 15. Pictures of real people stay out of the repository."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve
from torch import Tensor

from papers.recipe import Run
from papers.san.worlds import World
from sfumato.data.pixels import as_uint8
from sfumato.data.sheet import contact_sheet
from sfumato.files import write_bytes
from sfumato.protect.fitted import Fitted
from sfumato.protect.san.model import SemiAdversarial

mpl.use("Agg")

_COLOURS = {
    "original": "#1f2933",
    "SM": "#0b7285",
    "NT": "#8f6fb3",
    "OP": "#c2703d",
    "release": "#ad1457",
}
_SHOWN = 4  # of each value
_POINTS = 400


def draw_all(
    run: Run,
    world: World,
    made: Fitted[SemiAdversarial],
    roles: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Tensor]],
    pictures: Mapping[str, Tensor],
    truth: Tensor,
    pair_scores: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]],
) -> None:
    """Draw every figure of one run."""
    values = world.train.classes[world.private]
    prototypes = as_uint8(made.protector.prototypes[0]).cpu()
    names = [f"{world.private}: {value}" for value in values]
    sheet = contact_sheet(prototypes, [*names, "neutral"], columns=3, side=192)
    write_bytes(run.figure("prototypes"), sheet)
    write_bytes(run.figure("pictures"), _sheet(pictures, truth))
    _attribute(run, roles, scores, truth)
    _matching(run, pair_scores)
    _losses(run, made)


def _sheet(pictures: Mapping[str, Tensor], truth: Tensor) -> bytes:
    """Figure 12: a row each of originals, of every output, and of what `release` gives."""
    rows = [(truth == value).nonzero().squeeze(1)[:_SHOWN] for value in (0, 1)]
    chosen = torch.cat(rows)
    shown = torch.cat([images[chosen] for images in pictures.values()])
    captions = [name for name in pictures for _ in chosen]
    return contact_sheet(as_uint8(shown), captions, columns=len(chosen), side=128)


def _attribute(
    run: Run,
    roles: Mapping[str, str],
    scores: Mapping[str, Mapping[str, Tensor]],
    truth: Tensor,
) -> None:
    """Figures 13 and 14: each classifier before and under every output."""
    figure = Figure(figsize=(3.1 * len(roles), 3.4), layout="constrained")
    for axes, (name, role) in zip(
        figure.subplots(1, len(roles), squeeze=False)[0], roles.items(), strict=True
    ):
        for version, found in scores[name].items():
            far, tar, _ = roc_curve(truth.numpy(), found.numpy())
            axes.plot(far, tar, color=_COLOURS[version], label=version)
        axes.plot([0, 1], [0, 1], color="#cbd2d9", lw=1)
        axes.set_title(f"{name}\n({role})", fontsize=9, loc="left")
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(fontsize=8)
    figure.savefig(run.figure("roc-attribute"), dpi=110)


def _matching(run: Run, pair_scores: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]]) -> None:
    """Figure 15: matchers on pairs of one protected and one original picture."""
    figure = Figure(figsize=(3.6 * len(pair_scores), 3.4), layout="constrained")
    for axes, (name, found) in zip(
        figure.subplots(1, len(pair_scores), squeeze=False)[0], pair_scores.items(), strict=True
    ):
        for version, (genuine, impostor) in found.items():
            truth = torch.cat([torch.ones(len(genuine)), torch.zeros(len(impostor))])
            far, tar, _ = roc_curve(truth.numpy(), torch.cat([genuine, impostor]).numpy())
            axes.plot(far.clip(1e-4), tar, color=_COLOURS[version], label=version)
        axes.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1.02))
        axes.set(xlabel="false acceptance rate", ylabel="true acceptance rate")
        axes.set_title(name, fontsize=9, loc="left")
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(run.figure("roc-match"), dpi=110)


def _losses(run: Run, made: Fitted[SemiAdversarial]) -> None:
    """Figures 7, 8 and 11: every stage that trained, epoch by epoch."""
    histories = made.histories
    figure = Figure(figsize=(3.1 * len(histories), 3), layout="constrained")
    for axes, (name, history) in zip(
        figure.subplots(1, len(histories), squeeze=False)[0], histories.items(), strict=True
    ):
        for curve in history.epochs[0]:
            values = history.curve(curve)
            axes.plot(range(1, len(values) + 1), values, marker="o", ms=3, label=curve)
        axes.set(xlabel="epoch", title=name)
        axes.legend(fontsize=7)
    figure.savefig(run.figure("losses"), dpi=110)
