"""The paper's figures 2 to 5, drawn from the results."""

from __future__ import annotations

from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from papers.docl.canvas import ACCENT, INK, PALE, SOFT, bare, canvas, panels
from papers.recipe import Results, Run


def draw_all(run: Run, results: Results, *, paper: float) -> None:
    """Draw the figures whose results are there, with what a reader must know about the data."""
    note = results.get("note", "")
    draw_per_class(run, results["per_class"], results["accuracy"], paper, note)
    if "acceptance" in results:
        draw_acceptance(run, results["acceptance"])
    if "adversary" in results:
        draw_adversary(run, {k: results["adversary"][k] for k in ("paper", "default")}, note)
    if "classes" in results:
        draw_classes(run, results["classes"], note)


def draw_per_class(run: Run, values: list[float], overall: float, paper: float, note: str) -> None:
    """Fig. 2: accuracy of each class."""
    figure, axes = canvas(6, 3.2)
    axes.bar(range(len(values)), values, color=ACCENT, width=0.7)
    for i, value in enumerate(values):
        axes.text(i, value, f"{100 * value:.1f}", ha="center", va="bottom", fontsize=8)
    axes.axhline(overall, color=INK, lw=1, label=f"all classes {100 * overall:.1f} %")
    axes.axhline(paper, color=SOFT, lw=1, ls="--", label=f"paper {100 * paper:.0f} %")
    low = max(0.0, min([*values, paper]) - 0.05)
    axes.set(xticks=range(len(values)), xlabel="class", ylabel="accuracy", ylim=(low, 1.01))
    axes.legend(frameon=False, fontsize=8, loc="lower right", ncols=2, bbox_to_anchor=(1, 1))
    axes.set_title("Accuracy of each class (Fig. 2)", fontsize=10, loc="left")
    figure.supxlabel(note, fontsize=6.5)
    figure.savefig(run.figure("per-class"))


def draw_acceptance(run: Run, curves: dict[str, list[dict[str, float]]]) -> None:
    """Fig. 3: private images held back against other images accepted, as alpha grows."""
    figure, axes = canvas(6, 4)
    styles = {"training": "--", "held-out": "-"}
    names = {"paper": "the paper's interval", "claim": "any claim"}
    for calibration, rows in curves.items():
        for rule, colour in (("paper", SOFT), ("claim", ACCENT)):
            x = [row[f"{rule}_accuracy"] for row in rows]
            y = [row[f"{rule}_accepted"] for row in rows]
            label = f"{names[rule]}, mu and sigma {calibration}"
            axes.plot(x, y, styles[calibration], color=colour, marker="o", ms=3, label=label)
            for row, a, b in zip(rows, x, y, strict=True):
                if rule == "claim" and calibration == "held-out" and row["alpha"] in (1, 2, 3):
                    text = f"{row['alpha']:g}"
                    axes.annotate(
                        text, (a, b), xytext=(5, 5), textcoords="offset points", fontsize=8
                    )
    axes.set(xlabel="private images held back", ylabel="other images accepted")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    axes.set_title("Alpha (numbers) trades one for the other (Fig. 3)", fontsize=10, loc="left")
    figure.savefig(run.figure("acceptance"))


