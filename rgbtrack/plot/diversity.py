"""Diversity of clones over time: how many, how many common, how many dominant."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgbtrack.dynamics import diversity_by_treatment
from rgbtrack.plot.groups import in_order, looks, name_treatments, say, shown_sites, time_axis
from rgbtrack.plot.style import new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import DIVERSITY

TITLES = {0: "order 0: all clones", 1: "order 1: common clones", 2: "order 2: dominant clones"}


def plot_diversity(
    diversity: pd.DataFrame, *, first: str | None = None, measure: str = "standardised"
) -> Figure:
    """Draw the Hill numbers of every subject over time, and the mean of each treatment.

    Parameters
    ----------
    diversity
        From `rgbtrack.clone_diversity`.
    first
        The treatment to begin with: the control.
    measure
        "standardised", "observed" or "estimated".

    Returns
    -------
    figure
        One panel per order and site. Thin lines are subjects; thick ones the geometric mean of a treatment
        with its interval over subjects. A subject that is alone in its treatment has its interval from
        counting.
    """
    DIVERSITY.check(diversity, need=["subject", "treatment", "timepoint", "site", "q", measure])
    drawn = diversity[diversity[measure].notna()]
    with style():
        if drawn.empty:
            return say_nothing_to_draw(f"no sample has a diversity that is {measure}")
        sites, left_out = shown_sites(drawn)
        treatments = in_order(drawn["treatment"], first)
        orders = in_order(drawn["q"])
        drawn = drawn[drawn["site"].isin(sites)]
        times = sorted(drawn["timepoint"].unique())
        means = diversity_by_treatment(drawn, measure=measure)
        figure = new_figure(3.1 * len(orders) + 0.6, 2.3 * len(sites) + 1.3)
        grid = figure.subplots(len(sites), len(orders), squeeze=False, sharey="col", sharex=True)
        for row, site in zip(grid, sites, strict=True):
            for axes, q in zip(row, orders, strict=True):
                rows = (drawn["site"] == site) & (drawn["q"] == q)
                groups = (means["site"] == site) & (means["q"] == q)
                _panel(axes, drawn[rows], means[groups], treatments, times, measure)
                title = TITLES.get(q, f"order {q}")
                axes.set_title(title if len(sites) == 1 else f"{wrap(site, 16)}, {title.split(':')[0]}")
            row[0].set_ylabel("effective number of clones")
        for axes in grid[:-1].ravel():
            axes.set_xlabel("")
        for axes, q in zip(grid[0], orders, strict=True):
            top = drawn.loc[drawn["q"] == q, measure].max()
            highest = means.loc[(means["q"] == q) & means["site"].isin(sites), "high"].max()
            # an interval of two subjects may reach far beyond all dots
            axes.set_ylim(0, 1.04 * np.nanmin([np.nanmax([top, highest]), 1.6 * top]))
        name_treatments(figure, treatments)
        say(figure, left_out + _caption(drawn, measure))
    return figure


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    means: pd.DataFrame,
    treatments: list[Any],
    times: list[float],
    measure: str,
) -> None:
    single = len(times) == 1
    step = 0.0 if single else 0.012 * (times[-1] - times[0])
    for k, treatment in enumerate(treatments):
        colour, shape = looks(treatments)[treatment]
        own = rows[rows["treatment"] == treatment]
        shift = float(k) if single else (k - (len(treatments) - 1) / 2) * step
        for s, (_, subject) in enumerate(own.groupby("subject", sort=True, observed=True)):
            subject = subject.sort_values("timepoint")
            x = subject["timepoint"] + shift if not single else np.full(1, shift + 0.04 * (s % 5 - 2))
            (line,) = axes.plot(x, subject[measure], color=colour, linewidth=0.7, alpha=0.45)
            line.set(marker=shape, markersize=3, markeredgewidth=0)
        group = means[means["treatment"] == treatment].sort_values("timepoint")
        x = np.full(len(group), shift + 0.25) if single else (group["timepoint"] + shift).to_numpy()
        axes.plot(x, group["mean"], color=colour, linewidth=2, marker=shape, markersize=5.5)
        low, high = group["low"].to_numpy(), group["high"].to_numpy()
        alone = own[own["timepoint"].isin(group.loc[group["n_subjects"] == 1, "timepoint"])]
        axes.vlines(x, low, high, color=colour, linewidth=1.6)
        if len(alone):
            alone = alone.sort_values("timepoint")
            x = np.full(len(alone), shift) if single else alone["timepoint"] + shift
            axes.vlines(x, alone[f"{measure}_low"], alone[f"{measure}_high"], color=colour, linewidth=1)
    if single:
        axes.set_xticks(range(len(treatments)), [wrap(name, 12) for name in treatments])
        axes.set_xlim(-0.5, len(treatments) - 0.3)
    else:
        time_axis(axes, times)
    axes.grid(axis="y")


def _caption(drawn: pd.DataFrame, measure: str) -> str:
    what = {
        "observed": "as counted: samples of more cells show more clones.",
        "estimated": "estimated for the population; of order 0 a lower bound.",
    }
    text = what.get(measure, "")
    if measure == "standardised":
        text = f"compared at a coverage of {100 * drawn['common_coverage'].iloc[0]:.4g} % of the cells."
    n = drawn.groupby("treatment", observed=True)["subject"].nunique()
    who = ", ".join(f"{wrap(name, 20)} {count}" for name, count in n.items())
    return (
        f"Hill numbers {text} Thin: subjects ({who}); thick: geometric mean, 95 % interval over subjects. "
        f"One misassigned cell makes a clone: order 0 is the least robust."
    )
