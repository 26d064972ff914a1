"""Treatments, sites and timepoints side by side: the same order and look in every figure of diversity."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import wrap

SHAPES = "osD^vPX"
ROWS = 6
"""Sites that get a row of panels."""


def in_order(names: Iterable[Any], first: str | None = None) -> list[Any]:
    """Return the names once each, in order, the given one first.

    >>> in_order(["drug", "vehicle", "drug"], "vehicle")
    ['vehicle', 'drug']
    """
    found = list(dict.fromkeys(names))
    plain = sorted(found) if len({type(name) for name in found}) == 1 else sorted(found, key=str)
    return sorted(plain, key=lambda name: str(name) != str(first))


def looks(treatments: Sequence[Any]) -> dict[Any, tuple[str, str]]:
    """Colour and shape of each treatment."""
    return {
        name: (OKABE_ITO[k % len(OKABE_ITO)], SHAPES[k % len(SHAPES)]) for k, name in enumerate(treatments)
    }


def shown_sites(table: pd.DataFrame) -> tuple[list[Any], str]:
    """Sites that are drawn, those of most timepoints first, and what to say of the others."""
    times = table.groupby("site", observed=True)["timepoint"].nunique()
    sites = sorted(times.index, key=lambda site: (site != "primary", -times[site], str(site)))
    more = len(sites) - ROWS
    return sites[:ROWS], f"{more} further sites are not drawn. " if more > 0 else ""


def name_treatments(figure: Figure, treatments: Sequence[Any], more: Sequence[Any] = ()) -> None:
    """Legend above the panels: of treatments, where there are several."""
    handles = [
        Line2D([], [], color=colour, marker=shape, linewidth=1.8, label=wrap(name, 40))
        for name, (colour, shape) in looks(treatments).items()
        if len(treatments) > 1
    ]
    handles += list(more)
    if not handles:
        return
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    columns = max(1, int(figure.get_figwidth() / (0.6 + 0.075 * longest)))
    figure.legend(handles=handles, loc="outside upper left", ncols=min(columns, len(handles)))


def say(figure: Figure, text: str) -> None:
    """Caption below the panels, as wide as the figure."""
    width = int(figure.get_figwidth() * 15.5)
    figure.supxlabel(textwrap.fill(text, width), x=0.01, ha="left", fontsize=8, color="#4b5563")


def time_axis(axes: Axes, times: Sequence[float]) -> None:
    """Tick the timepoints that there are, where they do not crowd."""
    if len(times) <= 8:
        span = max(times) - min(times)
        kept: list[float] = []
        for time in times:
            if not kept or time - kept[-1] >= 0.07 * span:
                kept.append(time)
        axes.set_xticks(kept, [f"{time:g}" for time in kept])
    axes.set_xlabel("timepoint (d)")
