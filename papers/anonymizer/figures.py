"""Figures 2 to 4 of the paper, and the frontier of privacy and utility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from papers.anonymizer.worlds import World
from papers.recipe import Results, Run
from sfumato.data.order import random_order
from sfumato.data.sheet import contact_sheet
from sfumato.files import write_bytes
from sfumato.protect.release.pictures import as_pictures
from sfumato.types import Protector

mpl.use("Agg")

_PRIVATE, _UTILITY, _SOFT = "#c2410c", "#0b7285", "#8a94a6"
_MARKERS = {
    "ksame": "s", "blur": "v", "pixelate": "D", "noise": "P", "none": "*",
    "anonymizer": "^", "prototypes": "o",
}  # fmt: skip
_NAMES = {"anonymizer": "the paper's", "prototypes": "prototypes (ours)", "none": "originals"}
_PAIRS = 24

Images = Float[Tensor, "n c h w"]


def draw_sweep(run: Run, results: Results) -> Path:
    """Fig. 2: both accuracies over lambda, with intervals, and guessing as a dashed line."""
    figure, axes = _canvas(6.4, 3.8)
    rows = results["sweep"]
    lams = [row["lam"] for row in rows]
    labels = {"utility": results["utility"], "private": results["private"]}
    for role, colour in (("utility", _UTILITY), ("private", _PRIVATE)):
        values = [100 * row[role]["value"] for row in rows]
        lows, highs = ([100 * row[role]["interval"][end] for row in rows] for end in (0, 1))
        axes.fill_between(lams, lows, highs, color=colour, alpha=0.18, lw=0)
        axes.plot(lams, values, color=colour, marker="o", ms=4, label=labels[role])
        name, against = _beside(results, role)
        axes.axhline(against, color=colour, lw=1, ls=":")
        axes.annotate(f"{labels[role]}, {name}", (lams[-1], against), (0, 3),
                      textcoords="offset points", ha="right", fontsize=7, color=colour)  # fmt: skip
    axes.axhline(100 * results["chance"], color="black", lw=1, ls="--")
    axes.set(xlabel="lambda of eq. (12), the paper's method", ylabel="accuracy, %", ylim=(0, 104))
    axes.set_title("Fresh networks on releases (Fig. 2); dashed: a guess", fontsize=10, loc="left")
    axes.legend(frameon=False, fontsize=8)
    return _saved(run, figure, "sweep")


def _beside(results: Results, role: str) -> tuple[str, float]:
    """Return what a sweep is drawn beside: our prototypes, or originals where there are none."""
    if "prototypes" in results:
        return "prototypes", 100 * results["prototypes"][role]["value"]
    return "originals", 100 * results["original"][role]["value"]


def draw_frontier(run: Run, results: Results) -> Path:
    """Privacy against utility: every protector that was assessed, chance, and the goal."""
    figure, axes = _canvas(6.4, 4.4)
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for row in results["frontier"]:
        kinds.setdefault(row["protector"].split(":")[0], []).append(row)
    for kind, rows in kinds.items():
        x = [100 * row["private"] for row in rows]
        y = [100 * row["utility"] for row in rows]
        colour = {"prototypes": _UTILITY, "anonymizer": _PRIVATE}.get(kind, _SOFT)
        axes.plot(x, y, marker=_MARKERS.get(kind, "o"), ms=5, lw=0.8, color=colour,
                  label=_NAMES.get(kind, kind))  # fmt: skip
        for row, a, b in zip(rows, x, y, strict=True):
            text = row["protector"].partition(":")[2].split(":")[0]
            axes.annotate(text, (a, b), (4, -8), textcoords="offset points", fontsize=6.5)
    goal = results["goal"]
    axes.axvline(100 * goal["private"], color="black", lw=0.8, ls=":")
    axes.axhline(100 * goal["utility"], color="black", lw=0.8, ls=":")
    axes.axvline(100 * results["chance"], color="black", lw=1, ls="--")
    axes.set(xlabel=f"{results['private']} read by a fresh network, %",
             ylabel=f"{results['utility']} read, %", xscale="log")  # fmt: skip
    ticks = [tick for tick in (3, 5, 10, 20, 40, 60, 100) if tick >= 90 * results["chance"]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_title("Up and left is better; dashed: a guess, dotted: the goals", fontsize=10,
                   loc="left")  # fmt: skip
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _saved(run, figure, "frontier")


def draw_epochs(run: Run, pictures: Sequence[Images]) -> Path:
    """Fig. 3: one training and one validation picture (rows) over the epochs, original first."""
    shown = torch.cat([frame[row : row + 1] for row in range(2) for frame in pictures])
    content = contact_sheet(as_pictures(shown, "epochs"), columns=len(pictures), side=60)
    return _written(run.figure("epochs"), content)


def draw_pairs(run: Run, world: World, protector: Protector, title: str) -> Path:
    """Fig. 4: test pictures, each followed by its release."""
    order = random_order(len(world.test), run.seed)
    originals = world.test.subset(order[:_PAIRS]).floats()
    released = protector.release(originals)
    shown = torch.stack([originals, released], 1).flatten(0, 1)
    content = contact_sheet(as_pictures(shown, title), columns=12, side=60)
    return _written(run.figure(title), content)


def draw_sheet(run: Run, pictures: Images, *, columns: int) -> Path:
    """Pictures in rows, so that a person sees what is left of them."""
    content = contact_sheet(as_pictures(pictures, "sheet"), columns=columns, side=60)
    return _written(run.figure("sheet"), content)


def draw_prototypes(run: Run, pictures: Images) -> Path:
    """All pictures that a release can hold."""
    content = contact_sheet(as_pictures(pictures, "prototypes"), columns=10, side=60)
    return _written(run.figure("prototypes"), content)


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure((width, height), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _saved(run: Run, figure: Figure, title: str) -> Path:
    path = run.figure(title)
    figure.savefig(path)
    return path


def _written(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path
