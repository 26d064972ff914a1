"""Clones at the sites of each subject: a heat map of shares, and ribbons from the primary tumour on."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from rgbtrack.dynamics.plain import plain
from rgbtrack.plot.colours import OTHER, UNASSIGNED, hex_of, ink_on
from rgbtrack.plot.style import INK, new_figure, percent, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CLONE_SIZES

Colours = dict[int, tuple[float, float, float]]
SHOWN = 40
"""Clones that get a row of their own in the heat map."""
RIBBONS = 12
"""Clones that get a ribbon of their own."""
PANELS = 12
"""Subjects that get a panel of their own."""
_BLUES = ("#e8f0f8", "#c9ddf0", "#9ec5e3", "#6aa6d1", "#3c83bb", "#1b5f9d", "#0b3f76", "#08264d")
_BAR, _NO_CELLS = 0.17, "#f4f4f5"


def site_heatmap(
    sizes: pd.DataFrame,
    colours: Colours,
    *,
    first: str = "primary",
    control: str | None = None,
    shown: int = SHOWN,
) -> Figure:
    """Draw the share of every clone in every subject's sites, on a logarithmic scale.

    Parameters
    ----------
    sizes
        Clone sizes; the last timepoint with cells of each subject and site counts.
    colours
        From `clone_colours`; the chips beside the rows.
    first
        The site to begin with.
    control
        The treatment to begin with.
    shown
        Clones with a row of their own, the largest; the others are left out, and the title says so.

    Returns
    -------
    figure
        A row per clone, the largest on top; a column per subject, grouped by site and then by treatment. A
        dot is a clone of which no cell was seen; a column without any cell is hatched.
    """
    with style():
        table = _last(sizes)
        if table.empty:
            return say_nothing_to_draw("no cell was assigned to a clone at any site")
        sites = _ordered(table["site"], first)
        arms = _ordered(table["treatment"], control)
        known = table[["subject", "treatment"]].drop_duplicates()
        columns = [
            (site, arm, subject)
            for site in sites
            for arm in arms
            for subject in sorted(known.loc[known["treatment"] == arm, "subject"], key=_natural)
        ]
        share = table.pivot_table("fraction", "clone", ["site", "treatment", "subject"], aggfunc="sum")
        rank = share.fillna(0).mean(axis=1).sort_values(ascending=False, kind="stable")
        clones = list(rank.index[:shown])
        picture = share.reindex(index=clones, columns=pd.MultiIndex.from_tuples(columns)).to_numpy()
        positive = picture[picture > 0]
        low = 10 ** np.floor(np.log10(positive.min())) if len(positive) else 0.01
        cell = float(np.clip(7.5 / len(columns), 0.2, 0.6))
        height = float(np.clip(0.24 * len(clones), 1.2, 9.0))
        figure = new_figure(2.3 + max(cell * len(columns), 2.6), height + 1.7)
        axes = figure.add_subplot()
        image = axes.imshow(
            np.where(picture > 0, picture, np.nan),
            cmap=ListedColormap(_BLUES),
            norm=LogNorm(max(low, 1e-4), 1),
            aspect="auto",
            interpolation="nearest",
        )
        _mark_empty(axes, picture)
        _name_columns(axes, columns, sites, arms)
        axes.set_yticks(range(len(clones)), [wrap(clone, 12) for clone in clones])
        axes.tick_params(axis="both", length=0)
        axes.tick_params(axis="y", pad=14)
        _chips(axes, clones, colours)
        axes.set_ylabel("clone")
        bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 2.2 / height), aspect=12, anchor=(0, 1))
        percent(bar.ax)
        bar.ax.minorticks_off()
        bar.set_label("share of assigned cells")
        left_out = share.shape[0] - len(clones)
        more = f"; {left_out} smaller clones not shown" if left_out else ""
        figure.suptitle(
            f"Clones at each site (dot: none seen; hatched: no cells){more}",
            x=0.01,
            ha="left",
            fontsize=9.5,
            weight="bold",
        )
    return figure


def seeding_alluvial(
    sizes: pd.DataFrame,
    colours: Colours,
    *,
    order: Sequence[str] | None = None,
    by: str = "subject",
    control: str | None = None,
    shown: int = RIBBONS,
    panels: int = PANELS,
) -> Figure:
    """Draw how the clones of the primary tumour are found again in circulation and metastases.

    A ribbon leads from a clone's share at one site to its share at the next, in the clone's own colour. It
    says that the colour is at both sites, and how much of each it holds: not that cells went this way.

    Parameters
    ----------
    sizes
        Clone sizes; the last timepoint with cells of each subject and site counts.
    colours
        From `clone_colours`.
    order
        Sites from left to right; by default the primary, then blood or circulation, then the others by name.
    by
        Column that makes the panels: "subject", or "treatment" for the mean share over its subjects.
    control
        The treatment to begin with.
    shown
        Clones with a ribbon of their own, the largest anywhere; the smaller are pooled as "others".
    panels
        Subjects or treatments drawn; more are left out, and the title says so.

    Returns
    -------
    figure
        A panel per subject or treatment; bars are sites, with their cells above.
    """
    with style():
        table = _last(sizes)
        if table.empty:
            return say_nothing_to_draw("no cell was assigned to a clone at any site")
        sites = list(order) if order is not None else _by_flow(table["site"])
        table = table[table["site"].isin(sites)]
        top = table.groupby("clone")["fraction"].max().sort_values(ascending=False, kind="stable")
        own = sorted(top.index[:shown], key=lambda clone: (str(type(clone)), clone))
        names = _ordered(table[by], control)
        if by == "subject":
            arm_of = table.groupby("subject")["treatment"].first()
            names = sorted(names, key=lambda name: (arm_of[name] != control, str(arm_of[name])))
        drawn = names[:panels]
        columns = min(len(drawn), 3)
        rows = -(-len(drawn) // columns)
        each = max(2.4, 1.1 * len(sites))
        figure = new_figure(max(5.0, 1.3 + each * columns), 0.8 + 2.7 * rows)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, name in zip(grid, drawn, strict=False):
            part = table[table[by] == name]
            share = part.pivot_table("fraction", "clone", ["site", "subject"], aggfunc="sum").fillna(0)
            mean = share.T.groupby(level="site").mean().T if len(share) else share
            cells = part.groupby("site")["n_cells"].sum()
            _alluvium(axes, mean, sites, own, colours, cells)
            arm = part["treatment"].iloc[0]
            n = part["subject"].nunique()
            what = f"{wrap(name, 14)}, {wrap(arm, 16)}" if by == "subject" else f"{wrap(name)}  (n = {n})"
            axes.set_title(what)
        _clone_legend(figure, own, colours, len(top) - len(own))
        if len(names) > len(drawn):
            figure.suptitle(f"{len(drawn)} of {len(names)} shown", x=0.01, ha="left", fontsize=9)
    return figure


def _last(sizes: pd.DataFrame) -> pd.DataFrame:
    """Shares at the last timepoint with cells of each subject and site."""
    table = plain(sizes)
    CLONE_SIZES.check(table, need=["clone", "subject", "treatment", "timepoint", "n_cells"])
    place = ["subject", "treatment", "site"]
    total = table.groupby([*place, "timepoint"])["n_cells"].transform("sum")
    table = table.assign(fraction=table["n_cells"] / total.where(total > 0))[total > 0]
    return table[table["timepoint"] == table.groupby(place)["timepoint"].transform("max")]


def _ordered(names: pd.Series, first: str | None) -> list[Any]:
    return sorted(names.unique(), key=lambda name: (name != first, _natural(name)))


def _natural(name: Any) -> list[tuple[int, str]]:
    """Order in which m2 comes before m10."""
    parts = re.split(r"(\d+)", str(name))
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def _by_flow(sites: pd.Series) -> list[Any]:
    """Sites in the order in which cells pass them."""

    def place(name: Any) -> tuple[int, str]:
        word = str(name).lower()
        circulating = any(part in word for part in ("blood", "circul", "ctc"))
        return (0 if word == "primary" else 1 if circulating else 2, word)

    return sorted(sites.unique(), key=place)


def _mark_empty(axes: Any, picture: NDArray[np.float64]) -> None:
    """Put a dot where a clone was not seen, and hatch columns without cells."""
    seen = np.isfinite(picture).any(axis=0)
    y, x = np.nonzero(~(np.nan_to_num(picture) > 0) & seen)
    axes.plot(x, y, ".", color="#9aa1ab", markersize=2.5)
    for column in np.flatnonzero(~seen):
        axes.add_patch(
            Rectangle(
                (column - 0.5, -0.5),
                1,
                len(picture),
                facecolor=_NO_CELLS,
                edgecolor="#c3c8d0",
                hatch="////",
                linewidth=0,
            )
        )


def _name_columns(axes: Any, columns: list[tuple[Any, ...]], sites: list[Any], arms: list[Any]) -> None:
    """Subjects below, treatments below those, sites above; lines between sites."""
    n = len(columns) // len(sites)
    turned = n * len(sites) > 14 or max(len(str(c[2])) for c in columns) > 4
    axes.set_xticks(
        range(len(columns)),
        [wrap(column[2], 10) for column in columns],
        rotation=90 if turned else 0,
        fontsize=7.5,
    )
    for k, site in enumerate(sites):
        axes.text(
            k * n + (n - 1) / 2,
            -0.75,
            wrap(site, max(8, 3 * n)),
            ha="center",
            va="bottom",
            fontweight="bold",
            fontsize=9,
        )
        if k:
            axes.axvline(k * n - 0.5, color=INK, linewidth=1.4)
    of_arm = [column[1] for column in columns]
    low = -0.12 if turned else -0.075
    inches = axes.figure.get_size_inches()[0] - 2.3
    wide = 13 * inches / len(columns)
    start = 0
    for end in range(1, len(columns) + 1):
        if end < len(columns) and of_arm[end] == of_arm[start] and columns[end][0] == columns[start][0]:
            continue
        if len(arms) > 1:
            across = axes.get_xaxis_transform()
            y = low * 3.2 / axes.figure.get_size_inches()[1] - 0.02
            axes.plot(
                [start - 0.35, end - 0.65],
                [y, y],
                color=INK,
                linewidth=1,
                transform=across,
                clip_on=False,
            )
            axes.text(
                (start + end - 1) / 2,
                y - 0.01,
                wrap(of_arm[start], max(5, int(wide * (end - start)))),
                ha="center",
                va="top",
                fontsize=7.5,
                transform=across,
            )
            if end < len(columns) and columns[end][0] == columns[start][0]:
                axes.axvline(end - 0.5, color="white", linewidth=2)
        start = end


def _chips(axes: Any, clones: list[Any], colours: Colours) -> None:
    """Squares in the clones' colours between the numbers and the map."""
    beside = axes.get_yaxis_transform() + ScaledTranslation(-7 / 72, 0, axes.figure.dpi_scale_trans)
    for row, clone in enumerate(clones):
        axes.plot(
            0,
            row,
            "s",
            markersize=7,
            color=hex_of(_colour(clone, colours)),
            markeredgecolor=INK,
            markeredgewidth=0.4,
            transform=beside,
            clip_on=False,
        )


