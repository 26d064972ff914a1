"""Resolution: how far the colours of clones lie apart, and which of them are confused."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from rgbtrack.clones.confusion import HALF_MERGED, NEAR
from rgbtrack.clones.resolution import Resolution
from rgbtrack.plot.colours import RGB, UNASSIGNED, clone_colours
from rgbtrack.plot.style import INK, new_figure, say_nothing_to_draw, style

CLASSES = (
    (0.0, "#08306b", "taken for one clone\nhalf of the time or more"),
    (HALF_MERGED, "#3a86c0", "some cells confused"),
    (NEAR, "#a9cbe6", "few cells confused"),
    (4.5, "#eef3f9", "told apart"),
)
"""Distance from which each class begins, its colour and its words."""
FAR = 6.0
"""Distance from which nothing more can be gained."""
NUMBERED = 60
ORDERED = 400
"""Up to so many clones the order of neighbours is made the best; beyond that, nearly so."""


def plot_resolution(resolution: Resolution, clones: pd.DataFrame | None = None) -> Figure:
    """Draw how far every two clones lie apart, and how near each one's neighbour is.

    Parameters
    ----------
    resolution
        From `clone_resolution`.
    clones
        The clone table, for the colours beside the map.

    Returns
    -------
    figure
        Left: every pair of clones, neighbours in colour side by side; dark is near. Squares along the
        diagonal are groups of clones that are confused. Right: clones by how near the nearest other one is,
        which is also the key of the map.
    """
    with style():
        if resolution.n_clones < 2:
            return say_nothing_to_draw("fewer than two clones: no colours to tell apart")
        numbers, square = _square(resolution.distances)
        k = len(numbers)
        size = float(np.clip(1.6 + 0.11 * k, 3.4, 6.4))
        figure = new_figure(size + 4.4, size + 0.7)
        left, right = figure.subplots(1, 2, width_ratios=[size, 3.4])
        order = neighbours(square)
        _map(figure, left, square[np.ix_(order, order)], numbers[order])
        if clones is not None:
            colours = clone_colours(clones)
            shown = [colours.get(int(number), UNASSIGNED) for number in numbers[order]]
            swatches(left, shown, shown)
        near = np.where(np.eye(k, dtype=bool), np.inf, square).min(axis=1)
        _nearest(right, near)
        figure.suptitle(
            f"Two founders are taken for one clone once in {resolution.n_colours:.0f} times: "
            f"{k} clones were called, of {resolution.founders}",
            x=0.01,
            ha="left",
            fontsize=10,
            weight="bold",
        )
    return figure


def _square(distances: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Clone numbers, and the distance of every two, shape (k, k), 0 on the diagonal."""
    numbers = np.unique(distances[["clone", "other"]].to_numpy(dtype=np.int64))
    square = np.zeros((len(numbers), len(numbers)))
    rows = np.searchsorted(numbers, distances["clone"].to_numpy(dtype=np.int64))
    columns = np.searchsorted(numbers, distances["other"].to_numpy(dtype=np.int64))
    square[rows, columns] = square[columns, rows] = distances["distance"]
    return numbers, square


def neighbours(square: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order in which clones of like colour stand side by side."""
    near = np.minimum(square, 2 * FAR)
    return np.asarray(
        leaves_list(linkage(squareform(near), "average", optimal_ordering=len(square) <= ORDERED))
    )


def _map(figure: Figure, axes: Axes, square: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
    k = len(numbers)
    edges = [begin for begin, _, _ in CLASSES]
    shown = np.where(np.eye(k, dtype=bool), np.nan, np.digitize(square, edges) - 1)
    paints = ListedColormap([colour for _, colour, _ in CLASSES])
    axes.imshow(shown, cmap=paints, vmin=-0.5, vmax=len(CLASSES) - 0.5, interpolation="nearest")
    axes.set_facecolor("#c9ccd1")
    few = k <= NUMBERED
    names = [str(number) for number in numbers] if few else []
    places, small = list(range(len(names))), 8.5 if k <= 25 else 5.5
    axes.set_yticks(places, names, fontsize=small)
    axes.set_xticks(places, names, fontsize=small, rotation=90)
    axes.tick_params(length=0, pad=2.8 * figure.get_figheight())
    axes.set_xlabel(
        "clone" if few else f"{k} clones, those of like colour side by side", labelpad=12 if few else 22
    )
    axes.set_ylabel("clone" if few else "")
    for side in axes.spines.values():
        side.set_visible(False)


def _range(at: int) -> str:
    """Words of a class, and its distances."""
    begin, _, words = CLASSES[at]
    end = CLASSES[at + 1][0] if at + 1 < len(CLASSES) else None
    return f"{words}\n({begin:g} to {end:g} sd)" if end else f"{words}\n(over {begin:g} sd)"


def swatches(axes: Axes, rows: list[RGB], columns: list[RGB]) -> None:
    """Colours of the rows of a map, left of it, and of its columns, below."""
    wide = 0.022
    for box, colours, shape in (
        ((-wide - 0.008, 0, wide, 1), rows, (len(rows), 1, 3)),
        ((0, -wide - 0.008, 1, wide), columns, (1, len(columns), 3)),
    ):
        inset = axes.inset_axes(box)
        inset.imshow(np.reshape(colours, shape), aspect="auto", interpolation="nearest")
        inset.set_axis_off()


def _nearest(axes: Axes, near: NDArray[np.float64]) -> None:
    edges = [*(begin for begin, _, _ in CLASSES), np.inf]
    counts = np.histogram(near, bins=edges)[0]
    paints = [colour for _, colour, _ in CLASSES]
    axes.barh(range(len(counts)), counts, 0.7, color=paints, edgecolor=INK, linewidth=0.6)
    for row, n in enumerate(counts):
        axes.text(n, row, f" {n}", ha="left", va="center")
    axes.set_yticks(range(len(counts)), [_range(at) for at in range(len(counts))])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 1.15 * max(counts.max(), 1))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("clones")
    axes.set_title("How near is the nearest clone?", loc="center")
    axes.set_box_aspect(1.1)
