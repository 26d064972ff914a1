"""Lineage trees: who descends from whom, and how each cell ended."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from rgbtrack.plot.colours import row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, say_nothing_to_draw, style
from rgbtrack.tables import TRACKS

Colours = dict[int, tuple[float, float, float]]
MOST = 200
"""Tracks that are drawn: those of the largest families."""
ENDS = {"lost": "x", "left image": ">", "end of movie": None}


def plot_lineages(tracks: pd.DataFrame, colours: Colours, *, most: int = MOST, title: str = "") -> Figure:
    """Draw families of tracks as trees along time, each in its clone's colour.

    Parameters
    ----------
    tracks
        One row per track; see `rgbtrack.tables.TRACKS`.
    colours
        From `clone_colours`.
    most
        Tracks that are drawn: whole families, the largest first. The rest is counted below.
    title
        Written above.

    Returns
    -------
    figure
        Time runs to the right. A fork is a division; a cross a cell that disappeared, by death or because it
        was not found; an arrow one that left the image; an end without a mark the end of the movie. Families
        that were never seen to divide count as one track.
    """
    TRACKS.check(tracks, need=["image_id", "track", "parent", "tree", "start_h", "end_h", "fate"])
    with style():
        if tracks.empty:
            return say_nothing_to_draw("there are no tracks")
        shown, n_families, n_shown = _largest(tracks, most)
        shown["row"], order = _rows(shown), shown.index
        height = float(np.clip(0.085 * (shown["row"].max() + 1), 1.2, 14)) + 1.2
        figure = new_figure(8.0, height)
        axes = figure.add_subplot()
        axes.set_facecolor(DARK)
        clone = shown["clone"] if "clone" in shown else pd.Series(np.nan, index=order)
        paint = row_colours(clone, colours)
        _draw(axes, shown, paint)
        _name_clones(axes, shown, clone)
        axes.set(xlabel="time (h)", yticks=[], ylim=(shown["row"].max() + 1.2, -1.2))
        axes.spines["left"].set_visible(False)
        rest = len(tracks) - len(shown)
        told = f"{n_shown:,} largest of {n_families:,} families, {len(shown):,} tracks"
        if not rest:
            told = f"{n_families:,} families, {len(shown):,} tracks"
        axes.set_title(f"{title}: {told}" if title else told)
        handles = [
            Line2D([], [], color=INK, marker=marker, linewidth=1.4, markersize=5, markevery=[1], label=name)
            for name, marker in (("lost: died or not found", "x"), ("left the image", ">"))
        ]
        handles.append(Line2D([], [], color=INK, linewidth=1.4, label="to the end of the movie"))
        if rest:
            handles.append(Line2D([], [], alpha=0, label=f"{rest:,} tracks of smaller families not drawn"))
        for handle in handles[:2]:
            handle.set_data([0, 1], [0, 0])
        figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def _largest(tracks: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int, int]:
    """Tracks of the largest families that fit, at least one; how many families there are, and are drawn."""
    family = tracks.groupby(["image_id", "tree"], sort=False).ngroup()
    size = family.map(family.value_counts())
    span = tracks.groupby(family)["end_h"].transform("max") - tracks.groupby(family)["start_h"].transform(
        "min"
    )
    ranked = (
        pd.DataFrame({"family": family, "size": size, "span": span})
        .drop_duplicates("family")
        .sort_values(["size", "span", "family"], ascending=[False, False, True])
    )
    fits = ranked["size"].cumsum() <= most
    fits.iloc[0] = True
    fits = fits.cummin()
    chosen = ranked.loc[fits, "family"]
    rank = pd.Series(np.arange(len(chosen)), index=chosen.to_numpy())
    shown = tracks[family.isin(chosen)].copy()
    shown["family"] = family[shown.index].map(rank)
    clone = shown["clone"] if "clone" in shown else pd.Series(pd.NA, index=shown.index, dtype="Int64")
    shown["order"] = shown.groupby("family")["track"].transform("size").rsub(0).astype(float)
    head = clone.groupby(shown["family"]).transform("first").astype("Float64").fillna(np.inf)
    shown = shown.assign(head=head.to_numpy(float))
    return shown.sort_values(["head", "order", "family", "start_h", "track"]), len(ranked), len(chosen)


def _rows(shown: pd.DataFrame) -> NDArray[np.float64]:
    """Height of each track: leaves one below the other, a mother midway between her daughters."""
    key = list(zip(shown["image_id"], shown["track"], strict=True))
    daughters: dict[Any, list[Any]] = {}
    roots = []
    for image_id, track, parent in zip(shown["image_id"], shown["track"], shown["parent"], strict=True):
        if pd.isna(parent):
            roots.append((image_id, track))
        else:
            daughters.setdefault((image_id, parent), []).append((image_id, track))
    row: dict[Any, float] = {}
    next_row = 0.0
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, done = stack.pop()
            below = daughters.get(node, [])
            if done:
                row[node] = (row[below[0]] + row[below[-1]]) / 2
            elif below:
                stack.append((node, True))
                stack += [(daughter, False) for daughter in reversed(below)]
            else:
                row[node] = next_row
                next_row += 1
        next_row += 0.6  # families stand apart
    return np.array([row[k] for k in key])


def _draw(axes: Any, shown: pd.DataFrame, paint: NDArray[np.float64]) -> None:
    place = {
        (image_id, track): (end, row)
        for image_id, track, end, row in zip(
            shown["image_id"], shown["track"], shown["end_h"], shown["row"], strict=True
        )
    }
    start, end, row = (shown[name].to_numpy(float) for name in ("start_h", "end_h", "row"))
    begin = start.copy()
    for k, (image_id, parent) in enumerate(zip(shown["image_id"], shown["parent"], strict=True)):
        if not pd.isna(parent):
            fork, height = place[image_id, parent]
            axes.plot([fork, fork], [height, row[k]], color=paint[k], linewidth=1.3, solid_capstyle="round")
            begin[k] = fork
    axes.hlines(row, begin, end, colors=paint, linewidth=1.6)
    for fate, marker in ENDS.items():
        chosen = (shown["fate"] == fate).to_numpy()
        if marker and chosen.any():
            axes.scatter(
                end[chosen], row[chosen], s=16, c=paint[chosen], marker=marker, linewidths=1.1, zorder=3
            )


def _name_clones(axes: Any, shown: pd.DataFrame, clone: pd.Series) -> None:
    """Number of the clone beside its block of families."""
    named = clone.groupby(shown["family"]).transform("first")
    for number, rows in shown.groupby(named.astype("Float64").fillna(-1))["row"]:
        text = "no clone" if number < 0 else f"clone {int(number)}"
        axes.text(
            -0.012,
            rows.mean(),
            text,
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=8,
        )