def _colour(clone: Any, colours: Colours) -> tuple[float, float, float]:
    return colours.get(clone, UNASSIGNED)


def _alluvium(
    axes: Any, share: pd.DataFrame, sites: list[Any], own: list[Any], colours: Colours, cells: pd.Series
) -> None:
    """Bars of one panel, and ribbons between neighbouring bars that have cells."""
    axes.set(xlim=(-0.3, len(sites) - 0.7), ylim=(-0.13, 1.1))
    pieces: dict[Any, dict[Any, tuple[float, float]]] = {}
    for x, site in enumerate(sites):
        if site not in share.columns:
            axes.add_patch(
                Rectangle((x - _BAR, 0), 2 * _BAR, 1, facecolor=_NO_CELLS, edgecolor="#c3c8d0", linewidth=0.8)
            )
            axes.text(
                x, 0.5, "no cells", rotation=90, ha="center", va="center", fontsize=7.5, color="#6b7280"
            )
        else:
            pieces[site] = _pieces(share[site], own)
            for clone, (low, high) in pieces[site].items():
                paint = OTHER if clone is None else _colour(clone, colours)
                axes.add_patch(
                    Rectangle(
                        (x - _BAR, low),
                        2 * _BAR,
                        high - low,
                        facecolor=hex_of(paint),
                        edgecolor=INK,
                        linewidth=0.4,
                        zorder=3,
                    )
                )
                if high - low >= 0.055:
                    axes.text(
                        x,
                        (low + high) / 2,
                        "others" if clone is None else wrap(clone, 6),
                        ha="center",
                        va="center",
                        fontsize=7,
                        color=ink_on(paint),
                        zorder=4,
                    )
            axes.text(x, 1.015, f"{int(cells[site]):,} cells", ha="center", va="bottom", fontsize=7)
        axes.text(x, -0.03, wrap(site, 14), ha="center", va="top", fontsize=8.5)
    there = [site for site in sites if site in pieces]
    for left, right in pairwise(there):
        x0, x1 = sites.index(left) + _BAR, sites.index(right) - _BAR
        for clone, (low, high) in pieces[left].items():
            if clone is not None and clone in pieces[right]:
                _ribbon(axes, (x0, low, high), (x1, *pieces[right][clone]), _colour(clone, colours))


