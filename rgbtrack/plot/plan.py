"""A plan: an example of its founders, how many are told apart, and how many animals show an effect."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rgbtrack.plan import Plan
from rgbtrack.plot.colours import OKABE_ITO, clone_colours, hex_of, ink_on
from rgbtrack.plot.style import DARK, FAINT, INK, new_figure, percent, style

SHOWN = 60
"""Founders of the example that are drawn."""
SHAPES = "os^D"
BLUE, ORANGE, GREEN, GREY = OKABE_ITO[0], OKABE_ITO[1], OKABE_ITO[2], "#6b7280"


def plot_plan(plan: Plan) -> Figure:
    """Draw a plan.

    Parameters
    ----------
    plan
        From `rgbtrack.plan_experiment`.

    Returns
    -------
    figure
        Four panels: the founders of one typical experiment, numbers of those that look alike in white boxes;
        clones told apart by number of founders; chance of a clone to be one founder by share of transduced
        cells; experiments in which an effect is found by animals per arm, with false positives.
    """
    with style():
        figure = new_figure(9.6, 8.6)
        grid = figure.subplots(2, 2)
        _example(grid[0, 0], plan)
        _founders(grid[0, 1], plan)
        _options(grid[1, 0], plan)
        _power(grid[1, 1], plan)
    return figure


def _example(axes: Axes, plan: Plan) -> None:
    """Founders as patches of their colour, the largest first."""
    table = plan.example.head(SHOWN)
    markers = [name for name in table.columns if name.startswith("marker_")]
    colours = clone_colours(table.rename(columns={"founder": "clone"}), markers)
    per_row = 5 if len(table) <= 20 else 6
    rows = int(np.ceil(len(table) / per_row))
    axes.add_patch(Rectangle((-0.1, -0.1), per_row + 0.1, rows + 0.1, facecolor=DARK, linewidth=0))
    for k, (founder, like) in enumerate(zip(table["founder"], table["looks_like"], strict=True)):
        x, y = k % per_row, k // per_row
        colour = colours[int(founder)]
        axes.add_patch(Rectangle((x, y), 0.9, 0.9, facecolor=hex_of(colour), linewidth=0))
        own = like is pd.NA
        axes.text(
            x + 0.45,
            y + 0.45,
            f"{founder}" if own else f"{founder}={like}",
            ha="center",
            va="center",
            fontsize=8,
            fontweight="normal" if own else "bold",
            color=ink_on(colour) if own else INK,
            bbox=None if own else {"facecolor": "white", "edgecolor": "none", "pad": 1.2},
        )
    axes.set(xlim=(-0.1, per_row), ylim=(max(rows, 4), -0.1))
    axes.set_axis_off()
    alike = int(table["looks_like"].notna().sum())
    what = f"{len(table)}" if len(table) == len(plan.example) else f"{len(table)} of {len(plan.example)}"
    axes.set_title(f"Example of {what} founders: {alike} like a larger one")
    axes.text(
        0,
        -0.02,
        "white boxes: founders that look like another",
        transform=axes.transAxes,
        va="top",
        fontsize=8.5,
    )


def _founders(axes: Axes, plan: Plan) -> None:
    """Clones told apart, and those that are one founder."""
    table, n = plan.founders, plan.params.founders
    x = table["founders"]
    single = table["clone_unique"] * table["distinguishable"]
    axes.plot(x, x, ":", color=GREY, label="if all were told apart")
    axes.fill_between(
        x, table["distinguishable_low"], table["distinguishable_high"], color=BLUE, alpha=0.2, linewidth=0
    )
    axes.plot(
        x,
        table["distinguishable"],
        "-",
        color=BLUE,
        linewidth=1.8,
        label="clones told apart (band: 90 %)",
    )
    axes.plot(x, single, "--", color=ORANGE, linewidth=1.8, label="clones that are one founder")
    here = table.set_index("founders").loc[n]
    clones, sure = here["distinguishable"], here["clone_unique"]
    axes.axvline(n, color=FAINT, linewidth=1.2, zorder=0)
    axes.plot(n, clones, SHAPES[0], color=BLUE, markersize=6)
    axes.plot(n, sure * clones, SHAPES[1], color=ORANGE, markersize=6)
    axes.set(xlim=(0, x.max()), ylim=(0, 1.1 * max(table["distinguishable_high"].max(), n)))
    axes.set_xlabel("founders")
    axes.set_ylabel("number")
    axes.set_title(f"{n} founders: {clones:.0f} clones, {sure * clones:.0f} of them one founder")
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _line(k: int, label: str, *, planned: bool) -> dict[str, Any]:
    """Look of the k-th of several lines; what is planned is thick."""
    return {
        "marker": SHAPES[k],
        "linestyle": "-",
        "color": OKABE_ITO[k],
        "markersize": 5,
        "linewidth": 2.2 if planned else 1.2,
        "label": label + (" (plan)" if planned else ""),
    }


def _options(axes: Axes, plan: Plan) -> None:
    """Chance of a clone to be one founder, by share of transduced cells and number of markers."""
    params = plan.params
    for k, (n_markers, rows) in enumerate(plan.options.groupby("n_markers")):
        axes.plot(
            rows["share_transduced"],
            rows["clone_unique"],
            **_line(k, f"{n_markers} markers", planned=n_markers == params.n_markers),
        )
    axes.axvline(params.share_transduced, color=FAINT, linewidth=1.2, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    percent(axes, "x")
    percent(axes)
    axes.set_xlabel("share of cells transduced with each vector")
    axes.set_ylabel("chance that a clone is one founder")
    axes.set_title(f"Markers and transduction ({params.founders} founders)")
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)


def _power(axes: Axes, plan: Plan) -> None:
    """Share of experiments in which something is found."""
    params = plan.params
    for k, (effect, rows) in enumerate(plan.power.groupby("effect")):
        planned = effect == params.effect
        axes.errorbar(
            rows["subjects"],
            rows["power"],
            rows["power_se"],
            **_line(k, f"odds times {effect:.2g}", planned=planned),
        )
        if planned:
            one_by_one = (rows["subjects"], rows["clones_found"], "--")
            told = "clones found one by one (plan)"
            axes.plot(*one_by_one, color=OKABE_ITO[k], linewidth=1.4, label=told)
    false = plan.false_positives
    marks: dict[str, Any] = {"color": INK, "markersize": 5, "linewidth": 1.0}
    axes.plot(false["subjects"], false["overall"], "x-", **marks, label="no effect")
    axes.plot(false["subjects"], false["cells"], "x:", **marks, label="no effect, cells as replicates: wrong")
    axes.axhline(params.power, color=FAINT, linewidth=1.2, zorder=0)
    axes.axvline(params.subjects, color=FAINT, linewidth=1.2, zorder=0)
    axes.set(xlim=(2.5, false["subjects"].max() + 0.5), ylim=(0, 1.03))
    axes.set_xticks([3, 5, 8, 12, 16, 20])
    percent(axes)
    axes.set_xlabel("animals per arm")
    axes.set_ylabel("experiments in which a response is found")
    axes.set_title("Power, and false positives")
    axes.grid(axis="y")
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda k: not labels[k].startswith("odds"))
    axes.legend(
        [handles[k] for k in order],
        [labels[k] for k in order],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=2,
    )
