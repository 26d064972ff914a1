"""Rank abundance: how evenly the cells are spread over the clones."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rgbtrack.plot.groups import in_order, looks, name_treatments, say, shown_sites
from rgbtrack.plot.style import log_scale, new_figure, say_nothing_to_draw, say_share, style, wrap
from rgbtrack.tables import RANK_ABUNDANCE

PANELS = 5
"""Timepoints that get a panel."""
MANY = 50
"""Ranks beyond which their axis is logarithmic."""
TICKS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000)


def plot_ranks(ranks: pd.DataFrame, *, first: str | None = None) -> Figure:
    """Draw the share of every clone against its rank, one line per sample.

    Parameters
    ----------
    ranks
        From `rgbtrack.dynamics.rank_abundance`.
    first
        The treatment to begin with: the control.

    Returns
    -------
    figure
        One panel per timepoint and site. A steep line: few clones hold the cells; a flat one: they are even.
    """
    RANK_ABUNDANCE.check(ranks, need=["subject", "treatment", "timepoint", "site", "rank", "fraction"])
    with style():
        if ranks.empty:
            return say_nothing_to_draw("no cell was assigned to a clone")
        sites, left_out = shown_sites(ranks)
        treatments = in_order(ranks["treatment"], first)
        times = sorted(ranks.loc[ranks["site"].isin(sites), "timepoint"].unique())
        if len(times) > PANELS:
            kept = [times[round(k * (len(times) - 1) / (PANELS - 1))] for k in range(PANELS)]
            left_out += f"{len(times) - len(kept)} further timepoints are not drawn. "
            times = kept
        figure = new_figure(max(2.3 * len(times) + 0.7, 5.0), 2.2 * len(sites) + 1.2)
        many = bool(ranks["rank"].max() > MANY)
        grid = figure.subplots(len(sites), len(times), squeeze=False, sharex=True, sharey=True)
        for row, site in zip(grid, sites, strict=True):
            for axes, time in zip(row, times, strict=True):
                own = ranks[(ranks["site"] == site) & (ranks["timepoint"] == time)]
                where = "" if len(sites) == 1 else f"{wrap(site, 14)}, "
                axes.set_title(f"{where}day {time:g}")
                if own.empty:
                    axes.text(0.5, 0.5, "no data", ha="center", color="#6b7280", transform=axes.transAxes)
                for (treatment, _), sample in own.groupby(["treatment", "subject"], observed=True):
                    colour, shape = looks(treatments)[treatment]
                    sample = sample.sort_values("rank")
                    axes.plot(
                        sample["rank"],
                        sample["fraction"],
                        color=colour,
                        linewidth=0.9,
                        alpha=0.75,
                        marker=None if many else shape,
                        markersize=2.5,
                    )
                axes.grid()
            row[0].set_ylabel("share of assigned cells")
        log_scale(grid[0, 0], say=say_share)
        if many:
            log_scale(grid[0, 0], "x")
            ticks = [at for at in TICKS if at <= ranks["rank"].max()]
            grid[0, 0].set_xticks(ticks, [f"{at:,}" for at in ticks])
        else:
            grid[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axes in grid[-1]:
            axes.set_xlabel("rank of the clone")
        name_treatments(figure, treatments)
        say(figure, f"{left_out}One line per subject; the largest clone has rank 1.")
    return figure
