"""The plan against what the clone engine does with planted cells.

    python benchmarks/bench_plan.py ["typical" ...] [--seeds 10] [--first 0]
    python benchmarks/bench_plan.py --fit --seeds 6 --first 100
    python benchmarks/bench_plan.py --errors
    python benchmarks/bench_plan.py --published

For each setting, founders are drawn, cells are planted and clones fitted. A founder belongs to the called
clone that holds most of its cells; founders of one clone are merged. Printed are means over seeds with
standard errors, beside what `rgbtrack.plan` expects: of any founders, and of these founders.

``--fit`` fits the constants of `rgbtrack.plan.collisions` to pairs of founders. ``--errors`` counts false
positives and false discoveries of the tests in 4000 simulated experiments. ``--published`` sets the share of
pairs told apart beside that of Sakaguchi et al. (Tetbow), eLife 7 (2018) e40350, figure 1G.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from rgbtrack.clones import fit_clones
from rgbtrack.clones.confusion import merge_probability
from rgbtrack.plan import PlanParams
from rgbtrack.plan.collisions import (
    Palettes,
    chance_merged,
    draw_colours,
    draw_palettes,
    founder_distances,
    founder_table,
    pairs_told_apart,
)
from rgbtrack.plan.power import power_tables
from rgbtrack.simulate import SimulateParams, simulate_founders

MARKERS = ("red", "green", "blue", "m4", "m5", "m6", "m7")


def setting(cells_per_founder: int, founders: int = 20, **changed: float) -> PlanParams:
    """Plan with so many cells in all, four animals together."""
    return PlanParams(founders=founders, subjects=2, cells=cells_per_founder * founders // 4, **changed)


SETTINGS = {
    "typical": setting(200),
    "few cells": setting(30),
    "many founders": setting(100, 40),
    "little transduced": setting(100, share_transduced=0.2),
    "noisy": setting(100, colour_sd=0.2, snr=10),
    "four markers": setting(100, 30, n_markers=4),
}
FITTED = [
    setting(cells, 16, **changed)
    for cells in (25, 80, 250)
    for changed in (
        {},
        {"share_transduced": 0.2},
        {"share_transduced": 0.9},
        {"n_markers": 4},
        {"colour_sd": 0.2, "snr": 10},
    )
]


def plant(params: PlanParams, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray, Palettes]:
    """Return cells, the founder of each, and the founders as a palette."""
    names = list(MARKERS[: params.n_markers])
    drawn = SimulateParams(
        markers=tuple(names),
        n_clones=params.founders,
        share_marked=params.share_transduced,
        copy_sd=params.copy_sd,
        size_sd=params.size_sd,
    )
    founders = simulate_founders(drawn, rng)
    colours = founders[names].to_numpy()
    n = 2 * params.subjects * params.cells
    truth = rng.choice(params.founders, n, p=founders["share"])
    signal = colours[truth] * np.exp(
        rng.normal(0, params.brightness_sd, (n, 1)) + rng.normal(0, params.colour_sd, (n, len(names)))
    )
    seen = 1000 * (signal + rng.normal(0, 1 / params.snr, signal.shape))
    table = pd.DataFrame({"image_id": "a", "frame": 0, "cell": np.arange(n) + 1})
    table[names] = seen
    table[[f"{name}_se" for name in names]] = 1000 / params.snr
    distances = founder_distances(colours, params)
    return table, truth, Palettes(colours[None], founders[["share"]].to_numpy().T, distances[None])


def call(table: pd.DataFrame, truth: np.ndarray) -> pd.Series:
    """Return the called clone of each founder that has any."""
    clone = fit_clones(table).assign(table)["clone"].to_numpy(dtype=float, na_value=np.nan)
    known = np.isfinite(clone)
    return pd.crosstab(truth[known], clone[known]).idxmax(axis=1)


def compare(name: str, seeds: range) -> None:
    """Print what is expected beside what the engine does."""
    params = SETTINGS[name]
    n = params.founders
    begun = time.perf_counter()
    seen, expected = [], []
    for seed in seeds:
        table, truth, palette = plant(params, np.random.default_rng(seed))
        held = call(table, truth).value_counts().to_numpy()
        seen.append(
            {
                "distinguishable": len(held),
                "merged_pairs": (held * (held - 1) / 2).sum(),
                "founder_unique": (held == 1).sum() / n,
                "clone_unique": (held == 1).mean(),
            }
        )
        expected.append(founder_table(palette, [n], params, np.random.default_rng(0)).iloc[0])
    engine, these = pd.DataFrame(seen), pd.DataFrame(expected)
    rng = np.random.default_rng(0)
    anyone = founder_table(draw_palettes(params, 400, n, rng), [n], params, rng).iloc[0]
    print(f"{name}: {n} founders, {len(seeds)} seeds, {time.perf_counter() - begun:.0f} s")
    for figure in engine:
        error = engine[figure].std() / np.sqrt(len(seeds))
        print(
            f"  {figure:16} expected {anyone[figure]:6.2f}, of these {these[figure].mean():6.2f}; "
            f"engine {engine[figure].mean():6.2f} ± {error:.2f}",
            flush=True,
        )


def fit(seeds: range) -> None:
    """Print the constants that make the chance of merging that of the engine, and how well they do."""
    parts = []
    for seed in seeds:
        for params in FITTED:
            table, truth, palette = plant(params, np.random.default_rng(seed))
            clone = call(table, truth).reindex(range(params.founders))
            cells = np.bincount(truth, minlength=params.founders)
            i, j = np.triu_indices(params.founders, 1)
            pairs = {
                "distance": palette.distances[0][i, j],
                "evidence": 8 * (cells[i] * cells[j]) ** 2.0 / np.maximum(cells[i] + cells[j], 1) ** 3.0,
                "merged": clone.to_numpy()[i] == clone.to_numpy()[j],
                "planned": chance_merged(palette, params.founders, params)[0][i, j],
            }
            kept = (
                clone.notna().to_numpy()[i]
                & clone.notna().to_numpy()[j]
                & (np.minimum(cells[i], cells[j]) > 2)
            )
            parts.append(pd.DataFrame(pairs)[kept])
    pairs = pd.concat(parts)

    def loss(constants: np.ndarray) -> float:
        chance = merge_probability(pairs["distance"] * constants[0] * pairs["evidence"] ** constants[1])
        chance = np.clip(chance, 1e-9, 1 - 1e-9)
        return float(-np.where(pairs["merged"], np.log(chance), np.log1p(-chance)).sum())

    found = minimize(loss, [1.0, 0.0], method="Nelder-Mead")
    print(f"sharpness {found.x[0]:.3f}, learning {found.x[1]:.3f}, {len(pairs)} pairs")
    bins = pd.cut(pairs["planned"], [-0.1, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 1])
    print(pairs.groupby(bins, observed=True).agg({"planned": "mean", "merged": ["mean", "size"]}).round(3))


def errors() -> None:
    """Print false positives and false discoveries."""
    for concentration, clones in ((20, 8), (50, 15), (200, 8), (200, 30)):
        params = PlanParams(concentration=concentration, n_simulations=4000)
        power, false = power_tables(params, clones, np.random.default_rng(1))
        both = false.merge(power[power["effect"] == params.effect], on="subjects")
        print(f"concentration {concentration}, {clones} clones")
        columns = ["subjects", "overall", "any_clone", "cells", "power", "clones_found", "false_discoveries"]
        print(both[columns].round(3).to_string(index=False), flush=True)


def published() -> None:
    """Print the share of pairs of colours told apart, in percent, as published and here."""
    distances = (0.1, 0.2, 0.3, 0.4)
    for copies, known in ((2, (95.3, 86.2, 71.3, 56.1)), (8, (82.7, 49.4, 21.1, 6.7))):
        params = PlanParams(share_transduced=1 - np.exp(-copies), copy_sd=0)
        told = [
            100 * pairs_told_apart(draw_colours(params, 2000, np.random.default_rng(seed)), distances)
            for seed in range(20)
        ]
        here, error = np.mean(told, axis=0), np.std(told, axis=0) / np.sqrt(len(told) - 1)
        print(f"{copies} copies: published {known}, here {here.round(1)} ± {error.max():.1f}", flush=True)


def main() -> None:
    """Compare, or fit the constants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--errors", action="store_true")
    parser.add_argument("--published", action="store_true")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.errors:
        errors()
    elif options.published:
        published()
    elif options.fit:
        fit(seeds)
    else:
        for name in options.settings:
            compare(name, seeds)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
