"""Movement and division: mean squared displacement, speed by subject, rates by clone."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import OKABE_ITO, UNASSIGNED, hex_of
from rgbtrack.plot.style import INK, log_scale, new_figure, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CLONE_MOTILITY, MSD

Colours = dict[int, tuple[float, float, float]]
SHAPES = "osD^vPX"
SHOWN = 24
"""Clones with a row of their own."""
LABELS = {
    "speed_um_h": "speed of steps (µm/h)",
    "speed_corrected_um_h": "speed of steps without localisation error (µm/h)",
    "straightness": "straightness",
    "persistence_h": "persistence (h)",
    "motility_um2_h": "motility coefficient (µm²/h)",
    "rms_speed_um_h": "root mean square speed (µm/h)",
    "division_rate_per_h": "divisions per cell and hour",
    "loss_rate_per_h": "losses per cell and hour",
    "exit_rate_per_h": "exits per cell and hour",
}


def plot_msd(msd: pd.DataFrame, *, by: str = "treatment", first: str | None = None) -> Figure:
    """Draw mean squared displacement by lag, with Fürth's formula.

    Parameters
    ----------
    msd
        From `rgbtrack.link.mean_squared_displacement`, pooled by one column.
    by
        That column; one curve where it is not there.
    first
        The curve to begin with: the control.

    Returns
    -------
    figure
        Both axes logarithmic: a slope of 2 is straight ahead, 1 a random walk. Points are measured, with 95 %
        intervals over subjects (or families of tracks); lines are fitted, as far as lags were used.
    """
    MSD.check(msd, need=["lag_h", "msd_um2", "msd_low", "msd_high", "fit_um2"])
    with style():
        if msd.empty:
            return say_nothing_to_draw("no track has two cells")
        figure = new_figure(5.6, 4.2)
        axes = figure.add_subplot()
        groups = msd[by].astype("str") if by in msd else pd.Series("all tracks", index=msd.index)
        repeated = pd.DataFrame({"group": groups, "lag": msd["lag_h"]}).duplicated()
        if repeated.any():
            raise DataError(
                f"msd holds several curves of one {by}: pool tracks by {by} alone, or choose rows"
            )
        for k, name in enumerate(sorted(groups.unique(), key=lambda name: (name != first, name))):
            curve = msd[(groups == name) & (msd["msd_um2"] > 0)]
            paint = OKABE_ITO[k % len(OKABE_ITO)]
            lag = curve["lag_h"].to_numpy()
            unit = curve["interval_unit"].iloc[0] if "interval_unit" in curve and len(curve) else ""
            axes.fill_between(lag, curve["msd_low"], curve["msd_high"], color=paint, alpha=0.18, linewidth=0)
            axes.plot(lag, curve["msd_um2"], SHAPES[k % len(SHAPES)], color=paint, markersize=3.5)
            axes.plot(
                lag, curve["fit_um2"], color=paint, linewidth=1.5, label=f"{wrap(name)} ({unit} interval)"
            )
        axes.set(xlabel="lag (h)", ylabel="mean squared displacement (µm²)")
        log_scale(axes, "x")
        log_scale(axes, "y")
        axes.grid(which="major")
        _guides(axes, msd)
        axes.legend(loc="upper left")
    return figure


def plot_by_subject(
    motility: pd.DataFrame, measure: str = "speed_um_h", *, first: str | None = None
) -> Figure:
    """Draw a measure of every subject, side by side by treatment.

    Parameters
    ----------
    motility
        From `rgbtrack.link.clone_motility`, pooled by subject and treatment.
    measure
        One of its columns.
    first
        The treatment to begin with: the control.

    Returns
    -------
    figure
        A dot is a subject, from all its tracks; the line is the mean of the subjects, which is what
        treatments are compared by.
    """
    CLONE_MOTILITY.check(motility, need=["subject", "treatment", measure])
    with style():
        known = motility[motility[measure].notna()]
        if known.empty:
            return say_nothing_to_draw(f"no subject has a {LABELS.get(measure, measure)}")
        if known.duplicated(["subject", "treatment"]).any():
            raise DataError(
                "motility holds several rows of a subject: pool tracks by subject and treatment, or choose"
            )
        names = sorted(known["treatment"].unique(), key=lambda name: (name != first, name))
        figure = new_figure(max(3.4, 1.4 + 1.2 * len(names)), 3.8)
        axes = figure.add_subplot()
        for k, name in enumerate(names):
            value = known.loc[known["treatment"] == name].sort_values("subject")[measure].to_numpy(float)
            paint = OKABE_ITO[k % len(OKABE_ITO)]
            x = k + 0.5 * ((np.arange(len(value)) + 0.5) / len(value) - 0.5)
            axes.plot(
                x, value, SHAPES[k % len(SHAPES)], color=paint, markeredgecolor="white", markeredgewidth=0.5
            )
            axes.hlines(value.mean(), k - 0.32, k + 0.32, color=paint, linewidth=2)
        ticks = [f"{wrap(name, 14)}\n(n = {int((known['treatment'] == name).sum())})" for name in names]
        axes.set_xticks(range(len(names)), ticks)
        axes.set(xlim=(-0.6, len(names) - 0.4), ylabel=LABELS.get(measure, measure))
        axes.set_ylim(0, 1.08 * float(known[measure].max()) or 1.0)
        axes.grid(axis="y")
        axes.set_title("a dot is a subject", fontsize=8.5, fontweight="normal")
    return figure


def plot_rates(
    motility: pd.DataFrame,
    colours: Colours,
    rate: str = "division",
    *,
    first: str | None = None,
    shown: int = SHOWN,
) -> Figure:
    """Draw how often cells of each clone divide (or are lost, or leave), with exact Poisson intervals.

    Parameters
    ----------
    motility
        From `rgbtrack.link.clone_motility`, pooled by clone, or by clone and treatment.
    colours
        From `clone_colours`.
    rate
        ``division``, ``loss`` or ``exit``.
    first
        The treatment to begin with: the control.
    shown
        Clones drawn, those watched for most cell hours; the rest is counted.

    Returns
    -------
    figure
        One row per clone; behind it events and cell hours.
    """
    count = {"division": "n_divisions", "loss": "n_lost", "exit": "n_left"}[rate]
    columns = [f"{rate}_rate_per_h", f"{rate}_rate_low", f"{rate}_rate_high"]
    CLONE_MOTILITY.check(motility, need=["clone", "observed_h", count, *columns])
    with style():
        known = motility[motility["clone"].notna() & (motility["observed_h"] > 0)]
        if known.empty:
            return say_nothing_to_draw("no track is of a clone")
        hours = known.groupby("clone")["observed_h"].sum().sort_values(ascending=False, kind="stable")
        clones = sorted(hours.index[:shown])
        arms = [None]
        if "treatment" in known:
            arms = sorted(known["treatment"].unique(), key=lambda name: (name != first, name))
        if known.duplicated(["clone", *(["treatment"] if "treatment" in known else [])]).any():
            raise DataError(
                "motility holds several rows of a clone: pool tracks by clone, or clone and treatment"
            )
        figure = new_figure(6.6, 1.3 + (0.16 + 0.2 * len(arms)) * len(clones))
        axes = figure.add_subplot()
        drawn = known[known["clone"].isin(clones)]
        most = 4 * float(drawn[columns[0]].max()) or np.inf  # what little was watched must not dwarf the rest
        axes.set_xlim(-0.01 * min(most, drawn[columns[2]].max()), 1.05 * min(most, drawn[columns[2]].max()))
        for k, clone in enumerate(clones):
            for a, arm in enumerate(arms):
                row = known[
                    (known["clone"] == clone) & ((known["treatment"] == arm) if arm is not None else True)
                ]
                if len(row):
                    y = k + (a - (len(arms) - 1) / 2) * 0.7 / len(arms)
                    _bar(
                        axes, row.iloc[0], y, columns, count, OKABE_ITO[a % 7] if arm is not None else INK, a
                    )
            axes.plot(
                -0.015, k, "s", markersize=8, color=hex_of(colours.get(int(clone), UNASSIGNED)),
                markeredgecolor=INK, markeredgewidth=0.5, transform=axes.get_yaxis_transform(), clip_on=False,
            )  # fmt: skip
        axes.set_yticks(range(len(clones)), [f"clone {clone}" for clone in clones])
        axes.tick_params(axis="y", length=0, pad=13)
        axes.set(ylim=(len(clones) - 0.4, -0.6), xlabel=LABELS[f"{rate}_rate_per_h"])
        axes.grid(axis="x")
        rest = known["clone"].nunique() - len(clones)
        axes.set_title(f"{rest} clones watched for fewer hours not drawn" if rest else "", fontsize=8.5)
        if arms != [None]:
            figure.legend(
                ncols=min(4, len(arms)),
                handles=[
                    Line2D([], [], color=OKABE_ITO[a % 7], marker=SHAPES[a % 7], label=wrap(arm))
                    for a, arm in enumerate(arms)
                ],
                loc="outside upper left",
            )
    return figure


def _bar(axes: Any, row: pd.Series, y: float, columns: list[str], count: str, paint: str, shape: int) -> None:
    value, low, high = (float(row[name]) for name in columns)
    axes.hlines(y, low, high, color=paint, linewidth=1.6)
    axes.plot(value, y, SHAPES[shape % len(SHAPES)], color=paint, markersize=5)
    if high > axes.get_xlim()[1]:
        axes.plot(axes.get_xlim()[1], y, ">", color=paint, markersize=6, clip_on=False)
    axes.text(
        1.01,
        y,
        f"{int(row[count])} in {row['observed_h']:,.0f} h",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=7.5,
    )


def _guides(axes: Any, msd: pd.DataFrame) -> None:
    """Slopes of straight and of random movement, through the corner of the data."""
    lag = np.array([msd["lag_h"].min(), msd["lag_h"].max()])
    level = float(msd["msd_um2"][msd["msd_um2"] > 0].min())
    limits = axes.get_ylim()
    for power, name in ((1, "random walk"), (2, "straight ahead")):
        guide = level * 0.5 * (lag / lag[0]) ** power
        axes.plot(lag, guide, color="#9aa0a8", linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.text(lag[1], guide[1], f" {name}", fontsize=7.5, color="#6b7280", va="center")
    axes.set_ylim(min(limits[0], level * 0.4), limits[1] * 1.3)
