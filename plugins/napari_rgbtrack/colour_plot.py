"""A plot of all cells: by the shares of their markers, or by any two numbers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from napari_rgbtrack.columns import Floats as Numbers
from napari_rgbtrack.columns import column_words, is_skewed, number_columns, numbers_of
from napari_rgbtrack.raster import Limits
from rgbtrack.errors import DataError
from rgbtrack.plot.hue import hue_degrees
from rgbtrack.plot.space import ColourPlane, colour_plane
from rgbtrack.plot.style import DARK, style
from rgbtrack.tables import CELLS, markers_of

HUE = "hue"
GROUND, LIGHT = "#262930", "#e6e7ea"
"""Around the plot, as napari's own ground, and what is written on it."""
_ON_DARK = {
    "figure.facecolor": GROUND,
    "axes.facecolor": DARK,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), LIGHT),
}


@dataclass(frozen=True)
class CellPlot:
    """Where the cells lie on a plot, and how its axes are drawn.

    Attributes
    ----------
    names
        What the axes show.
    places
        Shape (n, 2), right and up; the logarithm to base 10 on a logarithmic axis. NaN where a cell has no
        place.
    n_placed
        Cells that have a place.
    limits
        Within which all cells lie.
    draw
        Draws the ground, the names and the units on empty axes.
    log
        Whether the axes are logarithmic.
    equal
        Whether a unit is as long up as it is to the right.
    """

    names: tuple[str, ...]
    places: NDArray[np.float32]
    n_placed: int
    limits: Limits
    draw: Callable[[Axes], object]
    log: tuple[bool, bool] = (False, False)
    equal: bool = False

    def looks_like(self, other: "CellPlot") -> bool:
        """Whether another plot has the same axes, with the same cells at the same places."""
        return (
            self.names == other.names
            and self.log == other.log
            and np.array_equal(self.places, other.places, equal_nan=True)
        )


def on_dark() -> AbstractContextManager[object]:
    """Draw in the house style, light on dark, as the rest of napari."""
    stack = ExitStack()
    stack.enter_context(style())
    mpl.rcParams.update(_ON_DARK)
    return stack


def plot_columns(cells: pd.DataFrame) -> list[str]:
    """What can be an axis: columns with numbers, and the hue of cells of three markers."""
    columns = number_columns(cells)
    return columns if len(markers_of(cells)) != 3 or HUE in columns else [HUE, *columns]


def usual_columns(columns: list[str]) -> tuple[str, str] | None:
    """Axes to begin with: brightness against hue, else against the probability; None without two."""
    wanted = [
        name for name in (HUE, "clone_probability", *columns) if name in columns and name != "brightness"
    ]
    upward = ["brightness"] if "brightness" in columns else wanted[1:2]
    return (wanted[0], upward[0]) if wanted and upward else None


def colour_plot(cells: pd.DataFrame) -> CellPlot:
    """Lay out cells by the shares of their markers, as `rgbtrack.plot.ternary` does.

    Two markers leave one share: it is laid out against the brightness.

    Raises
    ------
    DataError
        If there are fewer than two markers, or a marker has no share column.
    """
    markers = markers_of(cells)
    if len(markers) < 2:
        raise DataError(f"shares of colours need 2 or more markers, the cells have {len(markers)}")
    CELLS.check(cells, need=[f"{name}_fraction" for name in markers])
    if len(markers) == 2:
        return column_plot(cells, f"{markers[0]}_fraction", "brightness")
    shares = np.array([numbers_of(cells, f"{name}_fraction") for name in markers]).T
    known = np.isfinite(shares @ np.ones(len(markers)))
    plane = colour_plane(shares[known] if known.any() else np.eye(len(markers)), markers)
    places = plane.project(shares).astype(np.float32)
    corners = plane.project(np.eye(len(markers)))
    placed = places[known]
    left, right = _limits(placed[:, 0], corners[:, 0])
    bottom, top = _limits(placed[:, 1], corners[:, 1])
    room = 0.18 * (right - left)  # for the names of the markers
    limits = (left - room, right + room, bottom - room, top + room)
    draw = partial(_draw_plane, plane)
    return CellPlot(markers, places, len(placed), limits, draw, equal=len(markers) == 3)


