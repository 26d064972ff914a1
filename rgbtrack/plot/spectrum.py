"""The distribution of clone sizes over their mean, beside what neutral growth gives."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rgbtrack.dynamics import CAUTION
from rgbtrack.plot.groups import in_order, looks, name_treatments, say, shown_sites
from rgbtrack.plot.ranks import PANELS
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, say_share, style, wrap
from rgbtrack.tables import SIZE_SPECTRUM

WIDE = 12.0
"""Scaled size beyond which its axis is logarithmic."""


FEWEST = 3
"""Subjects from which an interval over them is drawn: that of two is as wide as the figure."""


def plot_spectrum(spectrum: pd.DataFrame, *, first: str | None = None) -> Figure:
    """Draw the share of clones larger than a scaled size, with the neutral reference.

    Parameters
    ----------
    spectrum
        From `rgbtrack.dynamics.size_spectrum`.
    first
        The treatment to begin with: the control.

    Returns
    -------
    figure
        One panel per timepoint and site, a line per treatment with its interval over subjects. Dashed:
        neutral growth from single cells. The caption says what a departure cannot show.
    """
    SIZE_SPECTRUM.check(spectrum, need=[column.name for column in SIZE_SPECTRUM.columns])
    with style():
        if spectrum.empty:
            return say_nothing_to_draw("no cell was assigned to a clone")
        sites, left_out = shown_sites(spectrum)
        spectrum = spectrum[spectrum["site"].isin(sites)]
        treatments = in_order(spectrum["treatment"], first)
        times = sorted(spectrum["timepoint"].unique())
        if len(times) > PANELS:
            kept = [times[round(k * (len(times) - 1) / (PANELS - 1))] for k in range(PANELS)]
            left_out += f"{len(times) - len(kept)} further timepoints are not drawn. "
            times = kept
        figure = new_figure(max(2.4 * len(times) + 0.7, 5.4), 2.3 * len(sites) + 1.6)
        grid = figure.subplots(len(sites), len(times), squeeze=False, sharex=True, sharey=True)
        for row, site in zip(grid, sites, strict=True):
            for axes, time in zip(row, times, strict=True):
                own = spectrum[(spectrum["site"] == site) & (spectrum["timepoint"] == time)]
                _panel(axes, own, treatments)
                axes.set_title(f"{'' if len(sites) == 1 else wrap(site, 14) + ', '}day {time:g}")
            row[0].set_ylabel("share of clones\nthat are larger")
        positive = spectrum.loc[spectrum["share_larger"] > 0, "share_larger"]
        log_scale(grid[0, 0], say=say_share)
        grid[0, 0].set_ylim(0.6 * positive.min(), 1.25)
        if spectrum["scaled_size"].max() > WIDE:
            log_scale(grid[0, 0], "x")
        else:
            grid[0, 0].set_xlim(0, spectrum["scaled_size"].max())
        for axes in grid[-1]:
            axes.set_xlabel("clone size / mean")
        more: list[Any] = [Line2D([], [], color=INK, linestyle="--", linewidth=1, label="neutral growth")]
        if (spectrum["n_subjects"] >= FEWEST).any():
            more.append(Patch(color="#6b7280", alpha=0.25, label="95 % over subjects"))
        name_treatments(figure, treatments, more)
        say(figure, f"{left_out}{CAUTION}")
    return figure


def _panel(axes: Any, rows: pd.DataFrame, treatments: list[Any]) -> None:
    if rows.empty:
        axes.text(0.5, 0.5, "no data", ha="center", color="#6b7280", transform=axes.transAxes)
    for treatment in treatments:
        own = rows[rows["treatment"] == treatment].sort_values("scaled_size")
        if own.empty:
            continue
        colour = looks(treatments)[treatment][0]
        x = own["scaled_size"].to_numpy()
        floor, faint = 1e-9, 0.2 if len(treatments) <= 2 else 0.1
        low, high = own["share_low"].to_numpy(), own["share_high"].to_numpy()
        some = np.isfinite(low) & (own["n_subjects"].to_numpy() >= FEWEST)
        axes.fill_between(
            x[some],
            np.maximum(low[some], floor),
            np.maximum(high[some], floor),
            color=colour,
            alpha=faint,
            lw=0,
        )
        larger = own["share_larger"].where(own["share_larger"] > 0)
        axes.plot(x, larger, color=colour, linewidth=1.6, drawstyle="steps-post")
        axes.plot(x, np.maximum(own["neutral"], floor), color=INK, linestyle="--", linewidth=1)
    axes.grid()
