"""Clone maps: which cell of an image belongs to which clone."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import UNASSIGNED, clone_colours, hex_of, row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, style
from rgbtrack.tables import CELLS

IN_LEGEND = 24


def paint_clones(
    labels: NDArray[Any],
    cells: pd.DataFrame,
    colours: dict[int, tuple[float, float, float]],
    *,
    longest_px: int | None = None,
) -> NDArray[np.uint8]:
    """Paint every cell in the colour of its clone.

    Parameters
    ----------
    labels
        Cells of one frame, shape (y, x) or (z, y, x); the uppermost cell along z is seen.
    cells
        The rows of this image and frame, with ``cell`` and, where called, ``clone``.
    colours
        From `clone_colours`.
    longest_px
        Shrink to this longest side, by picking pixels.

    Returns
    -------
    picture
        RGB, shape (y, x, 3). Cells without a clone are grey; a dark line runs between cells.

    Raises
    ------
    DataError
        If the labels are not of two or three dimensions.
    """
    CELLS.check(cells, need=["cell"])
    if labels.ndim == 3:
        labels = np.take_along_axis(labels, (labels > 0).argmax(axis=0)[None], axis=0)[0]
    if labels.ndim != 2:
        raise DataError(f"labels have shape {labels.shape}: give those of one frame, (y, x) or (z, y, x)")
    if longest_px is not None and max(labels.shape) > longest_px:
        # the same size as a thumbnail of that side
        shrink = max(labels.shape) / longest_px
        rows, columns = (
            ((np.arange(m) + 0.5) * n / m).astype(int)
            for n in labels.shape
            for m in [max(1, round(n / shrink))]
        )
        labels = labels[rows[:, None], columns[None]]
    place, numbers = pd.factorize(labels.ravel())
    clone = cells["clone"] if "clone" in cells.columns else pd.Series(np.nan, index=cells.index)
    clone_of = pd.Series(clone.to_numpy(dtype=float, na_value=np.nan), index=cells["cell"].to_numpy())
    paint = row_colours(clone_of.reindex(numbers), colours)
    paint[numbers == 0] = [int(DARK[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    picture = paint[place.reshape(labels.shape)]
    picture[_edges(labels)] *= 0.35
    return np.asarray((255 * picture).round(), dtype=np.uint8)


def clone_map(
    labels: NDArray[Any],
    cells: pd.DataFrame,
    clones: pd.DataFrame,
    *,
    pixel_size_um: float | None = None,
    title: str = "",
) -> Figure:
    """Draw a clone map with a legend of the clones that it holds, and a scale bar.

    Parameters
    ----------
    labels
        Cells of one frame, shape (y, x) or (z, y, x).
    cells
        The rows of this image and frame.
    clones
        The clone table.
    pixel_size_um
        For the scale bar; none without it.
    title
        Written above.

    Returns
    -------
    figure
        The map beside its legend, largest clones first.
    """
    colours = clone_colours(clones)
    picture = paint_clones(labels, cells, colours)
    height, width = picture.shape[:2]
    with style():
        side = 6.0 / max(height, width)
        figure = new_figure(side * width + 1.8, max(side * height, 1.5) + 0.4)
        axes = figure.add_subplot()
        axes.imshow(picture, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(title)
        if pixel_size_um:
            scale_bar(axes, width, height, pixel_size_um)
        entries = _legend(cells, colours)
        if entries:
            axes.legend(handles=entries, loc="upper left", bbox_to_anchor=(1.01, 1), title="clone (cells)")
    return figure


def _legend(cells: pd.DataFrame, colours: dict[int, tuple[float, float, float]]) -> list[Patch]:
    if "clone" not in cells.columns:
        return []
    counts = {
        int(n): int(count)
        for n, count in zip(*np.unique(cells["clone"].dropna(), return_counts=True), strict=True)
    }
    entries = [
        Patch(facecolor=hex_of(colours[n]), edgecolor=INK, linewidth=0.5, label=f"{n} ({count:,})")
        for n, count in sorted(counts.items(), key=lambda pair: -pair[1])
        if n in colours
    ]
    hidden = len(entries) - IN_LEGEND
    if hidden > 0:
        entries = [*entries[:IN_LEGEND], Patch(alpha=0, label=f"and {hidden} more")]
    unassigned = int(cells["clone"].isna().sum())
    if unassigned:
        entries.append(
            Patch(
                facecolor=hex_of(UNASSIGNED),
                edgecolor=INK,
                linewidth=0.5,
                label=f"unassigned ({unassigned:,})",
            )
        )
    return entries


def scale_bar(axes: Any, width: float, height: float, pixel_size_um: float) -> None:
    """Draw a bar of a round length, about a fifth of the picture."""
    wanted = 0.2 * width * pixel_size_um
    base = 10 ** np.floor(np.log10(wanted))
    length = next(float(step * base) for step in (5, 2, 1) if step * base <= wanted)
    right, y = 0.96 * width, 0.95 * height
    axes.plot(
        [right - length / pixel_size_um, right], [y, y], color="white", linewidth=3, solid_capstyle="butt"
    )
    middle = right - length / pixel_size_um / 2
    axes.text(middle, y - 0.015 * height, f"{length:g} µm", color="white", ha="center", va="bottom")


def _edges(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of a cell whose right or lower neighbour belongs to another cell."""
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, :-1] |= (labels[:, :-1] != labels[:, 1:]) & (labels[:, :-1] > 0) & (labels[:, 1:] > 0)
    edges[:-1] |= (labels[:-1] != labels[1:]) & (labels[:-1] > 0) & (labels[1:] > 0)
    return edges
