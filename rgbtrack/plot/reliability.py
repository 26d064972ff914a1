"""Reliability: whether stated probabilities are right."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import binomtest

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import FAINT, INK, new_figure, percent, say_nothing_to_draw, style

_WIDTH = 0.05
FEW = 10
"""Calls of a probability below which no dot is drawn."""


def plot_reliability(rehearsed: pd.DataFrame) -> Figure:
    """Draw the probability that was stated of rehearsed calls against the share of them that was right.

    A call is right if the cell is of the main founder of the clone it was called for, as
    ``clone_probability`` promises. The calibration error is the mean distance of the dots from the diagonal,
    each weighed by its cells.

    Parameters
    ----------
    rehearsed
        From `rgbtrack.clones.rehearse_calls`.

    Returns
    -------
    figure
        Above, one dot for each twentieth of probability with ten calls or more, and its 95 % interval
        (Wilson); below, how often each probability was stated. Unassigned cells are in neither; their number
        is told.
    """
    called = rehearsed[rehearsed["clone"].notna()]
    with style():
        if called.empty:
            return say_nothing_to_draw("no rehearsed cell was called: no probability to judge")
        stated = called["clone_probability"].to_numpy(dtype=float)
        same = (called["clone"] == called["true_clone"]).to_numpy(dtype=bool, na_value=False)
        right = same & called["main_founder"].to_numpy(dtype=bool)
        bin_of = np.minimum((stated / _WIDTH).astype(int), round(1 / _WIDTH) - 1)
        figure = new_figure(5.0, 5.2)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1])
        first = _WIDTH * bin_of.min()
        above.plot([first, 1], [first, 1], color=INK, linewidth=0.8, linestyle="--", zorder=1)
        off = 0.0
        for at in np.unique(bin_of):
            own = bin_of == at
            n, x, share = int(own.sum()), float(stated[own].mean()), float(right[own].mean())
            off += n * abs(x - share)
            if n < FEW:
                continue
            interval = binomtest(int(right[own].sum()), n).proportion_ci(method="wilson")
            above.plot([x, x], [interval.low, interval.high], color=OKABE_ITO[0], linewidth=1.4)
            above.plot(x, share, "o", color=OKABE_ITO[0], markersize=5, markeredgecolor="white")
        above.text(
            0.02,
            0.98,
            "more often right than stated",
            transform=above.transAxes,
            ha="left",
            va="top",
            color="#6b7280",
        )
        above.text(
            0.98, 0.02, "less often right than stated", transform=above.transAxes, ha="right", color="#6b7280"
        )
        above.grid(color=FAINT)
        above.set_ylabel("share that was right")
        above.set_ylim(max(min(above.get_ylim()[0], first), 0), 1.01)
        above.set_title(
            f"On average {_points(stated.mean())} was stated, and {_points(right.mean())} was right.\n"
            f"Calibration error: {100 * off / len(stated):.1f} percentage points",
            fontsize=9,
        )
        edges = np.arange(bin_of.min(), round(1 / _WIDTH) + 1) * _WIDTH
        below.hist(np.minimum(stated, 1.0), bins=list(edges), color="#9aa1ac", edgecolor="white")
        below.set(xlabel="stated probability (clone_probability)", ylabel="cells")
        below.set_xlim(first - 0.01, 1.01)
        unassigned = 1 - len(called) / len(rehearsed)
        below.set_title(
            f"{len(called):,} rehearsed calls; a further {_points(unassigned)} of the cells unassigned",
            fontsize=8.5,
            fontweight="normal",
        )
        percent(above, "y")
        percent(below, "x")
    return figure


def _points(share: float) -> str:
    return f"{100 * share:.1f} %"
