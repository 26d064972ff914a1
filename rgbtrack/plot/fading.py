"""Fading: how brightness falls with depth or from frame to frame, before and after it is undone."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rgbtrack.correct.fading import Fading, fade
from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CELLS, errors_of

MAX_DOTS = 1500
N_BINS = 8
Floats = NDArray[np.float64]


AXES = {
    "um": ("z_um", "_raw", "depth (µm)"),
    "frame": ("frame", "", "frame"),
    "corner": ("corner", "_raw", "place in the field: 0 centre, 1 corner"),
}
"""Column, ending of the intensities and axis label, by the unit of the fading."""


def plot_fading(cells: pd.DataFrame, fading: Fading) -> Figure:
    """Draw the brightness of cells over depth or frames, channel by channel, before and after correction.

    Parameters
    ----------
    cells
        As they were measured, not corrected: ``z_um`` (or ``corner``, see `estimate_falloff`) and
        ``<marker>_raw``, or ``frame`` and ``<marker>``.
    fading
        What was found in them.

    Returns
    -------
    figure
        One panel a channel. Dots are cells, squares the medians of equally many cells before and circles
        after correction; the line is the fitted rate, through their middle. Only cells above the channel's
        noise are drawn (over four times their standard error), the same before and after.

    Raises
    ------
    DataError
        If the table lacks the columns.
    """
    position, ending, _ = AXES[fading.unit]
    columns = [f"{name}{ending}" for name in fading.channels]
    CELLS.check(cells, need=[position, *columns, *(f"{name}_se" for name in fading.channels)])
    at = cells[position].to_numpy(float, na_value=np.nan)
    with style():
        if not np.isfinite(at).any():
            return say_nothing_to_draw("no cells to look for fading in")
        n = len(columns)
        figure = new_figure(max(3.0 * n, 6.0), 3.6)
        panels = np.atleast_1d(figure.subplots(1, n))
        for c, (axes, column) in enumerate(zip(panels, columns, strict=True)):
            bright = cells[column].to_numpy(float, na_value=np.nan)
            se = errors_of(cells, [fading.channels[c]])[:, 0]
            seen = np.isfinite(at) & np.isfinite(bright) & (bright > 4 * se)
            _panel(axes, at[seen], bright[seen], fading, c)
        panels[0].set_ylabel("brightness of the cell (detector counts)")
        handles, labels = max(
            (axes.get_legend_handles_labels() for axes in panels), key=lambda one: len(one[1])
        )
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.suptitle(_said(fading.reason), x=0.01, ha="left", fontsize=9)
    return figure


def _panel(axes: Axes, at: Floats, bright: Floats, fading: Fading, c: int) -> None:
    """Cells of one channel, their medians before and after, and the fitted line."""
    axes.set(xlabel=AXES[fading.unit][2], title=_number(fading, c))
    axes.grid(axis="y")
    if len(at) < 2:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no cells above noise", ha="center", va="center", transform=axes.transAxes)
        return
    log_scale(axes, say="{:,.15g}".format)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    few = slice(None, None, max(1, len(at) // MAX_DOTS))
    axes.scatter(at[few], bright[few], s=6, color="#9aa0a8", alpha=0.5, linewidth=0, rasterized=True)
    left = fade(at, fading.rate[c : c + 1])[0]
    line = np.linspace(at.min(), at.max(), 50)
    before, after = _medians(at, bright), _medians(at, bright / left)
    axes.plot(*before, "s", color=OKABE_ITO[1], markersize=5, markerfacecolor="white", label="median before")
    if fading.evident[c]:
        axes.plot(*after, "o", color=OKABE_ITO[0], markersize=5, label="median after")
        top = np.exp(np.median(np.log(bright / left)))
        axes.plot(
            line, top * fade(line, fading.rate[c : c + 1])[0], color=OKABE_ITO[1], label="fitted fading"
        )
        axes.axhline(top, color=INK, linestyle="--", linewidth=0.8, label="without fading")
    low, high = np.quantile(bright, [0.01, 0.99])
    axes.set_ylim(low / 1.5, high * 1.5 / left.min())


def _medians(at: Floats, bright: Floats) -> tuple[Floats, Floats]:
    """Median place and brightness of equally many cells each, by place."""
    parts = np.array_split(np.argsort(at, kind="stable"), min(N_BINS, max(1, len(at) // 5)))
    if len(np.unique(at)) <= 2 * N_BINS:
        parts = [np.flatnonzero(at == place) for place in np.unique(at)]  # frames, few depths
    middle: list[Any] = [(np.median(at[part]), np.median(bright[part])) for part in parts]
    place, median = np.array(middle).T
    return place, median


def _number(fading: Fading, c: int) -> str:
    name = wrap(fading.channels[c], 24)
    if not fading.evident[c]:
        return f"{name}\nleft as it is"
    if fading.unit == "frame":
        lost = 1 - np.exp(-fading.rate[c])
        return f"{name}\n{100 * lost:.1f} ± {100 * fading.se[c]:.1f} % lost a frame"
    if fading.unit == "corner":
        lost = 1 - np.exp(-fading.rate[c])
        return f"{name}\n{100 * lost:.0f} ± {100 * (1 - lost) * fading.se[c]:.0f} % less in the corners"
    length = fading.length[c]
    if length < 0:
        return f"{name}\ngrows with depth"
    return f"{name}\n1/e at {length:.0f} ± {fading.se[c] * length**2:.0f} µm"


def _said(reason: str) -> str:
    return reason[:1].upper() + reason[1:]