def draw_adversary(run: Run, rules: dict[str, Any], note: str) -> None:
    """Fig. 4: stolen images blocked, adversary x victim; owners' own uploads on the diagonal.

    Each adversary takes the kind that works on its victim.
    """
    figure = Figure(figsize=(4.4 * len(rules) + 0.8, 5.3), dpi=150, layout="constrained")
    axes = figure.subplots(1, len(rules), squeeze=False)[0]
    for place, (name, found) in zip(axes, rules.items(), strict=True):
        matrix = np.array(found["best"]["matrix"])
        np.fill_diagonal(matrix, found["owners_kept_per_class"])
        shown = np.ma.masked_less(matrix, 0)
        picture = place.imshow(shown, vmin=0, vmax=1, cmap="BrBG")
        for (i, j), value in np.ndenumerate(matrix):
            if value >= 0:
                colour = "white" if abs(value - 0.5) > 0.35 else INK
                place.text(
                    j,
                    i,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=6.5,
                    color=colour,
                    fontweight="bold" if i == j else None,
                )
        count = len(matrix)
        place.set(xticks=range(count), yticks=range(count), xlabel="victim", ylabel="adversary")
        title = (
            f"Fig. 4, rule {name}: {100 * found['stolen_blocked']:.1f} % of stolen blocked, "
            f"worst pair {100 * found['best']['worst']:.0f} %,\n"
            f"owners keep {100 * found['owners_kept']:.1f} %"
        )
        place.set_title(title, fontsize=9, loc="left")
    figure.colorbar(
        picture,
        ax=axes.tolist(),
        shrink=0.8,
        label="stolen images blocked (diagonal: owners keep)",
    )
    figure.supxlabel(note, fontsize=6.5)
    figure.savefig(run.figure("adversary"))


