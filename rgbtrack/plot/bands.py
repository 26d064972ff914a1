"""Stacked bands of clone sizes over time, which say nothing of descent."""

import colorsys
from collections.abc import Hashable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rgbtrack.dynamics import SAMPLE
from rgbtrack.dynamics.plain import plain
from rgbtrack.plot.colours import OTHER, RGB, UNASSIGNED, hex_of, ink_on
from rgbtrack.plot.fractions import SHOWN
from rgbtrack.plot.groups import in_order
from rgbtrack.plot.style import INK, new_figure, percent, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CLONE_SIZES

PANELS = 12
"""Subjects that get a panel of their own."""
WORDS = {
    "fraction": "share of assigned cells",
    "n_cells": "counted cells",
    "absolute_cells": "cells of the whole sample",
}


def clone_bands(
    sizes: pd.DataFrame,
    colours: dict[Any, RGB] | None = None,
    *,
    value: Literal["fraction", "n_cells", "absolute_cells"] = "fraction",
    by: Literal["subject", "treatment"] = "subject",
    first: str | None = None,
    shown: int = SHOWN,
) -> Figure:
    """Draw clone sizes over time as bands that lie on each other, each clone in its place from the start.

    No band grows out of another: clones marked by colour have no parents. A clone that is not seen at some
    timepoint has no width there. Timepoints are marked; between them bands are straight, which is drawn, not
    measured.

    Parameters
    ----------
    sizes
        Clone sizes; see `rgbtrack.tables.CLONE_SIZES`.
    colours
        From `clone_colours`; without it clones get hues of their own, as barcodes do.
    value
        Share, counted cells, or cells of the whole sample, where totals are known.
    by
        A panel per subject, or per treatment: then the mean of its subjects, each of the same weight.
    first
        The treatment to begin with: the control.
    shown
        Clones with a band of their own; the smaller are pooled.

    Returns
    -------
    figure
        Panels, at most four beside each other. Of more than 12 subjects the first of each treatment.
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=[*SAMPLE, "n_cells", value])
    sizes = sizes[sizes["n_cells"].groupby([sizes[name] for name in SAMPLE]).transform("sum") > 0]
    sizes = sizes[sizes[value].notna()]
    with style():
        if sizes.empty:
            return say_nothing_to_draw("no cell was assigned to a clone, or no total is known")
        share = sizes["n_cells"] / sizes.groupby(SAMPLE)["n_cells"].transform("sum")
        ranked = share.groupby(sizes["clone"]).mean().sort_values(ascending=False, kind="stable")
        order = in_order(ranked.index[:shown])
        paint = _paint(order, colours)
        n_subjects = sizes["subject"].nunique()
        if by == "subject":
            sizes = _some_subjects(sizes)
        panels = _panels(sizes, by, first)
        columns = min(len(panels), 4)
        rows = int(np.ceil(len(panels) / columns))
        figure = new_figure(max(4.6, 1.6 + 2.1 * columns), 0.7 + 2.4 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes, (title, of) in zip(grid, panels, strict=False):
            _stack(axes, of, value, order, paint)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("timepoint (d)")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes in grid[::columns]:
            axes.set_ylabel(WORDS[value])
        if value == "fraction":
            grid[0].set_ylim(0, 1)
            percent(grid[0])
        else:
            grid[0].set_ylim(bottom=0)
            grid[0].yaxis.set_major_formatter("{x:,.0f}")
        handles = [
            Patch(facecolor=hex_of(paint[clone]), edgecolor=INK, linewidth=0.5, label=wrap(clone, 14))
            for clone in order[::-1]
        ]
        pooled = sizes["clone"].nunique() - len(order)
        if pooled:
            handles.insert(
                0, Patch(facecolor=hex_of(OTHER), edgecolor=INK, linewidth=0.5, label=f"{pooled} smaller")
            )
        figure.legend(
            handles=handles, loc="outside right upper", title="clone", ncols=1 + (len(handles) > 11 * rows)
        )
        n_shown = sizes["subject"].nunique()
        if n_shown < n_subjects:
            figure.suptitle(f"{n_shown} of {n_subjects} subjects", x=0.01, ha="left", fontsize=9)
    return figure


def _panels(sizes: pd.DataFrame, by: str, first: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Titles and rows of each panel, the control first."""
    sites = in_order(sizes["site"], "primary")
    panels = []
    for site in sites:
        there = sizes[sizes["site"] == site]
        where = f", {wrap(site, 14)}" if len(sites) > 1 else ""
        for treatment in in_order(there["treatment"], first):
            of = there[there["treatment"] == treatment]
            if by == "treatment":
                n = of["subject"].nunique()
                panels.append((f"{wrap(treatment, 20)}{where} (n = {n})", of))
                continue
            panels += [
                (f"{wrap(subject, 14)}: {wrap(treatment, 16)}{where}", of[of["subject"] == subject])
                for subject in sorted(of["subject"].unique())
            ]
    return panels


