"""Confusion: which clones are taken for which."""

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.plot.colours import UNASSIGNED, clone_colours
from rgbtrack.plot.resolution import neighbours, swatches
from rgbtrack.plot.style import INK, new_figure, say_nothing_to_draw, style

SHOWN = 40
"""Up to so many clones all are shown; of more, the most confused ones."""
WRITTEN = 12
"""Up to so many clones the shares are written."""
BOUNDS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0)
PAINTS = ("#f4f6f9", "#fde3c8", "#fdbb84", "#ef8a47", "#7fb3d9", "#3a86c0", "#08306b")
"""Of the shares between the bounds: little goes astray in orange, most of a clone is blue."""
UNASSIGNED_WORD, OTHERS = "unassigned", "other clones"
NOT_CLONES = ("no marker", "no clone's colour")

Floats = NDArray[np.float64]


def plot_confusion(rehearsed: pd.DataFrame, clones: pd.DataFrame | None = None) -> Figure:
    """Draw which clones the rehearsed cells of each clone are called for.

    Parameters
    ----------
    rehearsed
        From `rgbtrack.clones.rehearse_calls`.
    clones
        The clone table, for the colours beside the map.

    Returns
    -------
    figure
        A row for each true clone, a column for each called one, clones that are confused side by side. Rows
        add up to 100 %. Of more than 40 clones the most confused are shown, and the title says so.
    """
    with style():
        numbers, counts = _counts(rehearsed)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        k = len(numbers)
        if not k:
            return say_nothing_to_draw("no cell of a clone was rehearsed")
        own = share[:k, :k].copy()
        np.fill_diagonal(own, 0)
        astray = np.maximum(own.sum(axis=1), own.max(axis=0, initial=0))
        shown = np.sort(np.argsort(-astray, kind="stable")[:SHOWN])
        order = shown[_side_by_side(own[np.ix_(shown, shown)])]
        rest = np.setdiff1d(np.arange(k), shown)
        extra = [row for row in (k, k + 1) if share[row].any()]
        rows = [*order, *extra]
        parts = [share[rows][:, order], share[rows][:, rest].sum(axis=1, keepdims=True), share[rows][:, k:]]
        drawn = np.hstack(parts if len(rest) else [parts[0], parts[2]])
        names = [str(numbers[i]) for i in order]
        strange = [f"{NOT_CLONES[row - k]}, n = {counts[row].sum():,.0f}" for row in extra]
        row_names = [*names, *strange]
        column_names = [*names, *([OTHERS] if len(rest) else []), UNASSIGNED_WORD]
        figure = _map(drawn, row_names, column_names, len(order))
        if clones is not None and len(clones):
            colours = clone_colours(clones)
            of = [colours.get(int(numbers[i]), UNASSIGNED) for i in order]
            white = (1.0, 1.0, 1.0)
            swatches(
                figure.axes[0],
                [*of, *[white] * len(extra)],
                [*of, *[white] * (len(column_names) - len(of))],
            )
        figure.suptitle(_title(rehearsed, k, astray[rest]), x=0.01, ha="left", fontsize=9.5, weight="bold")
    return figure


def _counts(rehearsed: pd.DataFrame) -> tuple[NDArray[np.int64], Floats]:
    """Clone numbers (k,), and how many cells of each go where, (k + 2, k + 1).

    The last rows are of cells without a marker and of those unlike any clone; the last column is unassigned.
    """
    true = rehearsed["true_clone"].to_numpy(dtype=float, na_value=np.nan)
    called = rehearsed["clone"].to_numpy(dtype=float, na_value=np.nan)
    numbers = np.unique(np.concatenate([true[np.isfinite(true)], called[np.isfinite(called)]])).astype(int)
    k = len(numbers)
    unmarked = rehearsed["true_reason"].astype("string").str.contains("marker").fillna(value=False)
    none = np.where(unmarked.to_numpy(dtype=bool), k, k + 1)
    row = np.where(np.isfinite(true), np.searchsorted(numbers, np.nan_to_num(true)), none)
    column = np.where(np.isfinite(called), np.searchsorted(numbers, np.nan_to_num(called)), k)
    counts = np.zeros((k + 2, k + 1))
    np.add.at(counts, (row, column), 1)
    return numbers, counts


def _side_by_side(own: Floats) -> NDArray[np.int64]:
    """Order in which clones that are taken for each other are neighbours."""
    if len(own) < 3:
        return np.arange(len(own))
    apart = 1 - np.minimum(np.maximum(own, own.T), 1)
    np.fill_diagonal(apart, 0)
    return neighbours(apart)


def _title(rehearsed: pd.DataFrame, k: int, hidden: Floats) -> str:
    called = rehearsed[rehearsed["clone"].notna()]
    own = (called["clone"] == called["true_clone"]).fillna(value=False)
    right = float(own.mean()) if len(own) else 0.0
    text = f"{100 * right:.1f} % of the rehearsed calls are for the cell's own clone"
    if len(hidden):
        most = 100 * hidden.max()
        text += (
            f"\nThe {k - len(hidden)} most confused of {k} clones; of the {len(hidden)} not shown, "
            f"each loses at most {most:.1f} % of its cells to other clones"
        )
    return text


def _map(drawn: Floats, rows: list[str], columns: list[str], k: int) -> Figure:
    side = float(np.clip(0.24 * len(columns) + 1.2, 3.2, 7.2))
    figure = new_figure(side + 1.9, side + 0.9)
    axes = figure.add_subplot()
    paints = ListedColormap(list(PAINTS))
    norm = BoundaryNorm(BOUNDS, len(PAINTS))
    image = axes.imshow(drawn, cmap=paints, norm=norm, interpolation="nearest", aspect="auto")
    small = 8.5 if k <= 25 else 6.0
    axes.set_xticks(range(len(columns)), columns, fontsize=small, rotation=90)
    axes.set_yticks(range(len(rows)), rows, fontsize=small)
    axes.tick_params(length=0, pad=2.8 * figure.get_figheight())
    axes.set(xlabel="called for clone", ylabel="true clone")
    axes.axvline(k - 0.5, color="white", linewidth=2.5)
    axes.axhline(k - 0.5, color="white", linewidth=2.5)
    for edge in axes.spines.values():
        edge.set_visible(False)
    if k <= WRITTEN:
        for i, j in zip(*np.nonzero(drawn >= 0.005), strict=True):
            ink = "white" if drawn[i, j] >= 0.5 else INK
            axes.text(j, i, f"{100 * drawn[i, j]:.0f}", ha="center", va="center", fontsize=8, color=ink)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=22, spacing="uniform")
    bar.set_ticks(list(BOUNDS), labels=[f"{100 * bound:g} %" for bound in BOUNDS])
    bar.set_label("share of the true clone's cells")
    bar.outline.set_visible(False)
    return figure
