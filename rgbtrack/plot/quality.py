"""Quality: whether the images carry what is read from them."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CELLS

MAX_ROWS = 60
LOW_SNR = 5.0
"""Below this median SNR the colours of an image's cells are mostly noise."""
FAINT_SNR = 3.0
"""Below this median SNR not even the outlines of an image's cells can be trusted."""
UNSURE = 0.8
"""An object is in doubt that is a cell with less probability."""
FLAGS = {
    "doublet": ("two colours in one (doublet)", OKABE_ITO[1], "////"),
    "merged": ("maybe two cells (merged)", OKABE_ITO[3], "xxxx"),
    "saturated": ("saturated", OKABE_ITO[6], ""),
    "small": ("few pixels (small)", OKABE_ITO[4], "...."),
    "touches_border": ("cut by the image's edge", OKABE_ITO[5], ""),
}
"""Flags of cells, gravest first: words, colour and hatch."""


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
        log_scale(axes, "x")
        axes.set_yticks(y, [wrap(name) for name in spread.index])
        axes.set_ylim(len(spread) - 0.5, -0.5)
        axes.grid(axis="x")
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
        log_scale(axes, "x")
        axes.set(xlabel="brightness: sum of the markers (detector counts)")
        _count_axis(axes)
        axes.legend(loc="upper right")  # "best" takes a second on a busy machine
    return figure


def cell_sizes(cells: pd.DataFrame) -> Figure:
    """Draw how large the cells are, flagged ones apart.

    Parameters
    ----------
    cells
        Cells with ``area_um2`` or ``volume_um3``, and the flags ``doublet``, ``merged``, ``saturated``,
        ``small``, ``touches_border`` where they were looked for.

    Returns
    -------
    figure
        A histogram of the diameter of the disc of the same area, or the ball of the same volume. A cell with
        several flags counts as the gravest. The dashed line is the median; what is over three times as large
        is in the last bar.

    Raises
    ------
    DataError
        If there is neither area nor volume.
    """
    sizes = [name for name in ("area_um2", "volume_um3") if name in cells.columns]
    if not sizes:
        raise DataError(
            f"cells table lacks area_um2 and volume_um3; found {', '.join(map(str, cells.columns))}: add one"
        )
    CELLS.check(cells, need=sizes)
    with style():
        diameter, shape = _diameters(cells)
        known = np.isfinite(diameter) & (diameter > 0)
        if not known.any():
            return say_nothing_to_draw("no cells with a measured size")
        median = float(np.median(diameter[known]))
        top = min(float(diameter[known].max()), 3 * median)
        beyond = int((diameter[known] > top).sum())
        groups = _by_flag(cells, known)
        figure = new_figure(7.0, 2.8)
        axes = figure.add_subplot()
        axes.hist(
            [np.minimum(diameter[rows], top) for _, rows, _, _ in groups],
            bins=list(np.linspace(0, 1.0001 * top, 46)),
            stacked=True,
            color=[colour for _, _, colour, _ in groups],
            label=[f"{words} ({int(rows.sum()):,})" for words, rows, _, _ in groups],
            hatch=[hatch for _, _, _, hatch in groups],
            edgecolor="white",
            linewidth=0.3,
        )
        axes.axvline(
            median, color=INK, linestyle="--", linewidth=1.0, label=f"median {median:.1f} µm, all cells"
        )
        note = f"; {beyond:,} over {top:.0f} µm in the last bar" if beyond else ""
        axes.set(xlabel=f"diameter of the cell as a {shape} (µm{note})")
        _count_axis(axes)
        axes.set_xlim(0, 1.01 * top)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def snr_histogram(cells: pd.DataFrame, low: float = LOW_SNR) -> Figure:
    """Draw how far the cells stand out from the noise.

    Parameters
    ----------
    cells
        Cells with ``snr``.
    low
        Where the dashed line is drawn: cells below it have a colour that is mostly noise.

    Returns
    -------
    figure
        A histogram over a logarithmic scale, with the number of cells below the line.
    """
    CELLS.check(cells, need=["snr"])
    with style():
        snr = cells["snr"].to_numpy(dtype=float, na_value=np.nan)
        snr = np.maximum(snr[np.isfinite(snr)], 0.1)
        if not snr.size:
            return say_nothing_to_draw("no cells with a measured SNR")
        # the line is the edge of a bar: no bar holds cells of both sides
        step = 0.05
        first = np.floor(min(np.log10(snr.min() / low) / step, -4))
        last = np.ceil(max(np.log10(snr.max() / low) / step, 4)) + 1
        bins = low * 10 ** (step * np.arange(first, last))
        weak = snr < low
        figure = new_figure(7.0, 2.8)
        axes = figure.add_subplot()
        axes.hist(
            [snr[weak], snr[~weak]],
            bins=list(bins),
            stacked=True,
            color=[OKABE_ITO[1], OKABE_ITO[0]],
            label=[
                f"below {low:g}, colour uncertain: {weak.sum():,} ({_share(weak.mean())})",
                f"{low:g} and above: {(~weak).sum():,} ({_share((~weak).mean())})",
            ],
            hatch=["////", ""],
            edgecolor="white",
            linewidth=0.3,
        )
        axes.axvline(low, color=INK, linestyle="--", linewidth=1.0)
        log_scale(axes, "x")
        axes.set(xlabel="signal-to-noise ratio of the cell")
        _count_axis(axes)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def rejected_counts(images: pd.DataFrame) -> Figure:
    """Draw how many objects were found and set aside as no cells, and why.

    Parameters
    ----------
    images
        One row per image, with ``n_cells`` and ``rejected``, a mapping of reason to number: what run.json
        tells of the images, as ``pd.DataFrame.from_dict(run["images"], orient="index")``.

    Returns
    -------
    figure
        One bar per reason, most frequent first, with its share of all objects found.

    Raises
    ------
    DataError
        If a column is missing.
    """
    if images.empty:
        with style():
            return say_nothing_to_draw("no images")
    missing = [name for name in ("n_cells", "rejected") if name not in images.columns]
    if missing:
        raise DataError(
            f"images table lacks column {', '.join(missing)}; found {', '.join(map(str, images.columns))}"
        )
    kept = int(images["n_cells"].astype(float).fillna(0).sum())
    reasons = pd.Series(
        [reason for row in images["rejected"] for reason in (row or {})], dtype=object
    ).drop_duplicates()
    numbers = {
        reason: sum(int((row or {}).get(reason, 0)) for row in images["rejected"]) for reason in reasons
    }
    ranked = sorted(
        ((n, str(reason)) for reason, n in numbers.items() if n), key=lambda pair: (-pair[0], pair[1])
    )
    found = kept + sum(n for n, _ in ranked)
    with style():
        if not ranked:
            return say_nothing_to_draw(
                f"nothing was set aside: all {kept:,} objects found were kept as cells"
                if kept
                else "no objects were found"
            )
        figure = new_figure(7.0, 0.9 + 0.32 * len(ranked))
        axes = figure.add_subplot()
        y = np.arange(len(ranked))
        axes.barh(y, [n for n, _ in ranked], height=0.62, color=OKABE_ITO[4])
        for at, (n, _) in zip(y, ranked, strict=True):
            axes.annotate(
                f"{n:,} ({_share(n / found)} of all found)",
                (n, at),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
            )
        axes.set_yticks(y, [wrap(reason, 40) for _, reason in ranked])
        axes.set_ylim(len(ranked) - 0.5, -0.5)
        axes.set_xlim(0, 1.6 * ranked[0][0])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("objects set aside")
        axes.set_title(f"{kept:,} of {found:,} objects found were kept as cells ({_share(kept / found)})")
    return figure