def draw_classes(run: Run, classes: dict[str, list[float]], note: str) -> None:
    """Fig. 5: accuracy of each class as the number of classes grows."""
    figure, axes = canvas(6, 3.4)
    counts = [int(k) for k in classes]
    table = np.array(list(classes.values()))
    colours = mpl.colormaps["tab10"](np.arange(table.shape[1]))
    for c in range(table.shape[1]):
        axes.plot(counts, table[:, c], marker="o", ms=3, lw=1, color=colours[c], label=str(c))
    axes.plot(counts, table.mean(1), color=INK, lw=2.5, label="mean")
    axes.set(xlabel="enrolled classes", ylabel="accuracy", xticks=counts)
    axes.legend(frameon=False, fontsize=7, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title("More classes (Fig. 5)", fontsize=10, loc="left")
    figure.supxlabel(note, fontsize=6.5)
    figure.savefig(run.figure("classes"))


def draw_shortlist(run: Run, results: Results) -> None:
    """Of full scoring's blocks, those that a list finds, against the share of the bank asked."""
    worlds = results["worlds"]
    figure = Figure(figsize=(3.3 * len(worlds) + 0.6, 3.4), dpi=150, layout="constrained")
    places = figure.subplots(1, len(worlds), squeeze=False, sharey=True)[0]
    colours = (SOFT, ACCENT, INK)
    for place, (name, world) in zip(places, worlds.items(), strict=True):
        for table, colour in zip(world["alphas"], colours, strict=True):
            rows = table["reach"]
            x = [100 * row["listed"] for row in rows]
            label = f"alpha {table['alpha']:.1f}: {100 * table['blocked']:.0f} % blocked"
            place.plot(x, [100 * r["blocks"] for r in rows], marker="o", ms=3, color=colour)
            place.plot([], [], marker="o", ms=3, color=colour, label=label)
            near = table["nearest"]["mean"]
            share = [100 * row["listed"] for row in near]
            place.plot(share, [100 * row["blocks"] for row in near], ls=":", color=colour)
        place.set(xscale="symlog", xlabel="share of the bank scored, %")
        place.set_title(f"{name}, {world['enrollments']} enrolled", fontsize=9, loc="left")
        place.spines[["top", "right"]].set_visible(False)
        place.legend(frameon=False, fontsize=7, loc="lower right")
    places[0].set_ylabel("blocks found, %")
    figure.supxlabel(
        "solid: within reach, reach growing to the right; dotted: the k nearest decoded means",
        fontsize=7,
    )
    figure.savefig(run.figure("recall"))


def draw_copies(run: Run, results: Results) -> None:
    """Uploads blocked by each way, kind by kind; what should not be blocked below the line."""
    kinds = results["uploads"]
    figure = Figure(figsize=(6.4, 0.42 * len(kinds) + 1.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    ways = {
        "one view": ("PDQ of the upload as it is", PALE),
        "pdq": ("PDQ of its views", SOFT),
        "class": ("class model alone", ACCENT),
        "both": ("both", INK),
    }
    for i, found in enumerate(kinds.values()):
        for j, (way, (_, colour)) in enumerate(ways.items()):
            low, high = found[way]["interval"]
            y = i + 0.2 * (j - 1.5)
            axes.plot([100 * low, 100 * high], [y, y], color=colour, lw=1)
            axes.plot(100 * found[way]["value"], y, "o", ms=4, color=colour)
    for name, colour in ways.values():
        axes.plot([], [], "o", ms=4, color=colour, label=name)
    axes.set(yticks=range(len(kinds)), yticklabels=list(kinds), xlabel="uploads blocked, %")
    axes.set(xlim=(-2, 102), ylim=(len(kinds) - 0.5, -0.5))
    bare(axes, "x")
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2)
    figure.savefig(run.figure("blocked"))


def draw_sizes(run: Run, results: Results) -> None:
    """What a calibrated bank blocks as it grows, beside the best verifier at the same rate."""
    figure, (left, right) = panels()
    banks = results["sizes"]
    counts = [int(name) for name in banks]
    for i, colour in enumerate((ACCENT, SOFT)):
        rows = [found["targets"][i] for found in banks.values()]
        target = rows[0]["target"]
        label = f"promise: {100 * target:g} % of strangers"
        low, high = (
            [100 * abs(row["false_blocks_interval"][j] - row["false_blocks"]) for row in rows]
            for j in (0, 1)
        )
        values = [100 * row["false_blocks"] for row in rows]
        left.errorbar(counts, values, [low, high], color=colour, marker="o", ms=4, label=label)
        left.axhline(100 * target, color=colour, lw=0.7, ls=":")
        right.plot(
            counts,
            [100 * row["blocked"] for row in rows],
            color=colour,
            marker="o",
            ms=4,
            label=label,
        )
        verified = [100 * row["verifier_at_target"] for row in rows]
        right.plot(
            counts, verified, color=colour, ls="--", lw=1, label="best verifier at that rate"
        )
    left.set(ylabel="unseen people blocked, %", ylim=(0, None))
    right.set(ylabel="new pictures of enrolled people blocked, %", ylim=(0, 102))
    for axes in (left, right):
        axes.set(xscale="log", xlabel="people enrolled")
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(run.figure("sizes"))


def draw_attackers(run: Run, results: Results) -> None:
    """What is blocked of stolen pictures, and what owners keep, by rule and promised rate."""
    figure, (left, right) = panels()
    targets = results["targets"]
    rules = list(next(iter(targets.values())))
    width = 0.8 / len(targets)
    for i, (target, found) in enumerate(targets.items()):
        places = [place + i * width for place in range(len(rules))]
        label = f"promise: {100 * float(target):g} % of strangers"
        colour = (ACCENT, SOFT)[i % 2]
        for axes, key in ((left, "blocked"), (right, "owners_kept")):
            axes.bar(places, [100 * found[rule][key] for rule in rules], width, color=colour,
                     label=label)  # fmt: skip
        floor = 100 * found[rules[0]]["blocked_without_theft"]
        left.axhline(floor, color=colour, lw=0.8, ls=":")
    left.set(ylabel="stolen pictures blocked, %\n(dotted: nothing stolen)", ylim=(0, 100))
    right.set(ylabel="own pictures that owners get shared, %", ylim=(90, 100))
    for axes in (left, right):
        names = [rule.replace(", ", ",\n") for rule in rules]
        axes.set_xticks([place + width / 2 for place in range(len(rules))], names, fontsize=7)
        axes.legend(fontsize=7, loc="lower left", framealpha=0.95)
    figure.savefig(run.figure("rules"))


def draw_membership(run: Run, results: Results) -> None:
    """The frontier: how surely a platform tells enrolled pictures, against the accuracy."""
    figure, axes = canvas(6.4, 4)
    colours = {"default": ACCENT, "paper": SOFT}
    for count, trainings in results["membership"].items():
        for name, found in trainings.items():
            auc, colour = found["auc"], colours.get(name, INK)
            y = 100 * found["accuracy"]
            axes.plot(auc["interval"], [y, y], color=colour, lw=1)
            axes.plot(auc["value"], y, "o", ms=4, color=colour)
            label = count if name in colours else f"{count}, {name}"
            axes.annotate(label, (auc["value"], y), (4, 4), textcoords="offset points", fontsize=6)
    for name, colour in colours.items():
        axes.plot([], [], "o", ms=4, color=colour, label=f"{name} training, by pictures enrolled")
    _frontier(axes, "Which pictures were enrolled? MNIST's pixels", legend="upper right")
    figure.savefig(run.figure("frontier"))


def draw_private(run: Run, results: Results) -> None:
    """Accuracy against how surely a platform tells enrolled pictures, by noise; epsilon beside."""
    figure, axes = canvas(6.4, 4)
    colours = (ACCENT, INK, SOFT)
    for (count, rows), colour in zip(results["private"].items(), colours, strict=False):
        for views, style in (("", "o-"), (", views", "o:")):
            chosen = [row for name, row in rows.items() if name.endswith(", views") == bool(views)]
            x, y = ([r["auc"]["value"] for r in chosen], [100 * r["accuracy"] for r in chosen])
            if chosen:
                axes.plot(x, y, style, ms=4, lw=1, color=colour, label=f"{count} pictures{views}")
            for row, left, up in zip(chosen, x, y, strict=True):
                epsilon = row["epsilon"]
                text = (
                    "no noise" if epsilon is None else f"{epsilon:,.{0 if epsilon >= 100 else 1}f}"
                )
                axes.annotate(text, (left, up), (4, 4), textcoords="offset points", fontsize=6)
    _frontier(axes, "Differentially private enrollments, epsilon beside", legend="lower right")
    figure.savefig(run.figure("frontier"))


def _frontier(axes: Axes, title: str, *, legend: Literal["upper right", "lower right"]) -> None:
    """Label a figure of accuracy against what a platform tells."""
    axes.axvline(0.5, color=INK, lw=0.8, ls=":")
    axes.set(xlabel="area under the curve of the strongest attack (0.5: guessing)")
    axes.set(ylabel="accuracy on new pictures, %")
    axes.legend(frameon=False, fontsize=8, loc=legend)
    axes.set_title(title, fontsize=10, loc="left")


def draw_imbalance(run: Run, results: Results) -> None:
    """Accuracy as half of the classes shrink: of all classes above, of the small ones below."""
    found = results["imbalance"]
    figure = Figure(figsize=(4 * len(found) + 0.4, 6), dpi=150, layout="constrained")
    places = figure.subplots(2, len(found), squeeze=False, sharex=True)
    colours = (ACCENT, "#7cc4d4", PALE, SOFT, INK)
    titles = {"balanced": "all classes", "small": "the small classes"}
    for column, (name, rows) in enumerate(found.items()):
        ratios = [row["ratio"] for row in rows.values()]
        ways = [way for way in next(iter(rows.values())) if way != "ratio"]
        for axes, (key, title) in zip(places[:, column], titles.items(), strict=True):
            for way, colour in zip(ways, colours, strict=True):
                values = [100 * row[way][key] for row in rows.values()]
                axes.plot(ratios, values, color=colour, marker="o", ms=4, label=way)
            axes.set(xscale="log", ylabel="accuracy, %")
            axes.set_title(f"{name}: {title}", fontsize=10, loc="left")
            axes.set_xticks(ratios, [f"{ratio:g} : 1" for ratio in ratios])
            axes.minorticks_off()
            bare(axes)
        places[1, column].set_xlabel("pictures of a large class : of a small one")
    places[0, 0].legend(frameon=False, fontsize=8, loc="lower left")
    figure.savefig(run.figure("accuracy"))
