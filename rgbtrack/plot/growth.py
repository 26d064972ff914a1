"""Growth of clones: sizes over time on a logarithmic axis, and the rates."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from rgbtrack.dynamics import SAMPLE
from rgbtrack.dynamics.plain import plain
from rgbtrack.plot.bands import WORDS
from rgbtrack.plot.colours import OKABE_ITO, RGB, UNASSIGNED, hex_of
from rgbtrack.plot.fractions import PANELS, SHAPES
from rgbtrack.plot.groups import in_order
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, say_share, style, wrap
from rgbtrack.tables import CLONE_SIZES, GROWTH_BY_TREATMENT

UNSEEN = -np.log(0.05)
"""A clone that is not seen is drawn where its cells would be that number: missed in one case of twenty."""


def growth_curves(
    sizes: pd.DataFrame,
    colours: dict[Any, RGB] | None = None,
    *,
    value: Literal["fraction", "absolute_cells"] = "fraction",
    first: str | None = None,
    panels: int = PANELS,
) -> Figure:
    """Draw the size of each of the largest clones over time, on a logarithmic axis.

    Parameters
    ----------
    sizes
        Clone sizes of one site.
    colours
        From `clone_colours`; the chip beside a panel's title.
    value
        Share, or cells of the whole sample, where totals are known.
    first
        The treatment to begin with: the control.
    panels
        How many clones are shown.

    Returns
    -------
    figure
        One panel per clone: a thin line is a subject, the thick one the mean of logarithms. Where a clone was
        not seen, an open mark stands at the detection limit: about three cells.
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=[*SAMPLE, "n_cells", value])
    rows = at_least_limit(sizes, value)
    with style():
        if rows.empty:
            return say_nothing_to_draw("no cell was assigned to a clone, or no total is known")
        clones = largest(rows, panels)
        treatments = in_order(rows["treatment"], first)
        columns = min(len(clones), 4)
        n = int(np.ceil(len(clones) / columns))
        figure = new_figure(max(4.6, 0.5 + 2.5 * columns), 0.8 + 2.1 * n)
        grid = figure.subplots(n, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for axes, clone in zip(grid, clones, strict=False):
            of = rows[rows["clone"] == clone]
            for k, treatment in enumerate(treatments):
                _curves(axes, of[of["treatment"] == treatment], OKABE_ITO[k % 7])
            title(axes, clone, colours)
        for axes in grid[len(clones) :]:
            axes.set_axis_off()
        _finish(figure, grid[: len(clones)], columns, rows, value)
        figure.legend(
            handles=[*legend(treatments), limit_mark()], loc="outside upper left", ncols=len(treatments) + 1
        )
    return figure


def growth_rates(
    growth: pd.DataFrame,
    colours: dict[Any, RGB] | None = None,
    *,
    first: str | None = None,
) -> Figure:
    """Draw the mean growth rate of every clone in every treatment, with its interval.

    Parameters
    ----------
    growth
        From `growth_by_treatment`, of one site.
    colours
        From `clone_colours`; the chips beside the names.
    first
        The treatment to begin with: the control.

    Returns
    -------
    figure
        One row per clone. A star marks q < .05 of the difference from the control.
    """
    GROWTH_BY_TREATMENT.check(growth, need=["treatment", "kind", "rate_per_d", "q_value"])
    growth = growth[growth["rate_per_d"].notna()]
    with style():
        if growth.empty:
            return say_nothing_to_draw("no clone has a growth rate")
        clones = in_order(growth["clone"])
        treatments = in_order(growth["treatment"], first)
        figure = new_figure(5.6, 1.1 + len(clones) * (0.12 + 0.11 * len(treatments)))
        axes = figure.add_subplot()
        for k, treatment in enumerate(treatments):
            of = growth[growth["treatment"] == treatment]
            y = np.array([clones.index(clone) for clone in of["clone"]])
            y = y + (k - (len(treatments) - 1) / 2) * 0.7 / len(treatments)
            paint = OKABE_ITO[k % 7]
            axes.hlines(y, of["rate_low_per_d"], of["rate_high_per_d"], color=paint, linewidth=1.2)
            axes.plot(of["rate_per_d"], y, SHAPES[k % 7], markersize=4.5, color=paint, label=wrap(treatment))
            for at, high, rate, q in zip(
                y, of["rate_high_per_d"], of["rate_per_d"], of["q_value"], strict=True
            ):
                if q < 0.05:
                    end = high if np.isfinite(high) else rate
                    axes.text(end, at, " *", color=paint, va="center_baseline", fontsize=10)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(clones)), [wrap(clone, 16) for clone in clones])
        axes.set_ylim(len(clones) - 0.4, -0.6)
        axes.set_ylabel("clone", labelpad=12 if colours else None)
        if colours:
            for i, clone in enumerate(clones):
                colour = colours.get(clone, UNASSIGNED)
                _chip(axes, -0.018, i, colour, axes.get_yaxis_transform(), 6)
            axes.tick_params(axis="y", length=0, pad=14)
        relative = set(growth["kind"]) == {"relative"}
        axes.set_xlabel(
            "growth rate over the mean of the clones (1/d)" if relative else "growth rate of cells (1/d)"
        )
        axes.grid(axis="x")
        figure.legend(loc="outside upper left", ncols=min(4, len(treatments)))
        if (growth["q_value"] < 0.05).any():
            axes.text(1, 1.01, "* q < .05", transform=axes.transAxes, ha="right", va="bottom", fontsize=8)
    return figure


