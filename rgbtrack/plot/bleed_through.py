"""Bleed-through: what each protein shows in the detectors of the others."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import INK, new_figure, style
from rgbtrack.unmix import BleedThrough

MAX_POINTS = 3000


def bleed_through_lines(controls: Mapping[str, pd.DataFrame], found: BleedThrough) -> Figure:
    """Draw the signal of each other detector against the own one, with the slope that was found.

    Parameters
    ----------
    controls
        Protein (by marker name) to the cells of its control, with ``<marker>_raw``.
    found
        From `bleed_through_from_controls`.

    Returns
    -------
    figure
        One column per protein, one row per detector. Points are cells, the line has the slope of the matrix
        element: good controls lie along it. Vertical axes differ: the slope is the number above.

    Raises
    ------
    DataError
        If a control is missing.
    """
    markers = [str(name) for name in found.matrix.columns]
    missing = [name for name in markers if name not in controls]
    if missing:
        raise DataError(f"no control of {', '.join(missing)}: give the cells of each protein's control")
    m = len(markers)
    with style():
        figure = new_figure(2.4 * m + 0.4, 2.1 * m)
        grid = figure.subplots(m, m, squeeze=False)
        for d, detector in enumerate(markers):
            for p, protein in enumerate(markers):
                axes = grid[d][p]
                if d == p:
                    _name(axes, protein, found.n_cells.get(protein, 0))
                else:
                    slope, se = (float(frame.to_numpy()[d, p]) for frame in (found.matrix, found.se))
                    _panel(axes, controls[protein], protein, detector, slope, se)
    return figure


def _name(axes: Axes, protein: str, n: int) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.55, protein, ha="center", va="center", fontsize=12, weight="bold")
    axes.text(0.5, 0.38, f"{n:,} labelled cells", ha="center", va="center")


def _panel(axes: Axes, cells: pd.DataFrame, protein: str, detector: str, slope: float, se: float) -> None:
    own = cells[f"{protein}_raw"].to_numpy(float)
    other = cells[f"{detector}_raw"].to_numpy(float)
    offset = float(np.nanmedian(other - slope * own)) if len(own) else 0.0
    step = max(1, len(own) // MAX_POINTS)
    axes.scatter(
        own[::step], other[::step], s=7, color=OKABE_ITO[0], alpha=0.5, linewidths=0, rasterized=True
    )
    top = float(np.nanquantile(own, 0.995)) if len(own) else 1.0
    ends = np.array([0.0, max(top, 1.0)])
    axes.plot(ends, offset + slope * ends, color=OKABE_ITO[1], linewidth=1.2)
    rest = float(np.nanquantile(np.abs(other - offset - slope * own), 0.95)) if len(own) else 1.0
    reach = max(slope * ends[1], 2 * rest, 1.0)
    axes.set_ylim(offset - max(0.2 * reach, 1.5 * rest), offset + 1.6 * reach)
    axes.set_xlim(-0.03 * ends[1], 1.03 * ends[1])
    axes.axhline(offset, color=INK, linewidth=0.5)
    axes.set_title(f"{slope:.3f} ± {se:.4f}", fontsize=9, weight="normal")
    axes.set_xlabel(f"{protein} detector (counts)")
    axes.set_ylabel(f"{detector} detector")
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(4))
