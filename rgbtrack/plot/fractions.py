"""Clone sizes over time: stacked by treatment, and subject by subject."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rgbtrack.plot.colours import OKABE_ITO, OTHER, UNASSIGNED, hex_of, ink_on
from rgbtrack.plot.style import INK, new_figure, percent, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CLONE_SIZES

SHOWN = 20
"""Clones that get a segment of their own."""
PANELS = 12
"""Clones that get a panel of their own."""
SHAPES = "osD^vPX"
SAMPLE = ["subject", "treatment", "timepoint", "site"]
Colours = dict[int, tuple[float, float, float]]


def stacked_fractions(
    sizes: pd.DataFrame,
    colours: Colours,
    *,
    by: str = "treatment",
    first: str | None = None,
    shown: int = SHOWN,
) -> Figure:
    """Draw what share of the cells each clone holds, over time, one panel per treatment.

    Bars, not bands: clones marked by colour have no parents, and nothing is drawn between timepoints.

    Parameters
    ----------
    sizes
        Clone sizes; see `rgbtrack.tables.CLONE_SIZES`.
    colours
        From `clone_colours`.
    by
        Column that makes the panels: "treatment", or "subject" where each subject has clones of its own.
    first
        The panel to begin with: the control.
    shown
        Clones with a segment of their own; the smaller are pooled.

    Returns
    -------
    figure
        One row of panels per site. Every subject weighs the same, however many of its cells were seen.
    """
    CLONE_SIZES.check(sizes, need=["clone", "n_cells", "fraction", *SAMPLE])
    sizes = sizes[sizes["fraction"].notna()]
    with style():
        if sizes.empty:
            return say_nothing_to_draw("no cell was assigned to a clone")
        panels = in_order(sizes[by], first)
        sites = in_order(sizes["site"], "primary")
        times = sorted(sizes["timepoint"].unique())
        mean = sizes.groupby(["site", by, "timepoint", "clone"])["fraction"].mean()
        ranked = mean.groupby("clone").mean().sort_values(ascending=False, kind="stable")
        order = sorted(ranked.index[:shown])
        columns = min(len(panels), 4)
        rows = len(sites) * int(np.ceil(len(panels) / columns))
        figure = new_figure(max(4.6, 1.2 + columns * (1.3 + 0.42 * len(times))), 0.6 + 3.1 * rows)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        slots = [(site, panel) for site in sites for panel in _padded(panels, columns)]
        for axes, (site, panel) in zip(grid, slots, strict=True):
            samples = sizes[(sizes["site"] == site) & (sizes[by] == panel)]
            if panel is None or samples.empty:
                axes.set_axis_off()
                continue
            _stack(axes, mean[site][panel], times, order, colours)
            subjects = samples["subject"].nunique()
            what = wrap(panel) if len(sites) == 1 else f"{wrap(panel, 18)}, {wrap(site, 18)}"
            axes.set_title(what + (f"  (n = {subjects})" if by != "subject" else ""))
            axes.set_xlabel("timepoint (d)")
        for axes in grid[::columns]:
            axes.set_ylabel("share of assigned cells")
        handles = [
            Patch(
                facecolor=hex_of(colours.get(int(n), UNASSIGNED)), edgecolor=INK, linewidth=0.5, label=str(n)
            )
            for n in order
        ]
        pooled = sizes["clone"].nunique() - len(order)
        if pooled:
            handles.append(
                Patch(facecolor=hex_of(OTHER), edgecolor=INK, linewidth=0.5, label=f"{pooled} smaller")
            )
        figure.legend(
            handles=handles, loc="outside right upper", title="clone", ncols=1 + (len(handles) > 11 * rows)
        )
    return figure


def fraction_dots(
    sizes: pd.DataFrame,
    colours: Colours,
    *,
    first: str | None = None,
    panels: int = PANELS,
) -> Figure:
    """Draw the share of each of the largest clones in every subject, with its counting interval.

    Parameters
    ----------
    sizes
        Clone sizes of one site.
    colours
        From `clone_colours`; the chip beside a panel's title.
    first
        The treatment to begin with: the control.
    panels
        How many clones are shown.

    Returns
    -------
    figure
        One panel per clone; a dot is a subject, its bar the 95 % interval from counting cells; the short line
        is the mean of the subjects.
    """
    CLONE_SIZES.check(sizes)
    sizes = sizes[sizes["fraction"].notna()]
    with style():
        if sizes.empty:
            return say_nothing_to_draw("no cell was assigned to a clone")
        mean = sizes.groupby("clone")["fraction"].mean().sort_values(ascending=False, kind="stable")
        clones = sorted(mean.index[:panels])
        figure, grid = _panels(len(clones), sizes)
        for axes, clone in zip(grid, clones, strict=True):
            _dots(
                axes, sizes[sizes["clone"] == clone], first, "fraction", in_order(sizes["treatment"], first)
            )
            axes.set_title(f"clone {clone}").set_x(0.075)
            axes.plot(
                0.025,
                1.075,
                "s",
                markersize=8,
                color=hex_of(colours.get(int(clone), UNASSIGNED)),
                markeredgecolor=INK,
                markeredgewidth=0.5,
                transform=axes.transAxes,
                clip_on=False,
            )
            percent(axes)
        _finish(figure, grid, sizes, first, "share of assigned cells")
    return figure


def cell_numbers(sizes: pd.DataFrame, *, first: str | None = None) -> Figure:
    """Draw how many cells were assigned to clones in every subject.

    Shares cannot tell growth: one clone's gain is the others' loss. Numbers can, where the same volume was
    imaged each time.

    Parameters
    ----------
    sizes
        Clone sizes.
    first
        The treatment to begin with: the control.

    Returns
    -------
    figure
        One panel per site, a dot per subject.
    """
    CLONE_SIZES.check(sizes, need=["clone", "n_cells", *SAMPLE])
    with style():
        if sizes.empty:
            return say_nothing_to_draw("no cell was assigned to a clone")
        total = sizes.groupby(SAMPLE)["n_cells"].sum().reset_index()
        sites = in_order(total["site"], "primary")
        figure, grid = _panels(len(sites), total)
        for axes, site in zip(grid, sites, strict=True):
            treatments = in_order(total["treatment"], first)
            _dots(axes, total[total["site"] == site], first, "n_cells", treatments)
            if len(sites) > 1:
                axes.set_title(wrap(site))
        _finish(figure, grid, total, first, "assigned cells")
    return figure


def _stack(
    axes: Any, mean: pd.Series, times: Sequence[float], order: Sequence[Any], colours: Colours
) -> None:
    """One bar per timepoint; the number of a clone is written where it fits."""
    table = mean.reset_index().pivot_table("fraction", "clone", "timepoint").reindex(columns=list(times))
    bottom = np.zeros(len(times))
    for clone in order:
        height = table.loc[clone].fillna(0).to_numpy() if clone in table.index else np.zeros(len(times))
        colour = colours.get(int(clone), UNASSIGNED)
        axes.bar(range(len(times)), height, 0.8, bottom, color=hex_of(colour), edgecolor=INK, linewidth=0.4)
        for x, (low, high) in enumerate(zip(bottom, height, strict=True)):
            if high >= 0.05:
                axes.text(
                    x, low + high / 2, clone, ha="center", va="center", fontsize=7.5, color=ink_on(colour)
                )
        bottom += height
    seen = table.notna().any().to_numpy()
    rest = np.where(seen, 1 - bottom, 0).clip(min=0)
    axes.bar(range(len(times)), rest, 0.8, bottom, color=hex_of(OTHER), edgecolor=INK, linewidth=0.4)
    for empty in np.flatnonzero(~seen):
        axes.text(
            empty, 0.02, "no data", ha="center", va="bottom", rotation=90, fontsize=7.5, color="#6b7280"
        )
    axes.set_xticks(range(len(times)), [f"{time:g}" for time in times])
    axes.set_xlim(-0.6, len(times) - 0.4)
    axes.set_ylim(0, 1)
    percent(axes)


def _dots(axes: Any, sizes: pd.DataFrame, first: str | None, value: str, treatments: list[Any]) -> None:
    """Dots of every subject, treatments side by side at each timepoint."""
    times = sorted(sizes["timepoint"].unique())
    several = len(times) > 1
    width = 0.8 / len(treatments)
    for k, treatment in enumerate(treatments):
        rows = sizes[sizes["treatment"] == treatment]
        paint, shape = OKABE_ITO[k % len(OKABE_ITO)], SHAPES[k % len(SHAPES)]
        subjects = sorted(rows["subject"].unique())
        centre = (k - (len(treatments) - 1) / 2) * width if several else float(k)
        spread = width if several else 0.6
        for s, subject in enumerate(subjects):
            own = rows[rows["subject"] == subject].sort_values("timepoint")
            slot = np.array([times.index(time) if several else 0 for time in own["timepoint"]])
            x = slot + centre + spread * ((s + 0.5) / len(subjects) - 0.5) * 0.7
            y = own[value].to_numpy()
            if value == "fraction":
                axes.vlines(
                    x, own["fraction_low"], own["fraction_high"], color=paint, linewidth=1, alpha=0.55
                )
            axes.plot(x, y, linewidth=0.5, color=paint, alpha=0.35)
            axes.plot(x, y, shape, markersize=4, color=paint, markeredgecolor="white", markeredgewidth=0.4)
        for time, mean in rows.groupby("timepoint")[value].mean().items():
            middle = (times.index(time) if several else 0) + centre
            axes.hlines(mean, middle - spread * 0.42, middle + spread * 0.42, color=paint, linewidth=1.8)
    if several:
        axes.set_xticks(range(len(times)), [f"{time:g}" for time in times])
        axes.set_xlim(-0.55, len(times) - 0.45)
    else:
        axes.set_xticks(range(len(treatments)), [wrap(name, 12) for name in treatments])
        axes.set_xlim(-0.6, len(treatments) - 0.4)
    axes.set_ylim(0, 1.04 * max(axes.get_ylim()[1], 1e-3))
    axes.grid(axis="y")


def _panels(n: int, sizes: pd.DataFrame) -> tuple[Figure, list[Any]]:
    """Make a figure with n panels, at most four beside each other."""
    treatments, times = sizes["treatment"].nunique(), sizes["timepoint"].nunique()
    columns = min(n, 4)
    rows = int(np.ceil(n / columns))
    each = float(np.clip(1.0 + 0.28 * treatments * times, 2.4, 4.5))
    figure = new_figure(max(4.6, 0.5 + columns * each), 0.8 + 2.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[n:]:
        axes.set_axis_off()
    return figure, list(grid[:n])


def _finish(figure: Figure, grid: list[Any], sizes: pd.DataFrame, first: str | None, what: str) -> None:
    several = len(set(sizes["timepoint"])) > 1
    for axes in grid:
        axes.set_xlabel("timepoint (d)" if several else "treatment")
    columns = min(len(grid), 4)
    for axes in grid[::columns]:
        axes.set_ylabel(what)
    handles = [
        Line2D([], [], color=OKABE_ITO[k % 7], marker=SHAPES[k % 7], linewidth=1.8, label=wrap(name, 40))
        for k, name in enumerate(in_order(sizes["treatment"], first))
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)))


def in_order(names: pd.Series, first: str | None) -> list[Any]:
    """Return the names in order, the given one first."""
    found = sorted(names.unique())
    return sorted(found, key=lambda name: name != first)


def _padded(panels: list[Any], columns: int) -> list[Any]:
    return panels + [None] * (-len(panels) % columns)
