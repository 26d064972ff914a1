"""Trajectories: over the image, and from a common origin."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.plot.colours import row_colours
from rgbtrack.plot.maps import scale_bar
from rgbtrack.plot.style import DARK, FAINT, INK, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import TRACKED, check_tracks, track_links

Colours = dict[int, tuple[float, float, float]]
MOST = 400
"""Tracks of a flower that are drawn."""


def plot_trajectories(
    cells: pd.DataFrame,
    colours: Colours,
    picture: NDArray[Any] | None = None,
    *,
    pixel_size_um: float | None = None,
    title: str = "",
) -> Figure:
    """Draw the tracks of one movie over its image, each in its clone's colour.

    Parameters
    ----------
    cells
        Tracked cells of one image; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um`` and, where called,
        ``clone``.
    colours
        From `clone_colours`.
    picture
        Image to draw over, RGB (y, x, 3) or grey (y, x), darkened; none: on black.
    pixel_size_um
        Of the picture.
    title
        Written above.

    Returns
    -------
    figure
        A line a track, stage drift not removed, so that it lies on the image; a dot is its last place, an
        open ring a division.
    """
    tracked = check_tracks(cells)
    TRACKED.check(tracked, need=["y_um", "x_um"])
    with style():
        if tracked.empty:
            return say_nothing_to_draw("no cell is in a track")
        place = tracked[["x_um", "y_um"]].to_numpy(float)
        height, width = _extent(place, picture, pixel_size_um)
        figure = new_figure(6.4 * width / max(height, width) + 0.3, 6.4 * height / max(height, width) + 0.5)
        axes = figure.add_subplot()
        axes.set_facecolor(DARK)
        if picture is not None:
            half = (pixel_size_um or 1.0) / 2
            axes.imshow(
                (np.asarray(picture, float) / max(float(np.max(picture)), 1e-12) * 0.6).clip(0, 1),
                cmap="gray",
                vmin=0,
                vmax=1,
                extent=(-half, width - half, height - half, -half),
            )
        paint = row_colours(_clone_of(tracked), colours)
        source, target = track_links(tracked)
        axes.add_collection(
            LineCollection(
                list(np.stack([place[source], place[target]], axis=1)), colors=paint[target], linewidths=1.2
            )
        )
        last = tracked.drop_duplicates(["image_id", "track"], keep="last").index.to_numpy()
        divides = np.bincount(source, minlength=len(tracked)) > 1
        ends = last[~divides[last]]
        axes.scatter(
            place[ends, 0], place[ends, 1], s=9, c=paint[ends], edgecolors="white", linewidths=0.3, zorder=3
        )
        axes.scatter(
            place[divides, 0],
            place[divides, 1],
            s=16,
            facecolors="none",
            edgecolors="white",
            linewidths=0.9,
            zorder=3,
        )
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
        scale_bar(axes, width, height, 1.0)
        axes.set_title(title or f"{len(last):,} tracks, {int(divides.sum()):,} divisions")
        axes.set_xlabel("dot: last place   ring: division", fontsize=8)
    return figure


def plot_flower(
    cells: pd.DataFrame,
    colours: Colours,
    *,
    by: str = "treatment",
    first: str | None = None,
    most: int = MOST,
) -> Figure:
    """Draw every track from a common origin, one panel per treatment on one scale.

    Parameters
    ----------
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``.
    colours
        From `clone_colours`.
    by
        Column that makes the panels; one panel where it is not there.
    first
        The panel to begin with: the control.
    most
        Tracks drawn in a panel, spread evenly over all; the title tells how many there are.

    Returns
    -------
    figure
        Stage drift removed; an even bunch is a random walk, a lean a common direction. Cells of one track
        only: daughters begin anew.
    """
    tracked = check_tracks(cells)
    TRACKED.check(tracked, need=["y_um", "x_um"])
    with style():
        if tracked.empty:
            return say_nothing_to_draw("no cell is in a track")
        place = _level(tracked)
        key = tracked.groupby(["image_id", "track"], sort=False).ngroup().to_numpy()
        start = np.flatnonzero(np.diff(key, prepend=-1))
        offset = place - place[start][key]
        reach = max(float(np.quantile(np.abs(offset), 0.995)) * 1.05, 1e-9)
        group = tracked[by].astype("str").to_numpy() if by in tracked else np.full(len(tracked), "all tracks")
        names = sorted(set(group), key=lambda name: (name != first, name))
        columns = min(len(names), 4)
        rows = -(-len(names) // columns)
        figure = new_figure(max(3.4 * columns, 4.2), 3.6 * rows)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        paint = row_colours(_clone_of(tracked), colours) * 0.9
        for axes in grid[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(grid, names, strict=False):
            own = start[group[start] == name]
            drawn = own[np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).astype(int))]
            lines = [offset[key == key[k]] for k in drawn]
            axes.axhline(0, color=FAINT, linewidth=0.8)
            axes.axvline(0, color=FAINT, linewidth=0.8)
            axes.add_collection(LineCollection(lines, colors=paint[drawn], linewidths=0.9, alpha=0.85))
            ends = np.array([line[-1] for line in lines])
            axes.scatter(
                ends[:, 0], ends[:, 1], s=6, c=paint[drawn], edgecolors=INK, linewidths=0.2, zorder=3
            )
            told = (
                f"{len(own):,} tracks" if len(drawn) == len(own) else f"{len(drawn):,} of {len(own):,} tracks"
            )
            subjects = tracked["subject"].to_numpy()[own] if "subject" in tracked else []
            told += f", n = {len(set(subjects))}" if len(subjects) else ""
            axes.set_title(f"{wrap(name)}\n({told})")
            axes.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal", xlabel="to the right (µm)")
        for axes in grid[::columns]:
            axes.set_ylabel("down (µm)")
    return figure


def _clone_of(tracked: pd.DataFrame) -> pd.Series:
    return tracked["clone"] if "clone" in tracked else pd.Series(np.nan, index=tracked.index)


def _level(tracked: pd.DataFrame) -> NDArray[np.float64]:
    """Places without stage drift, x and y."""
    place = tracked[["x_um", "y_um"]].to_numpy(float).copy()
    for k, name in enumerate(("drift_x_um", "drift_y_um")):
        if name in tracked:
            place[:, k] -= tracked[name].fillna(0).to_numpy(float)
    return place


def _extent(
    place: NDArray[np.float64], picture: NDArray[Any] | None, pixel_size_um: float | None
) -> tuple[float, float]:
    if picture is not None:
        height, width = np.shape(picture)[:2]
        return height * (pixel_size_um or 1.0), width * (pixel_size_um or 1.0)
    width, height = (float(end) for end in place.max(axis=0) * 1.02)
    return max(height, 1e-9), max(width, 1e-9)
