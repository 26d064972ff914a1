"""Colour space: where the cells and the clones lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.plot.cloud import draw_contours, draw_dots, note_cells, number_clones, positive_means, thinned
from rgbtrack.plot.colours import HUES, UNASSIGNED, clone_colours, hex_of, marker_hues, row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, percent, say_nothing_to_draw, style
from rgbtrack.tables import CELLS, markers_of

HEIGHT = np.sqrt(3) / 2

CORNERS = np.array([[0.5, HEIGHT], [0.0, 0.0], [1.0, 0.0]])
"""Where the pure markers lie in the triangle."""


def ternary(
    cells: pd.DataFrame,
    clones: pd.DataFrame | None = None,
    markers: Sequence[str] | None = None,
    *,
    rehearsed: pd.DataFrame | None = None,
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
    rehearsed
        Cells drawn from the fitted clones, from `rgbtrack.clones.rehearse_calls`: the contours that hold 68 %
        and 95 % of the cells of the largest clones are drawn, and a spot that holds the mean of each with
        95 %. None: neither. Not with two markers.

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
        step = thinned(len(shares))
        plane = colour_plane(shares, markers)
        figure = new_figure(6.6, 5.7) if len(markers) == 3 else new_figure(6.4, 5.6)
        axes = figure.add_subplot()
        ground = plane.draw(axes)
        draw_dots(axes, plane.project(shares[::step]), row_colours(clone[::step], colours))
        if len(clones):

            def place(means: NDArray[np.float64]) -> NDArray[np.float64]:
                return plane.project(_shares(means))

            if rehearsed is not None:
                draw_contours(axes, ground, place, rehearsed, markers, clones, colours)
            means = place(positive_means(clones, markers))
            number_clones(axes, means, clones, colours, beside=rehearsed is not None)
        note_cells(axes, len(shares), step, clone)
    return figure


@dataclass(frozen=True)
class ColourPlane:
    """Where the shares of three or more markers lie on a plane: see `colour_plane`."""

    markers: tuple[str, ...]
    centre: NDArray[Any]
    directions: NDArray[Any]
    """Shape (2, m)."""
    explained: tuple[float, ...] = ()
    """Share of the variance that each direction shows; none for the triangle, which shows all."""

    def project(self, shares: NDArray[Any]) -> NDArray[Any]:
        """Places of cells, (n, 2), with these shares of the markers, (n, m)."""
        # many rows by few columns: a tenth of the time of shares @ directions.T
        return (self.directions @ shares.T).T - self.directions @ self.centre

    def draw(self, axes: Axes) -> Patch:
        """Draw what lies behind and around the cells; return the ground that they lie on."""
        return _draw_principal(axes, self) if self.explained else _draw_triangle(axes, self)


def colour_plane(shares: NDArray[Any], markers: Sequence[str]) -> ColourPlane:
    """Lay out the shares of the markers on a plane.

    Parameters
    ----------
    shares
        Of the cells, shape (n, m), all known; many are thinned.
    markers
        Their names, three or more.

    Returns
    -------
    plane
        Three markers span a triangle; more are seen along the two directions in which the shares differ most.
    """
    if len(markers) == 3:
        return ColourPlane(tuple(markers), np.zeros(3), CORNERS.T)
    return _principal(shares[:: thinned(max(len(shares), 1))], markers)


def _draw_triangle(axes: Axes, plane: ColourPlane) -> Patch:
    axes.set_aspect("equal")
    axes.set_axis_off()
    corners, markers = CORNERS, plane.markers
    (ground,) = axes.fill(*corners.T, facecolor=DARK, edgecolor=INK, linewidth=1.2, zorder=1)
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
    places = (("center", "bottom", 0, 0.035), ("center", "top", 0, -0.05), ("center", "top", 0, -0.05))
    for corner, name, hue, (ha, va, dx, dy) in zip(
        corners, markers, marker_hues(markers), places, strict=True
    ):
        axes.text(
            corner[0] + dx, corner[1] + dy, f"100 % {name}", ha=ha, va=va, fontweight="bold", fontsize=10
        )
        axes.plot(*corner, "o", markersize=8, color=hex_of(HUES[hue]), markeredgecolor=INK, zorder=2.5)
    axes.set(xlim=(-0.12, 1.12), ylim=(-0.1, HEIGHT + 0.08))
    return ground


def _principal(shares: NDArray[Any], markers: Sequence[str]) -> ColourPlane:
    centre = shares.mean(axis=0)
    _, s, directions = np.linalg.svd(shares - centre, full_matrices=False)
    directions = directions[:2]
    # the sign of an axis is arbitrary: its largest part points up
    directions *= np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])[:, None]
    axes_of = np.zeros((2, shares.shape[1]))
    axes_of[: len(directions)] = directions
    part = np.zeros(2)
    part[: min(2, len(s))] = (s**2 / max((s**2).sum(), 1e-12))[:2]
    return ColourPlane(tuple(markers), centre, axes_of, tuple(part))


def _draw_principal(axes: Axes, plane: ColourPlane) -> Patch:
    markers = plane.markers
    axes.set_facecolor(DARK)
    arrows = plane.project(np.eye(len(markers)))
    for name, arrow, hue in zip(markers, arrows, marker_hues(markers), strict=True):
        axes.plot([0, arrow[0]], [0, arrow[1]], color=hex_of(HUES[hue]), linewidth=1, alpha=0.9, zorder=4)
        box = {"facecolor": "white", "edgecolor": INK, "boxstyle": "round,pad=0.2", "linewidth": 0.6}
        axes.text(
            arrow[0], arrow[1], name, ha="center", va="center", color=INK, fontsize=8, bbox=box, zorder=7
        )
    first, second = plane.explained
    axes.set_xlabel(f"first principal axis of the {len(markers)} marker shares ({first:.0%} of the variance)")
    axes.set_ylabel(f"second principal axis ({second:.0%})")
    axes.margins(0.1)
    return axes.patch


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


def _shares(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the markers in what they read, (n, m), below zero where it is; equal where there is none."""
    total = np.clip(light, 0, None).sum(axis=1, keepdims=True)
    return np.asarray(np.where(total > 0, light / np.where(total > 0, total, 1), 1 / light.shape[1]))
