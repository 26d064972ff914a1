"""Quality: whether the images carry what is read from them."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import INK, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CELLS

MAX_ROWS = 60
LOW_SNR = 5.0
"""Below this median SNR the colours of an image's cells are mostly noise."""


def snr_per_image(cells: pd.DataFrame, low: float = LOW_SNR) -> Figure:
    """Draw the signal-to-noise ratio of the cells of each image.

    Parameters
    ----------
    cells
        Cells with ``image_id`` and ``snr``.
    low
        Where the dashed line is drawn.

    Returns
    -------
    figure
        One row per image: dot the median, thick bar half of the cells, thin bar 90 % of them. Of more than 60
        images the 60 with the lowest median are shown.
    """
    CELLS.check(cells, need=["image_id", "snr"])
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    with style():
        if cells.empty:
            return say_nothing_to_draw("no cells")
        by_image = cells.groupby("image_id")["snr"]
        spread = pd.DataFrame({level: by_image.quantile(level) for level in levels}).clip(lower=0.1)
        n = len(spread)
        spread = spread.iloc[np.argsort(spread[0.5].to_numpy(), kind="stable")[:MAX_ROWS]]
        if n <= MAX_ROWS:
            spread = spread.sort_index()
        figure = new_figure(7.0, 0.9 + 0.22 * len(spread))
        axes = figure.add_subplot()
        y = np.arange(len(spread))
        weak = (spread[0.5] < low).to_numpy()
        paint = np.where(weak, OKABE_ITO[1], OKABE_ITO[0])
        axes.hlines(y, spread[0.05], spread[0.95], color=paint, linewidth=1)
        axes.hlines(y, spread[0.25], spread[0.75], color=paint, linewidth=4, alpha=0.45)
        for rows, marker in ((weak, "D"), (~weak, "o")):
            axes.scatter(spread[0.5][rows], y[rows], c=paint[rows], marker=marker, s=26, zorder=3)
        axes.axvline(low, color=INK, linestyle="--", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yticks(y, [wrap(name) for name in spread.index])
        axes.set_ylim(len(spread) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel(f"signal-to-noise ratio of the cells (dashed: {low:g}, diamonds: median below it)")
        if n > MAX_ROWS:
            axes.set_title(f"the {MAX_ROWS} images of {n} with the lowest median")
    return figure


def brightness_histogram(cells: pd.DataFrame) -> Figure:
    """Draw how bright the cells are, those with a clone and those without.

    Parameters
    ----------
    cells
        Cells with ``brightness``; ``clone`` where called.

    Returns
    -------
    figure
        A histogram over a logarithmic scale.
    """
    CELLS.check(cells, need=["brightness"])
    with style():
        bright = cells["brightness"].to_numpy(dtype=float, na_value=np.nan)
        shown = np.isfinite(bright) & (bright > 0)
        if not shown.any():
            return say_nothing_to_draw("no cells with a measured brightness")
        called = (
            cells["clone"].notna().to_numpy()
            if "clone" in cells.columns
            else np.zeros(len(cells), dtype=bool)
        )
        figure = new_figure(7.0, 2.8)
        axes = figure.add_subplot()
        low, high = np.quantile(bright[shown], [0.001, 1.0])
        bins = np.geomspace(low, max(high, low * 1.01) * 1.001, 61)
        axes.hist(
            [bright[shown & called], bright[shown & ~called]],
            bins=list(bins),
            stacked=True,
            color=[OKABE_ITO[5], "#8b9099"],
            label=[f"assigned to a clone ({called.sum():,})", f"unassigned ({(~called).sum():,})"],
            edgecolor="white",
            linewidth=0.3,
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(xlabel="brightness: sum of the markers (detector counts)", ylabel="cells")
        axes.legend()
    return figure
