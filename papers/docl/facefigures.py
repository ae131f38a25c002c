"""The figures of the recipe `faces`: the paper's 2 to 5, of people."""

from __future__ import annotations

from typing import Any

import numpy as np

from papers.docl.canvas import ACCENT, INK, PALE, SOFT, canvas, panels
from papers.docl.figures import draw_adversary, draw_per_class
from papers.recipe import Results, Run

_COLOURS = {"face-32": ACCENT, "face-64": INK, "general-32": PALE, "general-132": SOFT}


def draw_faces(run: Run, results: Results, *, paper: float) -> None:
    """Draw figures 2 to 4 of the headline variant; matrices and bars are of the first set."""
    note = "first random set of ten people; accuracy is over all sets"
    draw_per_class(run, results["per_class"][0], results["accuracy"], paper, note)
    rules = {"paper": results["adversary"]["paper"], "default": results["adversary"]["contest"]}
    draw_adversary(run, {name: _rule(found[0]) for name, found in rules.items()}, note)
    figure, axes = canvas(6, 3.6)
    rows = results["acceptance"]
    x, y = ([row[key] for row in rows] for key in ("blocked", "accepted"))
    axes.plot(x, y, color=ACCENT, marker="o", ms=3)
    for row, a, b in zip(rows, x, y, strict=True):
        axes.annotate(f"{row['alpha']:g}", (a, b), (4, 4), textcoords="offset points", fontsize=7)
    axes.set(xlabel="private images claimed", ylabel="unseen people accepted")
    axes.set_title("Alpha (numbers) trades one for the other (Fig. 3)", fontsize=10, loc="left")
    figure.savefig(run.figure("acceptance"))


def _rule(finding: dict[str, Any]) -> dict[str, Any]:
    """Return a finding of `poison` as `draw_adversary` takes it."""
    details = finding["details"]
    return {
        "best": details["best"],
        "owners_kept_per_class": details["owners_kept"],
        "owners_kept": details["owners_kept_mean"],
        "stolen_blocked": 1 - finding["value"],
    }


def draw_variants(run: Run, variants: Results, papers: dict[str, float]) -> None:
    """Figs. 2 and 5 of every extractor and width: people of the first set, and means over all."""
    figure, (left, right) = panels(10, 3.8)
    names = [name for name in _COLOURS if name in variants]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        bars, counts = variants[name]["per_class"][0], variants[name]["classes"]
        places = np.arange(len(bars)) + width * (i - (len(names) - 1) / 2)
        left.bar(places, [100 * v for v in bars], width, color=_COLOURS[name], label=name)
        means = [100 * float(np.mean(values)) for values in counts.values()]
        right.plot([int(k) for k in counts], means, marker="o", ms=4, color=_COLOURS[name])
        label = f"{name}: {100 * variants[name]['accuracy']:.1f} % among ten"
        right.plot([], [], marker="o", ms=4, color=_COLOURS[name], label=label)
    for name, accuracy in papers.items():
        right.plot(10, 100 * accuracy, "x", color=INK)
        right.annotate(name, (10, 100 * accuracy), (6, -3), textcoords="offset points", fontsize=7)
    left.set(xlabel="person of the first set", ylabel="accuracy, %", xticks=range(10))
    left.set_title("Accuracy of each person (Fig. 2)", fontsize=10, loc="left")
    right.set(xlabel="people enrolled", ylabel="accuracy, %", xticks=range(1, 11), xlim=(0.7, 11.6))
    right.set_title("More people (Fig. 5), mean of all sets", fontsize=10, loc="left")
    right.legend(frameon=False, fontsize=7, loc="lower left")
    figure.savefig(run.figure("variants"))
