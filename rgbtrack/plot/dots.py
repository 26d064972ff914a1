"""Every animal a dot: the share of each clone by treatment."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rgbtrack.dynamics import SAMPLE
from rgbtrack.dynamics.plain import plain
from rgbtrack.plot.colours import OKABE_ITO, RGB
from rgbtrack.plot.fractions import PANELS
from rgbtrack.plot.groups import in_order
from rgbtrack.plot.growth import at_least_limit, largest, legend, limit_mark, title
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, say_share, style
from rgbtrack.tables import CLONE_SIZES


def subject_dots(
    sizes: pd.DataFrame,
    colours: dict[Any, RGB] | None = None,
    *,
    timepoint: float | None = None,
    first: str | None = None,
    panels: int = PANELS,
) -> Figure:
    """Draw the share of each of the largest clones in every subject at one timepoint, on a logarithmic axis.

    `fraction_dots` shows all timepoints on a linear axis; here what changes a clone twofold looks the same
    whether it is large or small, and subjects in which it was not seen are seen.

    Parameters
    ----------
    sizes
        Clone sizes of one site.
    colours
        From `clone_colours`; the chip beside a panel's title.
    timepoint
        The last one by default.
    first
        The treatment to begin with: the control.
    panels
        How many clones are shown.

    Returns
    -------
    figure
        One panel per clone: a dot is a subject, the bar their median, an open mark a subject in which the
        clone was not seen, at its detection limit (about three cells).
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=[*SAMPLE, "n_cells", "fraction"])
    rows = at_least_limit(sizes, "fraction")
    if timepoint is None and len(rows):
        timepoint = float(rows["timepoint"].max())
    clones = largest(rows, panels)
    rows = rows[rows["timepoint"] == timepoint]
    with style():
        if rows.empty:
            return say_nothing_to_draw("no cell was assigned to a clone at this timepoint")
        treatments = in_order(rows["treatment"], first)
        columns = min(len(clones), 6)
        n = int(np.ceil(len(clones) / columns))
        figure = new_figure(
            max(4.6, 0.7 + columns * float(np.clip(0.7 + 0.35 * len(treatments), 1.3, 3.5))), 0.9 + 2.1 * n
        )
        grid = figure.subplots(n, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for axes, clone in zip(grid, clones, strict=False):
            for k, treatment in enumerate(treatments):
                of = rows[(rows["clone"] == clone) & (rows["treatment"] == treatment)]
                _dots(axes, of.sort_values("subject"), float(k), OKABE_ITO[k % 7])
            title(axes, clone, colours)
            axes.grid(axis="y")
            axes.set_xticks([])
            axes.set_xlim(-0.6, len(treatments) - 0.4)
        for axes in grid[len(clones) :]:
            axes.set_axis_off()
        log_scale(grid[0], say=say_share)
        for axes in grid[::columns]:
            axes.set_ylabel("share of assigned cells")
        unseen = [limit_mark()] if not rows["seen"].all() else []
        figure.legend(
            handles=[*legend(treatments), *unseen],
            loc="outside upper left",
            ncols=min(5, len(treatments) + len(unseen)),
            title=f"timepoint {timepoint:g} d, bars are medians",
            alignment="left",
        )
    return figure


def _dots(axes: Any, rows: pd.DataFrame, centre: float, paint: str) -> None:
    """Dots of one clone under one treatment, and their median."""
    n = len(rows)
    if not n:
        return
    x = centre + 0.6 * ((np.arange(n) + 0.5) / n - 0.5)
    y, seen = rows["shown"].to_numpy(), rows["seen"].to_numpy()
    axes.plot(
        x[seen], y[seen], "o", markersize=4.5, color=paint, markeredgecolor="white", markeredgewidth=0.4
    )
    axes.plot(x[~seen], y[~seen], "v", markersize=4.5, color=paint, markerfacecolor="white", linestyle="")
    axes.hlines(np.median(y), centre - 0.36, centre + 0.36, color=INK, linewidth=1.6)