def _pieces(share: pd.Series, own: list[Any]) -> dict[Any, tuple[float, float]]:
    """Where each clone of a bar lies, from the top; the pooled ones, None, at the bottom."""
    top = 1.0
    found: dict[Any, tuple[float, float]] = {}
    for clone in own:
        part = float(share.get(clone, 0.0))
        if part > 0:
            found[clone] = (top - part, top)
            top -= part
    if top > 1e-6:
        found[None] = (0.0, top)
    return found


def _ribbon(
    axes: Any,
    left: tuple[float, float, float],
    right: tuple[float, float, float],
    colour: tuple[float, float, float],
) -> None:
    (x0, low0, high0), (x1, low1, high1) = left, right
    middle = (x0 + x1) / 2
    curve, line, move = Path.CURVE4, Path.LINETO, Path.MOVETO
    path = Path(
        [
            *[(x0, high0), (middle, high0), (middle, high1), (x1, high1)],
            *[(x1, low1), (middle, low1), (middle, low0), (x0, low0), (x0, high0)],
        ],
        [move, curve, curve, curve, line, curve, curve, curve, line],
    )
    axes.add_patch(
        PathPatch(path, facecolor=hex_of(colour), edgecolor=INK, linewidth=0.3, alpha=0.55, zorder=2)
    )


def _clone_legend(figure: Figure, own: list[Any], colours: Colours, pooled: int) -> None:
    handles = [
        Rectangle(
            (0, 0), 1, 1, facecolor=hex_of(_colour(clone, colours)), edgecolor=INK, label=wrap(clone, 14)
        )
        for clone in own
    ]
    if pooled:
        label = f"others ({pooled})"
        handles.append(Rectangle((0, 0), 1, 1, facecolor=hex_of(OTHER), edgecolor=INK, label=label))
    for handle in handles:
        handle.set_linewidth(0.5)
    figure.legend(handles=handles, loc="outside right upper", title="clone")
