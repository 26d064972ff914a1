"""A plan: what to expect of an experiment, and what would be better."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rgbtrack.plan.collisions import (
    MOST_PALETTES,
    PAIRS,
    draw_colours,
    draw_palettes,
    example_table,
    founder_table,
    kind_table,
    pairs_told_apart,
)
from rgbtrack.plan.options import option_table
from rgbtrack.plan.params import PlanParams
from rgbtrack.plan.power import power_tables
from rgbtrack.plan.words import advice_of

DISTANCES = (0.1, 0.2, 0.3, 0.4)
"""Between colours, of which the share of pairs further apart is told."""
_PAIRED = 4000
_NUMBERS = 30


@dataclass(frozen=True, eq=False)
class Plan:
    """What to expect of an experiment.

    Attributes
    ----------
    params
        What was planned.
    founders
        By number of founders: clones told apart, look-alikes, chance to be unique;
        see `rgbtrack.plan.collisions.founder_table`.
    kinds
        Chance to be unique by the number of markers that a founder carries; see
        `rgbtrack.plan.collisions.kind_table`.
    options
        Other numbers of markers and shares of transduced cells; see `rgbtrack.plan.options.option_table`.
    pairs
        Share of pairs of founders whose colours are further apart than a distance; see
        `rgbtrack.plan.collisions.pairs_told_apart`.
    example
        The founders of one typical palette; see `rgbtrack.plan.collisions.example_table`.
    power, false_positives
        By animals per arm; see `rgbtrack.plan.power.power_tables`.
    advice
        The same in plain words, one sentence or two each.
    """

    params: PlanParams
    founders: pd.DataFrame
    kinds: pd.DataFrame
    options: pd.DataFrame
    pairs: pd.DataFrame
    example: pd.DataFrame
    power: pd.DataFrame
    false_positives: pd.DataFrame
    advice: tuple[str, ...]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Tables by name."""
        names = ("founders", "kinds", "options", "pairs", "example", "power", "false_positives")
        return {name: getattr(self, name) for name in names}


def plan_experiment(params: PlanParams = PlanParams()) -> Plan:  # noqa: B008
    """Plan an experiment: founders and colours that can be told apart, animals that show an effect.

    Founders are drawn as `rgbtrack.simulate_scene` draws them, and two of them merge with the chance by which
    `rgbtrack.describe_clones` judges called clones. Power and false positives come from simulated experiments
    with the animal as the unit.

    Parameters
    ----------
    params
        What is planned.

    Returns
    -------
    plan
        Tables, and advice in words; `rgbtrack.plot.plot_plan` draws it.

    Notes
    -----
    It assumes that founders are drawn independently, that all animals share one palette, and that cells are
    assigned to clones without error. The tests are those of `rgbtrack.clone_response` and
    `rgbtrack.response_heterogeneity`, in short; see `rgbtrack.plan.response.compare_arms`.

    Examples
    --------
    >>> plan = plan_experiment(PlanParams(founders=10, n_markers=2, n_simulations=50))
    >>> plan.founders.loc[plan.founders["founders"] == 10, "distinguishable"].round().item()
    7.0
    """
    chance = [np.random.default_rng([params.seed, k]) for k in range(4)]
    most = max(2 * params.founders, 10)
    n_palettes = int(np.clip(PAIRS // most**2, 4, MOST_PALETTES))
    palettes = draw_palettes(params, n_palettes, most, chance[0])
    numbers = np.unique([*np.geomspace(2, most, _NUMBERS).round().astype(int), params.founders])
    founders = founder_table(palettes, numbers.tolist(), params, chance[0])
    kinds = kind_table(palettes, params)
    options = option_table(params, chance[1])
    told = pairs_told_apart(draw_colours(params, _PAIRED, chance[2]), DISTANCES)
    clones = max(2, round(founders.set_index("founders")["distinguishable"][params.founders]))
    power, false_positives = power_tables(params, clones, chance[3])
    return Plan(
        params=params,
        founders=founders,
        kinds=kinds,
        options=options,
        pairs=pd.DataFrame({"distance": DISTANCES, "told_apart": told}),
        example=example_table(palettes, params),
        power=power,
        false_positives=false_positives,
        advice=advice_of(params, clones, founders, kinds, options, power, false_positives),
    )
