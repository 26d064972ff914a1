"""Gains of sessions: how the cells of one clone read in each, before and after."""

import pandas as pd
from matplotlib.figure import Figure

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import FAINT, new_figure, percent, say_nothing_to_draw, style, wrap

MOST = 40
"""Groups that are named; more are drawn without their names."""


def plot_gains(seen: pd.DataFrame) -> Figure:
    """Draw what the cells of each session read beside cells of the same clones in all sessions.

    Parameters
    ----------
    seen
        ``group, marker, before, after, se``: see `rgbtrack.clones.gains_seen`.
    """
    with style():
        if seen.empty:
            return say_nothing_to_draw("no gains that sessions differ in")
        markers = list(seen["marker"].unique())
        groups = list(seen["group"].unique())
        height = 1.4 + 0.2 * min(len(groups), MOST)
        figure = new_figure(max(2.5 * len(markers), 5.0), height)
        place = {group: k for k, group in enumerate(groups)}
        for axes, marker in zip(
            figure.subplots(1, len(markers), sharey=True, sharex=True, squeeze=False)[0], markers, strict=True
        ):
            rows = seen[seen["marker"] == marker]
            y = rows["group"].map(place).to_numpy(float)
            axes.axvline(1, color=FAINT, linewidth=1)
            for what, colour, filled, off in (
                ("before", OKABE_ITO[1], "none", -0.12),
                ("after", OKABE_ITO[0], "full", 0.12),
            ):
                axes.errorbar(
                    rows[what],
                    y + off,
                    xerr=rows["se"] * rows[what],
                    fmt="o",
                    color=colour,
                    fillstyle=filled,
                    markersize=4,
                    linewidth=0.8,
                    label=what,
                )
            axes.set_title(wrap(marker, 18))
            percent(axes, "x")
        axes.set_ylim(len(groups) - 0.5, -0.5)
        figure.axes[0].set_yticks(
            range(len(groups)) if len(groups) <= MOST else [],
            [wrap(group, 24) for group in groups] if len(groups) <= MOST else [],
        )
        figure.supxlabel("light of a clone's cells, share of the same clone's in all sessions", fontsize=9)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure
