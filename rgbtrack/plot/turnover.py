"""Turnover: how alike a subject's clones are from one timepoint to the next."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rgbtrack.dynamics import turnover_by_treatment
from rgbtrack.errors import ParamError
from rgbtrack.plot.groups import in_order, looks, name_treatments, say, shown_sites
from rgbtrack.plot.style import INK, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import SUBJECT_SIMILARITY, TURNOVER

MEASURES = {
    "morisita_horn": "similarity (Morisita-Horn)",
    "shared_fraction": "shared fraction of cells",
    "jensen_shannon": "similarity (Jensen-Shannon)",
}
GREY = "#9aa1ac"
ROOM = 32
"""Letters that fit below a panel."""


def plot_turnover(
    turnover: pd.DataFrame,
    similarity: pd.DataFrame | None = None,
    *,
    first: str | None = None,
    measure: str = "morisita_horn",
) -> Figure:
    """Draw how alike consecutive timepoints are in every subject, and what counting alone would give.

    Parameters
    ----------
    turnover
        From `rgbtrack.clone_turnover`.
    similarity
        From `rgbtrack.dynamics.subject_similarity`: how alike different subjects are, as a grey band.
    first
        The treatment to begin with: the control.
    measure
        "morisita_horn", "shared_fraction" or "jensen_shannon".

    Returns
    -------
    figure
        One panel per site. Dots are subjects, filled where the change is more than counting (p < .05); thick
        lines the mean of a treatment with its interval over subjects.

    Raises
    ------
    ParamError
        If there is no such measure.
    """
    if measure not in MEASURES:
        raise ParamError(f"measure is {measure!r}: give one of {', '.join(MEASURES)}")
    TURNOVER.check(turnover, need=["subject", "treatment", "site", "timepoint", "next_timepoint", measure])
    with style():
        if turnover.empty:
            return say_nothing_to_draw("no subject has clones at two timepoints of one site")
        sites, left_out = shown_sites(turnover)
        treatments = in_order(turnover["treatment"], first)
        means = turnover_by_treatment(turnover)
        means = means[means["measure"] == measure]
        columns = min(len(sites), 3)
        steps = max(
            len(rows.drop_duplicates(["timepoint", "next_timepoint"])) for _, rows in _by_site(turnover)
        )
        width = float(np.clip(0.4 + 0.3 * steps * (len(treatments) + 1), 2.6, 5.5))
        figure = new_figure(max(columns * width + 0.8, 5.6), 2.6 * int(np.ceil(len(sites) / columns)) + 1.2)
        grid = figure.subplots(
            int(np.ceil(len(sites) / columns)), columns, squeeze=False, sharey=True
        ).ravel()
        for axes in grid[len(sites) :]:
            axes.set_axis_off()
        more: list[Any] = [Line2D([], [], color=INK, linestyle=":", linewidth=1.4, label="counting alone")]
        for axes, site in zip(grid, sites, strict=False):
            rows = turnover[turnover["site"] == site]
            if similarity is not None and len(similarity):
                _between(axes, similarity[similarity["site"] == site], measure)
            _panel(axes, rows, means[means["site"] == site], treatments, measure)
            if len(sites) > 1:
                axes.set_title(wrap(site))
            axes.set_xlabel("from one timepoint to the next (d)")
        lowest = min(line.get_ydata().min() for axes in grid for line in axes.lines if len(line.get_ydata()))
        lowest = min([lowest, *means["low"].dropna()])
        grid[0].set_ylim(max(0.0, np.floor(10 * lowest - 0.5) / 10), 1.02)
        for axes in grid[::columns]:
            axes.set_ylabel(MEASURES[measure])
        if similarity is not None and len(similarity):
            SUBJECT_SIMILARITY.check(similarity, need=["site", measure])
            more.append(Patch(color=GREY, alpha=0.35, label="between subjects"))
        name_treatments(figure, treatments, more)
        band = " Grey: middle 80 % of pairs of subjects at one timepoint." if len(more) > 1 else ""
        say(
            figure,
            f"{left_out}1 is no change. A dot is a subject, filled where the change is more than counting "
            f"(p < .05); thick: mean, 95 % interval over subjects. Dotted: mean if nothing changed but which "
            f"cells were counted.{band}",
        )
    return figure


def _by_site(turnover: pd.DataFrame) -> Any:
    return turnover.groupby("site", observed=True)


def _between(axes: Axes, pairs: pd.DataFrame, measure: str) -> None:
    if len(pairs):
        low, high = pairs[measure].quantile([0.1, 0.9])
        axes.axhspan(low, high, color=GREY, alpha=0.35, linewidth=0, zorder=0)


def _panel(axes: Axes, rows: pd.DataFrame, means: pd.DataFrame, treatments: list[Any], measure: str) -> None:
    steps = sorted(set(zip(rows["timepoint"], rows["next_timepoint"], strict=True)))
    width = 0.8 / len(treatments)
    for k, treatment in enumerate(treatments):
        colour, shape = looks(treatments)[treatment]
        own = rows[rows["treatment"] == treatment]
        centre = (k - (len(treatments) - 1) / 2) * width
        subjects = in_order(own["subject"])
        for s, subject in enumerate(subjects):
            its = own[own["subject"] == subject].sort_values("timepoint")
            spread = 0.6 * width * ((s + 0.5) / len(subjects) - 0.5)
            x = np.array([steps.index(step) for step in _pairs(its)]) + centre + spread
            axes.plot(x, its[measure], linewidth=0.5, color=colour, alpha=0.3)
            changed = (its["p_value"].astype(float) < 0.05).to_numpy()
            for part, fill in ((changed, colour), (~changed, "white")):
                axes.plot(
                    x[part],
                    its[measure].to_numpy()[part],
                    shape,
                    markersize=4,
                    color=colour,
                    mfc=fill,
                    mew=0.8,
                )
        for row in means[means["treatment"] == treatment].itertuples():
            middle = steps.index((row.timepoint, row.next_timepoint)) + centre
            axes.hlines(row.mean, middle - 0.4 * width, middle + 0.4 * width, color=colour, linewidth=2)
            axes.vlines(middle, row.low, row.high, color=colour, linewidth=1.6)
        chance = own.groupby(["timepoint", "next_timepoint"])[f"{measure}_by_chance"].mean()
        for step, value in chance.items():
            middle = steps.index(step) + centre
            axes.hlines(value, middle - 0.45 * width, middle + 0.45 * width, color=INK, linewidth=1.4, ls=":")
    names = [f"{start:g} to {stop:g}" for start, stop in steps]
    axes.set_xticks(range(len(steps)), names)
    if len("".join(names)) > ROOM:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right")
    axes.set_xlim(-0.55, len(steps) - 0.45)
    axes.grid(axis="y")


def _pairs(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return list(zip(rows["timepoint"], rows["next_timepoint"], strict=True))
