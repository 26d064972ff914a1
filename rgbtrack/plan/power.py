"""Power and false positives by simulation: animals per arm by effect."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from rgbtrack.plan.params import PlanParams
from rgbtrack.plan.response import compare_arms, compare_cells, turn_animals

ANIMALS = (3, 4, 5, 6, 8, 10, 12, 16, 20)
"""Animals per arm that are tried, besides those planned."""
STRENGTHS = (0.5, 1.0, 2.0)
"""Effects that are tried: the planned one to these powers."""
_BATCH = 4_000_000


class Simulated(NamedTuple):
    """Experiments: cells of each clone in each animal, shape (experiments, animals, clones)."""

    control: NDArray[np.int64]
    treated: dict[float, NDArray[np.int64]]
    """By effect; 1 is none."""
    responds: NDArray[np.bool_]
    """Shape (experiments, clones)."""


def simulate_counts(
    params: PlanParams, n_clones: int, n_animals: int, n_experiments: int, rng: np.random.Generator
) -> Simulated:
    """Draw experiments of two arms, for every effect that is tried.

    Parameters
    ----------
    params
        The plan.
    n_clones
        Clones in every animal; the ``params.clones`` largest are counted and may respond.
    n_animals
        Per arm.
    n_experiments
        Experiments drawn.
    rng
        Source of chance; the effects share their animals, so that they differ by the effect alone.

    Notes
    -----
    As in `rgbtrack.simulate_experiment`: clone sizes are lognormal, an animal's shares a Dirichlet draw
    around them; the treatment multiplies the odds of responding clones. Cells are counted by a multinomial.
    """
    tested = min(params.clones or n_clones, n_clones)
    share = np.sort(rng.lognormal(0, params.size_sd, (n_experiments, n_clones)), axis=1)[:, ::-1]
    share /= share.sum(axis=1, keepdims=True)
    n_responders = max(1, round(params.responders * tested))
    responds = np.zeros((n_experiments, n_clones), dtype=bool)
    responds[:, :tested] = rng.random((n_experiments, tested)).argsort(axis=1) < n_responders

    def animals(effect: float, start: NDArray[np.float64]) -> NDArray[np.int64]:
        changed = start * np.where(responds, effect, 1.0)[:, None]
        return rng.multinomial(params.cells, changed / changed.sum(axis=2, keepdims=True))[..., :tested]

    shape = (n_experiments, n_animals, n_clones)
    alpha = np.broadcast_to(np.maximum(params.concentration * share, 1e-3)[:, None], shape)
    control, treated = (rng.standard_gamma(alpha) + 1e-300 for _ in range(2))
    effects = (1.0, *(float(params.effect**power) for power in STRENGTHS))
    return Simulated(
        animals(1.0, control), {effect: animals(effect, treated) for effect in effects}, responds[:, :tested]
    )


def power_tables(
    params: PlanParams, n_clones: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate experiments and test them.

    Parameters
    ----------
    params
        The plan.
    n_clones
        Clones in every animal.
    rng
        Source of chance.

    Returns
    -------
    power
        One row per number of ``subjects`` in an arm and ``effect``: ``power`` (share of experiments in which
        the overall test finds a response), ``clones_found`` (share of the responding clones that are found
        one by one), ``false_discoveries`` (share of false ones among the clones found), each with its Monte
        Carlo standard error ``_se``.
    false_positives
        One row per number of ``subjects``, for a treatment without effect: share of experiments in which
        the ``overall`` test, the test of ``any_clone`` and the chi-square test of ``cells`` find a response.
    """
    sizes = sorted({*ANIMALS, params.subjects})
    turns = {n: turn_animals(n, n, rng) for n in sizes}
    batch = int(np.clip(_BATCH // (200 * n_clones), 1, params.n_simulations))
    batches = [batch] * (params.n_simulations // batch) + [params.n_simulations % batch]
    rows = []
    for n_experiments in filter(None, batches):
        drawn = simulate_counts(params, n_clones, sizes[-1], n_experiments, rng)
        for n in sizes:
            rows += list(_tested(drawn, n, turns[n], params.alpha))
    outcomes = pd.concat(rows).groupby(["subjects", "effect"]).agg(["mean", "std"])
    means = outcomes.xs("mean", axis=1, level=1)
    # where all experiments agree, the next one may not: no error is given as zero
    errors = np.sqrt((outcomes.xs("std", axis=1, level=1) ** 2 + 1 / params.n_simulations).clip(upper=0.25))
    table = means.join((errors / np.sqrt(params.n_simulations)).add_suffix("_se")).reset_index()
    none = table["effect"] == 1
    power = table.loc[~none, ["subjects", "effect", *_and_se("overall", "clones_found", "false_discoveries")]]
    power = power.rename(columns={"overall": "power", "overall_se": "power_se"})
    false_positives = table.loc[none, ["subjects", *_and_se("overall", "any_clone", "cells")]]
    return power.reset_index(drop=True), false_positives.reset_index(drop=True)


def _and_se(*names: str) -> list[str]:
    return [column for name in names for column in (name, f"{name}_se")]


def _tested(drawn: Simulated, n: int, turns: NDArray[np.float64], alpha: float) -> Iterator[pd.DataFrame]:
    """What the tests say of the first n animals of each arm, one row per experiment."""
    control = drawn.control[:, :n]
    for effect, all_treated in drawn.treated.items():
        treated = all_treated[:, :n]
        clone_p, overall_p = compare_arms(control, treated, turns)
        called = false_discovery_control(clone_p, axis=1) <= alpha
        right = called & drawn.responds
        yield pd.DataFrame(
            {
                "subjects": n,
                "effect": effect,
                "overall": overall_p <= alpha,
                "clones_found": right.sum(axis=1) / drawn.responds.sum(axis=1),
                "false_discoveries": (called & ~right).sum(axis=1) / np.maximum(called.sum(axis=1), 1),
                "any_clone": called.any(axis=1),
                "cells": compare_cells(control, treated) <= alpha,
            }
        ).astype({"overall": float, "any_clone": float, "cells": float})
