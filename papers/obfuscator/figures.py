"""Figs. 3 to 5 of the paper `obfuscator`, and the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from papers.recipe import Run
from sfumato.attack.tools.scores import psnr


def accuracy(run: Run, curves: Mapping[str, Sequence[float]]) -> None:
    """Fig. 3: accuracy over the epochs of the warm-up and the rounds, a line a reconstructor."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, marker=".", label=name)
    axes.set(xlabel="epoch of the warm-up, then round of Algorithm 1", ylabel="accuracy")
    axes.legend(frameon=False)
    figure.savefig(run.figure("fig3"), dpi=130)
    plt.close(figure)


def pictures(
    run: Run,
    title: str,
    originals: Float[Tensor, "n c h w"],
    rows: Mapping[str, Float[Tensor, "n c h w"]],
) -> None:
    """Originals above reconstructions, with the PSNR under each (Figs. 4 and 5)."""
    named = {"original": originals, **rows}
    figure, grid = plt.subplots(
        len(named),
        len(originals),
        figsize=(len(originals), 1.35 * len(named)),
        layout=ConstrainedLayoutEngine(h_pad=0.1),  # inches, for the lines of text
    )
    for line, (name, shown) in zip(grid, named.items(), strict=True):
        values = psnr(originals, shown)
        for i, (axes, picture) in enumerate(zip(line, shown, strict=True)):
            axes.imshow(
                picture.clamp(0, 1).permute(1, 2, 0).squeeze(-1).numpy(),
                cmap="grey",
                vmin=0,
                vmax=1,
            )
            axes.set(xticks=[], yticks=[])
            if name != "original":
                axes.set_xlabel(f"{values[i]:.1f} dB", fontsize=7)
        label = line[0].text(0, 1.07, name, fontsize=8, transform=line[0].transAxes)
        label.set_in_layout(False)  # or a long one would widen the first column
    figure.savefig(run.figure(title), dpi=130)
    plt.close(figure)


def frontier(run: Run, points: Sequence[Mapping[str, Any]], floors: Mapping[str, float]) -> None:
    """Accuracy against the best fresh attacker's PSNR, a point an obfuscator, with the floors."""
    figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
    marks = {"none": "s", "psnr": "^", "bounded": "D", "rate": "o"}
    labels = {
        "none": "no protection",
        "psnr": "the paper's objective",
        "bounded": "the same, bounded",
        "rate": "bottleneck",
    }
    for i, (objective, mark) in enumerate(marks.items()):
        some = [point for point in points if point["objective"] == objective]
        if some:
            axes.scatter(
                [p["psnr"] for p in some],
                [p["accuracy"] for p in some],
                marker=mark, color=f"C{i}", label=labels[objective], zorder=3,
            )  # fmt: skip
    _tell_rates(axes, [point for point in points if point["objective"] == "rate"])
    for style, (name, value) in zip(("-", "--", ":"), floors.items(), strict=False):
        axes.axvline(value, color="grey", linestyle=style, linewidth=1, label=f"floor: {name}")
    axes.set(xlabel="PSNR of the best attacker trained anew (dB)", ylabel="accuracy")
    axes.legend(frameon=False, fontsize=7)
    figure.savefig(run.figure("frontier"), dpi=130)
    plt.close(figure)


def _tell_rates(axes: Axes, bottlenecks: Sequence[Mapping[str, Any]]) -> None:
    """Write beside each point what it gives away, lower where a name is in the way."""
    low, high = axes.get_ylim()
    place = high
    for point in sorted(bottlenecks, key=lambda point: -point["accuracy"]):
        place = min(point["accuracy"], place - 0.04 * (high - low))
        told = f"{point['nats']['mean']:.2g} nats, map {'x'.join(map(str, point['map'][1:]))}"
        axes.text(point["psnr"] + 0.3, place, told, va="center", fontsize=7)