def _count_axis(axes: Axes) -> None:
    """Make y one of cells: whole numbers only."""
    axes.set_ylabel("cells")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _diameters(cells: pd.DataFrame) -> tuple[NDArray[np.float64], str]:
    """Equivalent diameter of each cell, and what it is that of."""
    nothing = pd.Series(np.nan, index=cells.index)
    area, volume = (
        cells.get(name, nothing).to_numpy(dtype=float, na_value=np.nan) for name in ("area_um2", "volume_um3")
    )
    disc, ball = 2 * np.sqrt(area / np.pi), np.cbrt(6 * volume / np.pi)
    solid = np.isfinite(ball)
    shape = "disc of its area" if not solid.any() else "ball of its volume"
    if solid.any() and np.isfinite(disc[~solid]).any():
        shape = "disc of its area or ball of its volume"
    return np.where(solid, ball, disc), shape


def _by_flag(cells: pd.DataFrame, known: NDArray[np.bool_]) -> list[tuple[str, NDArray[np.bool_], str, str]]:
    """Words, rows, colour and hatch of the cells without a flag, and of those of each flag that occurs."""
    rest, groups = known.copy(), []
    for flag, (words, colour, hatch) in FLAGS.items():
        if flag in cells.columns:
            rows = rest & cells[flag].fillna(value=False).to_numpy(dtype=bool)
            rest &= ~rows
            if rows.any():
                groups.append((words, rows, colour, hatch))
    return [("no flag", rest, OKABE_ITO[0], ""), *reversed(groups)]


def _share(value: float) -> str:
    """Return a share in percent; few of many are not none, nor are nearly all all."""
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %" if 0 < value < 1 else f"{100 * value:.0f} %"