def at_least_limit(sizes: pd.DataFrame, value: str) -> pd.DataFrame:
    """Rows with ``shown``, the value or, where no cell was seen, its detection limit, and ``seen``."""
    total = sizes.groupby(SAMPLE)["n_cells"].transform("sum")
    scale = 1 / total.where(total > 0)
    if value != "fraction":
        scale = sizes["scale"] if "scale" in sizes.columns else sizes[value] / sizes["n_cells"]
        scale = scale.groupby([sizes[name] for name in SAMPLE]).transform("max")
    seen = sizes["n_cells"] > 0
    limit = np.minimum(UNSEEN, total) * scale
    rows = sizes.assign(shown=sizes[value].where(seen, limit), seen=seen)
    return rows[rows["shown"].notna() & (total > 0)]


def largest(rows: pd.DataFrame, n: int) -> list[Any]:
    """The n largest clones, by their mean share, in order of their names."""
    share = rows["n_cells"] / rows.groupby(SAMPLE)["n_cells"].transform("sum")
    mean = share.groupby(rows["clone"]).mean().sort_values(ascending=False, kind="stable")
    return in_order(mean.index[mean > 0][:n])


def title(axes: Any, clone: Any, colours: dict[Any, RGB] | None) -> None:
    """Name the clone of a panel, with a chip of its colour."""
    name = f"clone {clone}" if isinstance(clone, int | np.integer) else wrap(clone, 16)
    text = axes.set_title(name)
    if colours is not None:
        text.set_x(0.075)
        beside = ScaledTranslation(5 / 72, 9.5 / 72, axes.figure.dpi_scale_trans)
        _chip(axes, 0, 1, colours.get(clone, UNASSIGNED), axes.transAxes + beside, 8)


def _chip(axes: Any, x: float, y: float, colour: RGB, transform: Any, size: float) -> None:
    axes.plot(
        x,
        y,
        "s",
        markersize=size,
        color=hex_of(colour),
        markeredgecolor=INK,
        markeredgewidth=0.5,
        transform=transform,
        clip_on=False,
    )


def legend(treatments: list[Any]) -> list[Line2D]:
    """A line of each treatment's colour."""
    return [
        Line2D([], [], color=OKABE_ITO[k % 7], linewidth=2.2, label=wrap(name, 40))
        for k, name in enumerate(treatments)
    ]


def limit_mark() -> Line2D:
    """The mark of a clone that was not seen."""
    return Line2D(
        [], [], linestyle="", marker="v", markerfacecolor="white", color=INK, markersize=4, label="not seen"
    )


def _curves(axes: Any, rows: pd.DataFrame, paint: str) -> None:
    """Curves of one clone under one treatment."""
    for _, of in rows.groupby("subject"):
        of = of.sort_values("timepoint")
        seen = of["seen"].to_numpy()
        axes.plot(of["timepoint"], of["shown"].where(seen), color=paint, linewidth=0.7, alpha=0.5)
        for part, shape, face in ((of[seen], "o", paint), (of[~seen], "v", "white")):
            axes.plot(
                part["timepoint"],
                part["shown"],
                shape,
                color=paint,
                markerfacecolor=face,
                markersize=2.5 if shape == "o" else 4,
                markeredgewidth=0.7,
                linestyle="",
                alpha=0.7,
            )
    mean = rows["shown"].where(rows["seen"], 0.0).groupby(rows["timepoint"]).mean()
    axes.plot(mean.index, mean.where(mean > 0), color=paint, linewidth=2.2, solid_capstyle="round")


def _finish(figure: Figure, grid: Any, columns: int, rows: pd.DataFrame, value: str) -> None:
    """Axes of all panels."""
    times = sorted(rows["timepoint"].unique())
    log_scale(grid[0], say=say_share if value == "fraction" else "{:,.6g}".format)
    for i, axes in enumerate(grid):
        axes.grid(axis="y")
        axes.set_xticks(times, [f"{time:g}" for time in times])
        if i + columns >= len(grid):
            axes.set_xlabel("timepoint (d)")
            axes.tick_params(labelbottom=True)
        if i % columns == 0:
            axes.set_ylabel(WORDS[value])