def _some_subjects(sizes: pd.DataFrame) -> pd.DataFrame:
    """Rows of at most 12 subjects, as many of each treatment."""
    if sizes["subject"].nunique() <= PANELS:
        return sizes
    each = max(PANELS // sizes["treatment"].nunique(), 1)
    kept = [sorted(of.unique())[:each] for _, of in sizes.groupby("treatment")["subject"]]
    return sizes[sizes["subject"].isin([name for names in kept for name in names])]


def _stack(
    axes: Any, sizes: pd.DataFrame, value: str, order: Sequence[Hashable], paint: dict[Any, RGB]
) -> None:
    """Bands of one panel, the first clone at the bottom, the pooled ones on top."""
    # a mean over subjects, whether or not they list a clone: those that do not have none of it
    totals = sizes.groupby(["timepoint", "subject"]).size().groupby("timepoint").size()
    table = sizes.pivot_table(index="clone", columns="timepoint", values=value, aggfunc="sum", fill_value=0)
    table = table / totals
    time = table.columns.to_numpy(float)
    heights = [*(table.reindex([clone], fill_value=0).to_numpy()[0] for clone in order)]
    heights.append(table[~table.index.isin(order)].sum().to_numpy())
    edges = np.vstack([np.zeros(len(time)), np.cumsum(heights, axis=0)])
    x, edges = _widened(time, edges)
    for i, clone in enumerate([*order, None]):
        if heights[i].any():
            colour = OTHER if clone is None else paint[clone]
            axes.fill_between(
                x, edges[i], edges[i + 1], facecolor=hex_of(colour), edgecolor=INK, linewidth=0.4
            )
    for i, clone in enumerate(order):
        at = int(np.argmax(heights[i]))
        if heights[i][at] >= 0.08 * edges[-1].max():
            middle = edges[i][np.searchsorted(x, time[at])] + heights[i][at] / 2
            side = "left" if at == 0 else "right" if at == len(time) - 1 else "center"
            axes.text(
                time[at] if len(time) > 1 else x.mean(),
                middle,
                f" {wrap(clone, 8)} ",
                ha=side if len(time) > 1 else "center",
                va="center",
                fontsize=7.5,
                color=ink_on(paint[clone]),
            )
    for day in time:
        axes.axvline(day, color=INK, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.set_xticks(time, [f"{day:g}" for day in time])
    axes.set_xlim(x.min(), x.max())


def _widened(time: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[Any, Any]:
    """One timepoint as a bar: two places of the same height."""
    if len(time) > 1:
        return time, edges
    return np.array([time[0] - 0.5, time[0], time[0] + 0.5]), np.repeat(edges, 3, axis=1)


def _paint(clones: Sequence[Hashable], colours: dict[Any, RGB] | None) -> dict[Any, RGB]:
    """Colour of each clone: its own, or hues evenly apart."""
    if colours is not None:
        return {clone: colours.get(clone, UNASSIGNED) for clone in clones}
    hue = {clone: (0.61803 * i) % 1 for i, clone in enumerate(clones)}
    return {clone: colorsys.hsv_to_rgb(hue[clone], 0.55, 0.75 + 0.2 * (i % 2)) for i, clone in enumerate(hue)}
