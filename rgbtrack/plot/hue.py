"""Hue and saturation of the cells."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.plot.cloud import draw_contours, draw_dots, note_cells, number_clones, positive_means, thinned
from rgbtrack.plot.colours import HUES, clone_colours, marker_hues, row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, say_nothing_to_draw, style
from rgbtrack.tables import CELLS, markers_of

ANGLES = np.radians([90.0, 210.0, 330.0])
"""Where the pure markers lie, as in the triangle."""
_ARMS = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
_WHEEL = 180

Floats = NDArray[np.float64]


def hue_saturation(
    cells: pd.DataFrame,
    clones: pd.DataFrame | None = None,
    markers: Sequence[str] | None = None,
    *,
    rehearsed: pd.DataFrame | None = None,
) -> Figure:
    """Draw all cells of three markers by hue (angle) and saturation (radius), in the colour of their clone.

    Each marker is first brought to its own scale, the reading that one cell in twenty exceeds: a detector
    that reads twice as much would turn all hues its way. Saturation is ``1 - min / mean`` of the three: 0 is
    grey, all markers alike; 1 lacks a marker.

    Parameters
    ----------
    cells
        Cells with a column for each marker; ``clone`` where there is one.
    clones
        The clone table; its largest clones are numbered where their mean lies.
    markers
        Names of the three markers; by default those of the cells, in column order.
    rehearsed
        See `ternary`.

    Returns
    -------
    figure
        One panel, a disc. More than 60,000 cells are thinned evenly, and the figure says so.

    Raises
    ------
    DataError
        If there are not three markers: hue is an angle among three.

    Notes
    -----
    This is a picture, not a way to find clones. Hue alone gives up saturation, brightness, and how sure each
    colour is: in the simulations that chose the method, bins of hue recovered clones with an adjusted Rand
    index of .59 where the ray mixture had .91 (15 clones), and .23 where it had .50 (100 clones). A dim
    cell's hue is mostly noise, and the hue of a grey cell says nothing.
    """
    markers = list(markers or markers_of(cells))
    if len(markers) != 3:
        raise DataError(
            f"hue is an angle among three markers, found {len(markers)} ({', '.join(markers) or 'none'}): "
            f"name three, or draw them all with ternary"
        )
    CELLS.check(cells, need=markers)
    clones = pd.DataFrame({"clone": []}) if clones is None else clones
    light = cells[markers].to_numpy(dtype=float, na_value=np.nan)
    known = (np.isfinite(light).all(axis=1)) & (light.max(axis=1, initial=-np.inf) > 0)
    with style():
        if not known.any():
            return say_nothing_to_draw("no cell has a measured colour")
        light = light[known]
        clone = cells["clone"] if "clone" in cells.columns else pd.Series(np.nan, index=cells.index)
        clone = clone[known]
        unit = _unit(light)

        def place(light: Floats) -> Floats:
            return _disc(light / unit)

        colours = clone_colours(clones, markers) if len(clones) else {}
        step = thinned(len(light))
        figure = new_figure(6.0, 5.9)
        axes = figure.add_subplot()
        rim = _draw_disc(axes, markers)
        draw_dots(axes, place(np.clip(light[::step], 0, None)), row_colours(clone[::step], colours))
        if len(clones):
            if rehearsed is not None:
                draw_contours(axes, rim, place, rehearsed, markers, clones, colours)
            means = place(positive_means(clones, markers))
            number_clones(axes, means, clones, colours, beside=rehearsed is not None)
        note_cells(axes, len(light), step, clone)
    return figure


def hue_degrees(light: Floats) -> Floats:
    """Hue of cells of three markers, (n, 3), by angle: the first marker 0, the second 120, the third 240.

    Each marker is on its own scale, as in `hue_saturation`. NaN where nothing was read.
    """
    some = light[:: 1 + len(light) // 50_000]  # enough to know the scale of many
    some = some[np.isfinite(some).all(axis=1)]
    if not len(some):
        return np.full(len(light), np.nan)
    # a row per marker: many cells are gone over fast
    scaled = np.clip(light.T, 0, None) / np.maximum(_unit(some), 1e-12)[:, None]
    x, y = _ARMS.T @ scaled
    hue = np.degrees(np.arctan2(y, x)) - 90
    return np.where((x == 0) & (y == 0), np.nan, np.where(hue < 0, hue + 360, hue))


def _unit(light: Floats) -> Floats:
    """Reading of each marker that one cell in twenty exceeds."""
    unit = np.quantile(light, 0.95, axis=0)
    return np.asarray(np.where(unit > 0, unit, light.max()))


def _disc(light: Floats) -> Floats:
    """Place of each colour (n, 3) on the disc, shape (n, 2); beyond its rim where a marker is below zero."""
    middle = np.maximum(np.clip(light, 0, None).mean(axis=1), 1e-12)
    saturation = 1 - light.min(axis=1) / middle
    arms = light @ _ARMS
    length = np.maximum(np.hypot(*arms.T), 1e-12)
    return np.asarray(arms * (saturation / length)[:, None])


def _draw_disc(axes: Axes, markers: Sequence[str]) -> Circle:
    """Draw the ground, rings of saturation and the wheel of hues; return the rim."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    rim = Circle((0, 0), 1.0, facecolor=DARK, edgecolor=INK, linewidth=1.0, zorder=1)
    axes.add_patch(rim)
    for saturation in (0.25, 0.5, 0.75):
        axes.add_artist(Circle((0, 0), saturation, fill=False, edgecolor="#6b7280", linewidth=0.5, zorder=2))
        words = f"{saturation:.0%}" + (" saturated" if saturation == 0.75 else "")
        axes.text(0, -saturation, words, fontsize=7, color="#9aa1ac", ha="center", va="bottom", zorder=4)
    hues = np.array([HUES[hue] for hue in marker_hues(markers)])
    turns = np.linspace(0, 2 * np.pi, _WHEEL, endpoint=False)
    wedges = [Wedge((0, 0), 1.07, *np.degrees([t, t + 2.2 * np.pi / _WHEEL]), width=0.05) for t in turns]
    weights = np.clip(np.cos(turns[:, None] - ANGLES) + 0.5, 0, None)
    paint = weights @ hues
    paint /= paint.max(axis=1, keepdims=True)
    axes.add_collection(PatchCollection(wedges, facecolors=paint, linewidths=0, zorder=1))
    for angle, name in zip(ANGLES, markers, strict=True):
        side = "center" if np.cos(angle) ** 2 < 0.1 else "left" if np.cos(angle) > 0 else "right"
        x, y = 1.11 * np.cos(angle), 1.11 * np.sin(angle)
        axes.text(x, y, name, ha=side, va="bottom" if y > 0 else "top", fontweight="bold", fontsize=10)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.15, 1.22))
    return rim