def column_plot(cells: pd.DataFrame, x: str, y: str) -> CellPlot:
    """Lay out cells by two columns, each on a logarithmic axis where that is how it is read best.

    Raises
    ------
    DataError
        If a column is not there or holds no numbers.
    """
    values = [_values(cells, name) for name in (x, y)]
    log = (is_skewed(values[0]), is_skewed(values[1]))
    with np.errstate(divide="ignore", invalid="ignore"):
        right, up = (np.log10(v) if of_log else v for v, of_log in zip(values, log, strict=True))
    known = np.isfinite(right) & np.isfinite(up)
    places = np.full((len(cells), 2), np.nan, np.float32)
    places[known, 0], places[known, 1] = right[known], up[known]
    limits = [(0.0, 360.0) if name == HUE else _limits(where[known]) for name, where in ((x, right), (y, up))]
    draw = partial(_draw_columns, names=(x, y), words=(_words(x, cells), _words(y, cells)), log=log)
    return CellPlot((x, y), places, int(known.sum()), (*limits[0], *limits[1]), draw, log)


def set_limits(axes: Axes, plot: CellPlot, limits: Limits) -> None:
    """Let axes show these limits, given as the places are."""
    for axis, (low, high), log in zip("xy", (limits[:2], limits[2:]), plot.log, strict=True):
        ends = (10.0**low, 10.0**high) if log else (low, high)
        getattr(axes, f"set_{axis}lim")(*ends)


def filling(limits: Limits, shape: tuple[int, int]) -> Limits:
    """Limits widened on one side, so that a unit is as long up as to the right on (height, width) pixels."""
    left, right, bottom, top = limits
    height, width = shape
    unit = max((right - left) / width, (top - bottom) / height)
    x, y = (left + right) / 2, (bottom + top) / 2
    return (x - unit * width / 2, x + unit * width / 2, y - unit * height / 2, y + unit * height / 2)


def zoomed(limits: Limits, x: float, y: float, factor: float) -> Limits:
    """Limits seen from nearer (factor below 1), about a point given as parts of them, from lower left."""
    left, right, bottom, top = limits
    width, height = right - left, top - bottom
    left, bottom = left + x * width * (1 - factor), bottom + y * height * (1 - factor)
    return (left, left + factor * width, bottom, bottom + factor * height)


def _values(cells: pd.DataFrame, name: str) -> Numbers:
    markers = markers_of(cells)
    if name == HUE and HUE not in cells.columns and len(markers) == 3:
        return hue_degrees(np.array([numbers_of(cells, marker) for marker in markers]).T)
    return numbers_of(cells, name)


def _words(name: str, cells: pd.DataFrame) -> str:
    markers = markers_of(cells)
    if name == HUE and HUE not in cells.columns:
        return f"hue (°; {markers[0]} 0, {markers[1]} 120, {markers[2]} 240)"
    return column_words(name, cells)


def _limits(*values: NDArray[np.floating]) -> tuple[float, float]:
    """Limits of some numbers with a little room around them; of none, 0 to 1."""
    ends = [(float(part.min()), float(part.max())) for part in values if len(part)]
    if not ends:
        return (0.0, 1.0)
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    room = 0.03 * (high - low) if high > low else 0.5
    return (low - room, high + room)


def _draw_plane(plane: ColourPlane, axes: Axes) -> None:
    plane.draw(axes)
    axes.set_xlabel(axes.get_xlabel().replace(" (", "\n("))  # the panel is narrow


def _draw_columns(axes: Axes, names: tuple[str, str], words: tuple[str, str], log: tuple[bool, bool]) -> None:
    axes.set(xlabel=words[0], ylabel=words[1])
    for letter, name, of_log in zip("xy", names, log, strict=True):
        axis = getattr(axes, f"{letter}axis")
        if of_log:
            getattr(axes, f"set_{letter}scale")("log")
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        else:
            axis.set_major_locator(MaxNLocator(6, steps=[1, 6, 10] if name == HUE else [1, 2, 2.5, 5, 10]))
