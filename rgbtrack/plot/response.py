"""Responses of clones to a treatment: effects with intervals, and effects against evidence."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgbtrack.plot.colours import OKABE_ITO, UNASSIGNED
from rgbtrack.plot.style import FAINT, INK, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CLONE_RESPONSE

FOUND = 0.1
"""False discovery rate up to which a response is shown as found."""
ROWS = 40
"""Clones that get a row of their own."""
_MARK = OKABE_ITO[1]


def response_forest(
    response: pd.DataFrame, colours: dict[Any, Any] | None = None, *, rows: int = ROWS
) -> Figure:
    """Draw the effect of each treatment on each clone with its interval, largest clones on top.

    Parameters
    ----------
    response
        From `clone_response`, of one site.
    colours
        From `clone_colours`; grey for clones that it does not hold.
    rows
        Clones that are shown, at most.

    Returns
    -------
    figure
        One panel per treatment.
    """
    CLONE_RESPONSE.check(
        response, need=["clone", "treatment", "effect", "low", "high", "q_value", "n_subjects"]
    )
    tested = response.dropna(subset=["effect"])
    with style():
        if tested.empty:
            return say_nothing_to_draw("no clone could be tested")
        treatments = list(dict.fromkeys(tested["treatment"]))
        n = min(tested["clone"].nunique(), rows)
        figure = new_figure(max(4.6, 1.0 + 3.3 * len(treatments)), 1.5 + 0.21 * n)
        panels = figure.subplots(1, len(treatments), sharey=True, sharex=True, squeeze=False)[0]
        for axes, treatment in zip(panels, treatments, strict=True):
            part = tested[tested["treatment"] == treatment]
            draw_forest(axes, part.head(rows), colours or {})
            axes.set_title(f"{wrap(treatment, 36)}\n({part['n_subjects'].iloc[0]:.0f} subjects, both sides)")
        panels[0].set_ylabel("clone")
        reach = 1.08 * float(np.nanmax(np.abs(tested[["low", "high"]].to_numpy(float))))
        panels[0].set_xlim(-reach, reach)
        handles = [
            Line2D([], [], color=_MARK, linewidth=2, label=f"found (q < {FOUND:g})"),
            Line2D([], [], color=INK, linewidth=1, label="not found"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def draw_forest(axes: Axes, response: pd.DataFrame, colours: dict[Any, Any]) -> Axes:
    """Draw effects with intervals of one treatment into axes, first row on top.

    Parameters
    ----------
    axes
        Where to draw.
    response
        Tested clones of one treatment and site, see `tables.CLONE_RESPONSE`.
    colours
        Clone to (red, green, blue).

    Returns
    -------
    axes
        As given.
    """
    y = np.arange(len(response))
    found = (response["q_value"] < FOUND).to_numpy()
    axes.axvline(0, color=INK, linewidth=0.8, zorder=0)
    for rows, colour, width in ((~found, INK, 1.0), (found, _MARK, 2.2)):
        axes.hlines(
            y[rows], response["low"][rows], response["high"][rows], color=colour, linewidth=width, zorder=1
        )
    chips = [colours.get(clone, UNASSIGNED) for clone in response["clone"]]
    axes.scatter(response["effect"], y, s=34, c=chips, edgecolors=INK, linewidths=0.9, zorder=2)
    axes.set_yticks(y, [wrap(clone, 14) for clone in response["clone"]])
    axes.set_ylim(len(response) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.set_xlabel("change of share, log2 (1 = doubled)\nrelative to most clones, 95 % interval")
    return axes


def response_volcano(response: pd.DataFrame, colours: dict[Any, Any] | None = None) -> Figure:
    """Draw effect against evidence of every clone, one panel per treatment.

    Parameters
    ----------
    response, colours
        As for `response_forest`.

    Returns
    -------
    figure
        Numbers name the clones that were found.
    """
    CLONE_RESPONSE.check(response, need=["clone", "treatment", "effect", "p_value", "q_value"])
    tested = response.dropna(subset=["p_value"])
    with style():
        if tested.empty:
            return say_nothing_to_draw("no clone could be tested")
        treatments = list(dict.fromkeys(tested["treatment"]))
        figure = new_figure(max(4.4, 0.8 + 3.4 * len(treatments)), 3.6)
        panels = figure.subplots(1, len(treatments), sharey=True, sharex=True, squeeze=False)[0]
        for axes, treatment in zip(panels, treatments, strict=True):
            draw_volcano(axes, tested[tested["treatment"] == treatment], colours or {})
            axes.set_title(wrap(treatment, 30))
        panels[0].set_ylabel("evidence, -log10 p")
        reach = 1.25 * max(float(tested["effect"].abs().max()), 0.5)
        panels[0].set_xlim(-reach, reach)
        panels[0].set_ylim(0, 1.12 * max(float(-np.log10(tested["p_value"].min() + 1e-12)), 2.0))
    return figure


def draw_volcano(axes: Axes, response: pd.DataFrame, colours: dict[Any, Any]) -> Axes:
    """Draw effect against evidence of one treatment into axes.

    Parameters
    ----------
    axes
        Where to draw.
    response
        Tested clones of one treatment and site, see `tables.CLONE_RESPONSE`.
    colours
        Clone to (red, green, blue).

    Returns
    -------
    axes
        As given.
    """
    evidence = -np.log10(np.maximum(response["p_value"].to_numpy(float), 1e-12))
    found = (response["q_value"] < FOUND).to_numpy()
    chips = np.array([colours.get(clone, UNASSIGNED) for clone in response["clone"]], dtype=float)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=0)
    axes.scatter(
        response["effect"],
        evidence,
        s=np.where(found, 60, 26),
        c=chips,
        edgecolors=INK,
        linewidths=0.9,
        zorder=2,
    )
    for clone, x, y in zip(response["clone"][found], response["effect"][found], evidence[found], strict=True):
        axes.annotate(wrap(clone, 14), (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8.5)
    if found.any() and not found.all():
        line = (evidence[found].min() + evidence[~found].max()) / 2
        axes.axhline(line, color=_MARK, linewidth=1, linestyle="--", zorder=1)
        axes.annotate(
            f"q < {FOUND:g} above",
            (0.99, line),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    elif not found.any():
        axes.text(
            0.98, 0.97, f"none with q < {FOUND:g}", ha="right", va="top", transform=axes.transAxes, fontsize=8
        )
    axes.grid(axis="both")
    axes.set_xlabel("change of share, log2 (1 = doubled)\nrelative to most clones")
    return axes
