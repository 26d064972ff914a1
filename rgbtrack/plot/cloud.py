"""Cells as a cloud of dots on a dark ground, with the numbers and contours of their clones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, Patch
from numpy.typing import NDArray

from rgbtrack.plot.colours import RGB, hex_of, ink_on

MAX_POINTS = 60_000
LABELLED = 25
CONTOURED = 20
HELD = (0.68, 0.95)
"""Shares of a clone's cells that its contours hold."""
FEW = 30
"""Drawn cells from which a contour is not drawn."""
_LIGHT_EDGE = [patheffects.withStroke(linewidth=1.8, foreground="white", alpha=0.35)]

Floats = NDArray[np.float64]


def thinned(n: int) -> int:
    """One in how many of n cells is drawn."""
    return int(np.ceil(n / MAX_POINTS))


def draw_dots(axes: Axes, places: Floats, paint: Floats) -> None:
    """Draw cells at some places, (n, 2): many cells get small dots."""
    size = float(np.clip(6000 / max(len(places), 1), 1.5, 14))
    axes.scatter(
        places[:, 0], places[:, 1], s=size, c=paint, linewidths=0, alpha=0.8, zorder=3, rasterized=True
    )


def number_clones(
    axes: Axes, places: Floats, clones: pd.DataFrame, colours: dict[int, RGB], *, beside: bool = False
) -> None:
    """Write the numbers of the largest clones at the place of each, (k, 2), or beside it."""
    for row in _largest(clones)[:LABELLED][::-1]:
        number = int(clones["clone"].iloc[row])
        axes.annotate(
            str(number),
            places[row],
            xytext=(9, 9) if beside else (0, 0),
            textcoords="offset points",
            fontsize=7,
            fontweight="bold",
            ha="center",
            va="center",
            color=ink_on(colours[number]),
            zorder=6,
            bbox={
                "facecolor": hex_of(colours[number]),
                "edgecolor": "white",
                "boxstyle": "round,pad=0.22",
                "linewidth": 0.7,
            },
        )


def draw_contours(
    axes: Axes,
    ground: Patch,
    project: Callable[[Floats], Floats],
    rehearsed: pd.DataFrame,
    markers: list[str],
    clones: pd.DataFrame,
    colours: dict[int, RGB],
) -> None:
    """Draw what holds 68 % and 95 % of the cells of the largest clones, and how sure the mean of each is.

    Parameters
    ----------
    axes
        To draw in.
    ground
        Beyond which nothing is drawn.
    project
        From the markers of cells, (n, m), to their places, (n, 2). Places of readings below zero lie beyond
        the ground, where the cells themselves are drawn on its rim.
    rehearsed
        Cells drawn from the fitted clones, from `rgbtrack.clones.rehearse_calls`.
    markers
        Names of the markers.
    clones
        The clone table.
    colours
        Of each clone.
    """
    places = project(rehearsed[markers].to_numpy(dtype=float))
    clone = rehearsed["true_clone"].to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(places).all(axis=1)
    means = project(positive_means(clones, markers))
    for row in _largest(clones)[:CONTOURED]:
        number = int(clones["clone"].iloc[row])
        own = places[known & (clone == number)]
        if len(own) < FEW:
            continue
        centre, covariance, radii = contour(own)
        paint = hex_of(colours[number])
        for radius, dashes in zip(radii, ("-", (0, (4, 2))), strict=True):
            drawn = _ellipse(centre, covariance, radius, fill=False, edgecolor=paint, linestyle=dashes)
            drawn.set(
                linewidth=0.9, zorder=4, clip_path=ground, path_effects=[*_LIGHT_EDGE, patheffects.Normal()]
            )
            axes.add_patch(drawn)
        radius = radii[-1] / np.sqrt(max(int(clones["n_cells"].iloc[row]), 1))
        spot = _ellipse(means[row], covariance, radius, facecolor=paint, edgecolor="white")
        spot.set(linewidth=1.0, zorder=5)
        axes.add_patch(spot)


def positive_means(clones: pd.DataFrame, markers: list[str]) -> Floats:
    """Mean of each marker in each clone, (k, m), none below zero."""
    return np.clip(np.nan_to_num(clones[markers].to_numpy(dtype=float)), 0, None)


def contour(places: Floats) -> tuple[Floats, Floats, Floats]:
    """Centre, covariance, and the radii in its units within which 68 % and 95 % of the places (n, 2) lie.

    Centre and covariance are of the inner 90 %: few cells far out, dim ones, would blow them up.
    """
    centre, kept = np.median(places, axis=0), places
    for _ in range(2):
        covariance = np.cov(kept.T) + 1e-12 * np.eye(2)
        off = places - centre
        # cells of two pure markers lie all but on a line: by its axes, no square turns out negative
        variances, axes = np.linalg.eigh(covariance)
        radius = np.sqrt(((off @ axes) ** 2 / np.maximum(variances, 1e-12)).sum(axis=1))
        kept = places[radius <= np.quantile(radius, 0.9)]
    return centre, covariance, np.quantile(radius, HELD)


def note_cells(axes: Axes, n: int, step: int, clone: pd.Series) -> None:
    """Write how many cells are shown, and how many are grey."""
    text = f"{n:,} cells" if step == 1 else f"one in {step} of {n:,} cells"
    if clone.isna().any():
        text += f"; grey: {int(clone.isna().sum()):,} unassigned"
    axes.set_title(text, fontsize=9, fontweight="normal")


def _ellipse(centre: Floats, covariance: Floats, radius: float, **look: Any) -> Ellipse:
    variances, directions = np.linalg.eigh(covariance)
    width, height = 2 * radius * np.sqrt(np.maximum(variances, 0))
    turn = float(np.degrees(np.arctan2(directions[1, 0], directions[0, 0])))
    return Ellipse((float(centre[0]), float(centre[1])), width, height, angle=turn, **look)


def _largest(clones: pd.DataFrame) -> list[int]:
    """Positions of the clones, largest first."""
    if "n_cells" not in clones:
        return list(range(len(clones)))
    return [int(row) for row in clones["n_cells"].to_numpy().argsort(kind="stable")[::-1]]
