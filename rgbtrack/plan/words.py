"""What the figures of a plan come to, in plain words."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from rgbtrack.plan.params import PlanParams

UNIQUE = 0.9
"""Chance that a called clone is one founder: what is worth aiming at."""
WORTH = 0.05
"""A change is advised where it gains this share of the founders."""
NEARLY = 0.02
"""Options that differ by this share of the founders are equally good."""

LEAST_SUBJECTS = 4
TOO_FEW = (
    " With three or fewer per arm, how much animals differ is learnt from all clones together: if clones "
    "differ in that, intervals are wide."
)


def advice_of(
    params: PlanParams,
    clones: int,
    founders: pd.DataFrame,
    kinds: pd.DataFrame,
    options: pd.DataFrame,
    power: pd.DataFrame,
    false_positives: pd.DataFrame,
) -> tuple[str, ...]:
    """Say what to expect and what to change.

    Parameters
    ----------
    params
        The plan.
    clones
        Clones in every simulated animal.
    founders, kinds, options, power, false_positives
        Tables of the plan; see `rgbtrack.plan.Plan`.
    """
    return (
        *_of_founders(params, founders, kinds),
        *_of_options(params, founders, options),
        *_of_power(params, clones, power),
        *_of_errors(params, false_positives),
    )


def _of_founders(params: PlanParams, founders: pd.DataFrame, kinds: pd.DataFrame) -> Iterator[str]:
    n = params.founders
    planned = founders.set_index("founders").loc[n]
    yield (
        f"Of {n} founders, expect {_count(planned['distinguishable'], 'clone')} that can be told apart "
        f"({planned['distinguishable_low']:.0f} to {planned['distinguishable_high']:.0f} in 90 % of "
        f"experiments). A called clone is one founder with a chance of {_percent(planned['clone_unique'])}; "
        f"otherwise it is several founders of one colour."
    )
    if len(kinds) > 1:
        poor, rich = kinds.iloc[0], kinds.iloc[-1]
        yield (
            f"{_percent(poor['share'])} of founders carry {_count(poor['markers_carried'], 'marker')}: "
            f"{_percent(poor['founder_unique'])} of these have a colour of their own. "
            f"{_percent(rich['share'])} carry {rich['markers_carried']:.0f}: of these "
            f"{_percent(rich['founder_unique'])}. Trust clones of several markers most."
        )
    enough = founders.loc[(founders["clone_unique"] >= UNIQUE) & (founders["founders"] > 1), "founders"]
    if enough.empty:
        yield "Fewer founders do not make nine clones in ten one founder: add a marker, or lower the noise."
    elif enough.max() < n:
        yield f"For nine clones in ten to be one founder, plan with at most {enough.max()} founders."
    elif enough.max() > n:
        beyond = " or more" if enough.max() == founders["founders"].max() else ""
        yield f"Nine clones in ten are still one founder with {enough.max()}{beyond} founders."


def _of_options(params: PlanParams, founders: pd.DataFrame, options: pd.DataFrame) -> Iterator[str]:
    n, share = params.founders, params.share_transduced
    planned = founders.set_index("founders")["distinguishable"][n]
    same = options[options["n_markers"] == params.n_markers]
    best = _fewest_copies(same, n)
    unmarked = (1 - share) ** params.n_markers
    if unmarked >= 0.01:
        yield (
            f"{_percent(unmarked)} of the cells carry no vector and are not seen: for {n} marked founders, "
            f"about {math.ceil(n / (1 - unmarked))} cells must grow out."
        )
    if best["distinguishable"] - planned > WORTH * n:
        yield (
            f"With {_percent(best['share_transduced'])} of cells transduced with each vector instead of "
            f"{_percent(share)}, {best['distinguishable']:.0f} clones instead of "
            f"{planned:.0f} can be told apart, if the cells stand so many copies."
        )
    else:
        yield f"For {params.n_markers} markers, {_percent(share)} of cells per vector is near the best."
    more = options[options["n_markers"] == params.n_markers + 1]
    if len(more):
        other = _fewest_copies(more, n)
        if other["distinguishable"] - best["distinguishable"] > WORTH * n:
            yield (
                f"{params.n_markers + 1} markers, with {_percent(other['share_transduced'])} of cells "
                f"transduced with each, would tell {other['distinguishable']:.0f} clones apart."
            )


def _fewest_copies(options: pd.DataFrame, n: int) -> pd.Series:
    """Of the options that are nearly the best, the one with the fewest transduced cells."""
    good = options["distinguishable"] >= options["distinguishable"].max() - NEARLY * n
    return options[good].iloc[0]


def _of_power(params: PlanParams, clones: int, power: pd.DataFrame) -> Iterator[str]:
    planned = power[power["effect"] == params.effect].set_index("subjects")
    here = planned.loc[params.subjects]
    tested = min(params.clones or clones, clones)
    if params.clones is not None and params.clones > clones:
        yield f"{params.clones} clones are to be tested, but only {clones} can be told apart, and are tested."
    yield (
        f"With {params.subjects} animals per arm, a treatment that multiplies the odds of "
        f"{_percent(params.responders)} of {tested} clones by {params.effect:g} is seen by the overall test "
        f"in {_percent(here['power'])} of experiments (± {_percent(here['power_se'])}); one by one, "
        f"{_percent(here['clones_found'])} of the responding clones are found."
        + (TOO_FEW if params.subjects < LEAST_SUBJECTS else "")
    )
    enough = planned.index[planned["power"] >= params.power]
    if enough.empty:
        yield (
            f"{_percent(params.power)} power is not reached with {planned.index.max()} animals per arm: look "
            f"for a stronger effect, test fewer and larger clones, or make animals more alike."
        )
    elif enough.min() != params.subjects:
        yield f"For {_percent(params.power)} power of the overall test, take {enough.min()} animals per arm."


def _of_errors(params: PlanParams, false_positives: pd.DataFrame) -> Iterator[str]:
    here = false_positives.set_index("subjects").loc[params.subjects]
    yield (
        f"Without any effect, tests with the animal as the unit find one in {_percent(here['overall'])} "
        f"(overall) and {_percent(here['any_clone'])} (any clone) of experiments; a chi-square test of the "
        f"cells, as if each were a replicate, finds one in {_percent(here['cells'])}: compare animals, never "
        f"cells."
    )


def _percent(share: Any) -> str:
    shown = 100 * share
    return f"{shown:.1f} %" if 0 < shown < 0.95 else f"{shown:.0f} %"


def _count(n: Any, what: str) -> str:
    return f"{n:.0f} {what}{'' if n == 1 else 's'}"
