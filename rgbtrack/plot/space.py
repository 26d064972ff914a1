"""Colour space: where the cells and the clones lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import HUES, UNASSIGNED, clone_colours, hex_of, ink_on, marker_hues, row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, percent, say_nothing_to_draw, style
from rgbtrack.tables import CELLS, markers_of

MAX_POINTS = 60_000
LABELLED = 25
HEIGHT = np.sqrt(3) / 2


def ternary(
    cells: pd.DataFrame, clones: pd.DataFrame | None = None, markers: Sequence[str] | None = None
) -> Figure:
    """Draw all cells by the shares of their markers, in the colour of their clone.

    Three markers span a triangle. Two leave a histogram of the first one's share; more than three are shown
    along the two directions in which the shares differ most, and the axes say so.

    Parameters
    ----------
    cells
        Cells with a ``<marker>_fraction`` column for each marker; ``clone`` where there is one.
    clones
        The clone table; its largest clones are numbered where their mean lies.
    markers
        Names of the markers; by default those of the cells, in column order.

    Returns
    -------
    figure
        One panel. More than 60,000 cells are thinned evenly, and the figure says so.

    Raises
    ------
    DataError
        If there are fewer than two markers, or a marker has no share column.
    """
    markers = list(markers or markers_of(cells))
    if len(markers) < 2:
        raise DataError(
            f"found {len(markers)} markers in the cells table ({', '.join(markers)}): give 2 or more"
        )
    CELLS.check(cells, need=[f"{name}_fraction" for name in markers])
    clones = pd.DataFrame({"clone": []}) if clones is None else clones
    shares = cells[[f"{name}_fraction" for name in markers]].to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(shares).all(axis=1)
    with style():
        if not known.any():
            return say_nothing_to_draw("no cell has a measured colour")
        colours = clone_colours(clones, markers) if len(clones) else {}
        clone = cells["clone"] if "clone" in cells.columns else pd.Series(np.nan, index=cells.index)
        shares, clone = shares[known], clone[known]
        if len(markers) == 2:
            return _histogram(shares[:, 0], clone, colours, markers)
        step = int(np.ceil(len(shares) / MAX_POINTS))
        means = _clone_shares(clones, markers)
        draw = _triangle if len(markers) == 3 else _principal
        figure = draw(shares[::step], row_colours(clone[::step], colours), means, clones, colours, markers)
        _note(figure.axes[0], len(shares), step, clone)
    return figure


def _triangle(
    shares: NDArray[Any],
    paint: NDArray[Any],
    means: NDArray[Any],
    clones: pd.DataFrame,
    colours: dict[int, Any],
    markers: Sequence[str],
) -> Figure:
    figure = new_figure(6.6, 5.7)
    axes = figure.add_subplot()
    axes.set_aspect("equal")
    axes.set_axis_off()
    corners = np.array([[0.5, HEIGHT], [0.0, 0.0], [1.0, 0.0]])
    axes.fill(*corners.T, facecolor=DARK, edgecolor=INK, linewidth=1.2, zorder=1)
    for share in (0.2, 0.4, 0.6, 0.8):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            ends = np.zeros((2, 3))
            ends[:, i] = share
            ends[0, j] = ends[1, k] = 1 - share
            axes.plot(*(ends @ corners).T, color="#6b7280", linewidth=0.5, alpha=0.7, zorder=2)
            outward = (ends @ corners)[0] + 0.028 * (corners[j] - corners[k])
            axes.text(
                outward[0], outward[1], f"{share:.0%}", fontsize=7, color="#6b7280", ha="center", va="center"
            )
    places = (("center", "bottom", 0, 0.035), ("right", "top", 0.02, -0.045), ("left", "top", -0.02, -0.045))
    for corner, name, hue, (ha, va, dx, dy) in zip(
        corners, markers, marker_hues(markers), places, strict=True
    ):
        axes.text(
            corner[0] + dx, corner[1] + dy, f"100 % {name}", ha=ha, va=va, fontweight="bold", fontsize=10
        )
        axes.plot(*corner, "o", markersize=8, color=hex_of(HUES[hue]), markeredgecolor=INK, zorder=4)
    points = shares @ corners
    axes.scatter(
        points[:, 0],
        points[:, 1],
        s=_size(len(shares)),
        c=paint,
        linewidths=0,
        alpha=0.8,
        zorder=3,
        rasterized=True,
    )
    _number_clones(axes, means @ corners, clones, colours)
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.1, HEIGHT + 0.08))
    return figure


def _principal(
    shares: NDArray[Any],
    paint: NDArray[Any],
    means: NDArray[Any],
    clones: pd.DataFrame,
    colours: dict[int, Any],
    markers: Sequence[str],
) -> Figure:
    centre = shares.mean(axis=0)
    _, s, directions = np.linalg.svd(shares - centre, full_matrices=False)
    directions = directions[:2]
    # the sign of an axis is arbitrary: its largest part points up
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])[:, None]
    axes_of = np.zeros((2, shares.shape[1]))
    axes_of[: len(directions)] = directions
    part = np.zeros(2)
    part[: min(2, len(s))] = (s**2 / max((s**2).sum(), 1e-12))[:2]
    figure = new_figure(6.4, 5.6)
    axes = figure.add_subplot()
    axes.set_facecolor(DARK)
    points = (shares - centre) @ axes_of.T
    axes.scatter(
        points[:, 0], points[:, 1], s=_size(len(points)), c=paint, linewidths=0, alpha=0.8, rasterized=True
    )
    arrows = (np.eye(len(markers)) - centre) @ axes_of.T
    for name, arrow, hue in zip(markers, arrows, marker_hues(markers), strict=True):
        axes.plot([0, arrow[0]], [0, arrow[1]], color=hex_of(HUES[hue]), linewidth=1, alpha=0.9)
        box = {"facecolor": "white", "edgecolor": INK, "boxstyle": "round,pad=0.2", "linewidth": 0.6}
        axes.text(arrow[0], arrow[1], name, ha="center", va="center", fontsize=8, bbox=box, zorder=6)
    _number_clones(axes, (means - centre) @ axes_of.T, clones, colours)
    axes.set_xlabel(
        f"first principal axis of the {len(markers)} marker shares ({part[0]:.0%} of the variance)"
    )
    axes.set_ylabel(f"second principal axis ({part[1]:.0%})")
    axes.margins(0.1)
    return figure


def _histogram(
    share: NDArray[Any], clone: pd.Series, colours: dict[int, Any], markers: Sequence[str]
) -> Figure:
    figure = new_figure(6.8, 3.8)
    axes = figure.add_subplot()
    numbers = clone.to_numpy(dtype=float, na_value=np.nan)
    groups = [(colours[n], numbers == n) for n in sorted(colours)]
    groups.append((UNASSIGNED, ~np.isin(numbers, list(colours))))
    groups = [(colour, rows) for colour, rows in groups if rows.any()]
    bins = np.linspace(min(0.0, share.min()), max(1.0, share.max()), 51)
    axes.hist(
        [share[rows] for _, rows in groups],
        bins=list(bins),
        stacked=True,
        color=[hex_of(colour) for colour, _ in groups],
        edgecolor=DARK,
        linewidth=0.2,
    )
    axes.set(xlabel=f"share of {markers[0]} in the cell's colour (the rest is {markers[1]})", ylabel="cells")
    axes.set_xlim(bins[0], bins[-1])
    percent(axes, "x")
    axes.set_title("All cells by colour, painted by clone; grey is unassigned")
    return figure


def _clone_shares(clones: pd.DataFrame, markers: Sequence[str]) -> NDArray[Any]:
    if clones.empty:
        return np.zeros((0, len(markers)))
    means = np.clip(np.nan_to_num(clones[list(markers)].to_numpy(dtype=float)), 0, None)
    total = means.sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, means / np.where(total > 0, total, 1), 1 / len(markers)))


def _number_clones(axes: Any, places: NDArray[Any], clones: pd.DataFrame, colours: dict[int, Any]) -> None:
    """Write the numbers of the largest clones where their mean colour lies."""
    if clones.empty:
        return
    largest = (
        clones["n_cells"].to_numpy().argsort(kind="stable")[::-1]
        if "n_cells" in clones
        else range(len(clones))
    )
    for row in reversed(list(largest)[:LABELLED]):
        number = int(clones["clone"].iloc[row])
        axes.text(
            places[row][0],
            places[row][1],
            str(number),
            fontsize=7,
            fontweight="bold",
            ha="center",
            va="center",
            color=ink_on(colours[number]),
            zorder=5,
            bbox={
                "facecolor": hex_of(colours[number]),
                "edgecolor": "white",
                "boxstyle": "round,pad=0.22",
                "linewidth": 0.7,
            },
        )


def _note(axes: Any, n: int, step: int, clone: pd.Series) -> None:
    text = f"{n:,} cells" if step == 1 else f"one in {step} of {n:,} cells"
    if clone.isna().any():
        text += f"; grey: {int(clone.isna().sum()):,} unassigned"
    axes.set_title(text, fontsize=9, fontweight="normal")


def _size(n: int) -> float:
    """Area of a point: many cells get small ones."""
    return float(np.clip(6000 / max(n, 1), 1.5, 14))
