"""Growth rates against planted truth: how often intervals hold it, and false and true differences.

    python benchmarks/bench_growth.py [--tables 200] [--first 0] [--only NAME]

Each clone has a size (ln sd 1) and a rate (sd 0.08 per day); each animal its own start (ln sd 0.5) and
rates (sd 0.03 per day); each sample strays (logistic normal, ln sd 0.15, or a Dirichlet draw); cells are
multinomial. "animal" is the share of 95 % intervals of an animal's rate that hold its own rate, "mean" that
of a treatment's mean rate, "difference" that of the difference of two treatments; "null" is the share of
clones at p < .05 where the treatments are the same; "power" that of the third of clones whose rate differs
by 0.06 per day, a third of these down and the rest up. Welch's t of the same slopes stands beside it.
"absolute" is told with totals.
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind

from rgbtrack.dynamics import GrowthParams, clone_growth, growth_by_treatment


@dataclass(frozen=True)
class Design:
    """A planted experiment."""

    animals: int = 5
    clones: int = 15
    times: tuple[float, ...] = (0, 7, 14)
    cells: int = 500
    strays: float = 0.15
    concentration: float | None = None
    once: bool = False
    kind: str = "relative"
    animal_sd: float = 0.03


DESIGNS = {
    "five animals": Design(),
    "three animals": Design(animals=3),
    "eight animals": Design(animals=8),
    "two timepoints": Design(times=(0, 14)),
    "forty clones, 300 cells": Design(clones=40, cells=300),
    "three clones": Design(clones=3),
    "Dirichlet, 50": Design(strays=0.0, concentration=50),
    "alike animals": Design(animal_sd=0.0, strays=0.0),
    "seen once": Design(once=True, animals=9),
    "absolute": Design(kind="absolute"),
}
CHANGE = 0.06


def plant(
    design: Design, seed: int, change: float
) -> tuple[pd.DataFrame, dict[str, np.ndarray], pd.DataFrame]:
    """Return sizes, mean rates of each treatment, and the rates of each animal, (clones) each."""
    rng = np.random.default_rng([seed, 7])
    k = design.clones
    start, rate = rng.normal(0, 1, k), rng.normal(0.1, 0.08, k)
    effect = np.zeros(k)
    effect[rng.permutation(k)[: max(k // 3, 1)]] = change * np.where(
        rng.random(max(k // 3, 1)) < 1 / 3, -1, 1
    )
    mean = {"vehicle": rate, "drug": rate + effect}
    rows, own = [], {}
    for treatment, of in mean.items():
        for animal in range(design.animals):
            subject = f"{treatment}{animal}"
            own[subject] = of + rng.normal(0, design.animal_sd, k)
            begun = start + rng.normal(0, 0.5, k)
            times = [design.times[animal % len(design.times)]] if design.once else design.times
            for day in times:
                log = begun + own[subject] * day + rng.normal(0, design.strays, k)
                share = np.exp(log) / np.exp(log).sum()
                if design.concentration:
                    share = rng.dirichlet(design.concentration * share)
                n = rng.multinomial(rng.poisson(design.cells * rng.uniform(0.5, 1.5)) + 1, share)
                scale = 1e4 * np.exp(log).sum() / n.sum()
                row = {"subject": subject, "treatment": treatment, "timepoint": float(day), "site": "primary"}
                rows.append(
                    pd.DataFrame({"clone": np.arange(k) + 1, "n_cells": n, "scale": scale}).assign(**row)
                )
    return pd.concat(rows, ignore_index=True), mean, pd.DataFrame(own)


def score(design: Design, seed: int) -> dict[str, float]:
    """Coverage, false positives and power in one planted table, and its null twin."""
    params = GrowthParams(kind=design.kind)
    told: dict[str, float] = {}
    for change in (0.0, CHANGE):
        sizes, mean, own = plant(design, seed, change)
        begun = time.perf_counter()
        by = growth_by_treatment(sizes, params, control="vehicle").set_index(["treatment", "clone"])
        told["seconds"] = time.perf_counter() - begun
        seen = sizes.assign(some=sizes["n_cells"] > 0).groupby("clone")[["n_cells", "some"]].mean()
        kept = ((seen["n_cells"] >= 5) & (seen["some"] >= 0.75)).to_numpy()
        kept = kept if kept.sum() > 1 else np.ones(len(kept), dtype=bool)
        relative = design.kind == "relative"
        true = {name: rate - rate[kept].mean() * relative for name, rate in mean.items()}
        drug = by.loc["drug"].sort_index()
        held = [
            of["rate_low_per_d"].le(true[name]) & of["rate_high_per_d"].ge(true[name])
            for name in true
            for of in [by.loc[name].sort_index()]
        ]
        known = [by.loc[name].sort_index()["rate_low_per_d"].notna() for name in true]
        gap = true["drug"] - true["vehicle"]
        inside = drug["difference_low_per_d"].le(gap) & drug["difference_high_per_d"].ge(gap)
        some = drug["p_value"].notna()
        if change == 0:
            told["mean"] = pd.concat(held)[pd.concat(known)].mean()
            told["null"] = drug["p_value"][some].lt(0.05).mean()
        else:
            told["difference"] = inside[some].mean()
            changed = np.abs(mean["drug"] - mean["vehicle"]) > 0
            told["power"] = drug["p_value"][changed].lt(0.05).mean()
        if not design.once:
            growth = clone_growth(sizes, params)
            of_own = own - own[kept].mean() * relative
            growth["true"] = [
                of_own.loc[clone - 1, subject]
                for clone, subject in zip(growth["clone"], growth["subject"], strict=True)
            ]
            known = growth["rate_per_d"].notna()
            ok = growth["true"].between(growth["rate_low_per_d"], growth["rate_high_per_d"])
            told["animal"] = ok[known].mean()
            wide = growth.pivot_table(index=["treatment", "subject"], columns="clone", values="rate_per_d")
            drawn = [wide.loc[name].to_numpy() for name in ("drug", "vehicle")]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                p = ttest_ind(*drawn, equal_var=False, nan_policy="omit").pvalue
            p = pd.Series(p, index=wide.columns).reindex(range(1, design.clones + 1))
            if change == 0:
                told["welch null"] = p.dropna().lt(0.05).mean()
            else:
                told["welch power"] = p[changed].lt(0.05).mean()
    return told


def main() -> None:
    """Print one line per design."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", choices=list(DESIGNS))
    options = parser.parse_args()
    columns = ["animal", "mean", "difference", "null", "welch null", "power", "welch power", "seconds"]
    print("| | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, design in DESIGNS.items():
        if options.only in (None, name):
            seeds = range(options.first, options.first + options.tables)
            m = pd.DataFrame([score(design, seed) for seed in seeds]).mean()
            values = [f"{m[column]:.3f}" if column in m else "" for column in columns]
            print(f"| {name} | " + " | ".join(values) + " |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("error")
    with np.errstate(all="raise", under="ignore"):
        main()
