"""Intervals of Hill numbers, differences between treatments and turnover against planted truth.

    python benchmarks/bench_diversity.py [--samples 400] [--bootstrap 0] [--tables 400] [--seed 100]

``intervals``: counts are drawn from compositions of known Hill numbers; how often does the interval at a
coverage hold the one that the composition has there? Beside it, the bootstrap of Chao and Jost (2015), 200
resamples, on the first samples of each setting. ``treatments``: subjects scatter around one composition,
no treatment does anything; how often is p < .05? Beside it, a test that takes cells for replicates
(Hutcheson's t test of Shannon entropies, pooled cells). ``turnover``: two samples of one composition; how
often is p < .05? Beside it, the chi-square test. ``neutral``: birth and death from single cells, seen in
part.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import chi2_contingency, norm

from rgbtrack.dynamics import clone_diversity, clone_turnover, diversity_by_treatment, size_departure
from rgbtrack.dynamics.coverage import abundances, sample_coverage
from rgbtrack.dynamics.hill import hill_numbers, suggested_composition

COMPOSITIONS = {
    "8 clones": (8, 1.0),
    "15 clones": (15, 1.0),
    "50 clones": (50, 1.2),
    "200 clones": (200, 1.5),
}
DEPTHS = (30, 100, 300, 1000, 10_000)
TARGETS = (0.8, 0.95)


def composition(clones: int, sd: float) -> np.ndarray:
    """Lognormal shares."""
    share = np.exp(sd * np.random.default_rng(clones).normal(size=clones))
    return share / share.sum()


def planted(share: np.ndarray, target: float) -> tuple[float, np.ndarray]:
    """Cells at which the composition has the coverage, and its Hill numbers there."""
    size = brentq(lambda m: 1 - (share * (1 - share) ** m).sum() - target, 0.1, 1e6)
    ends = []
    for m in (int(size), int(size) + 1):
        k = np.arange(1, m + 1)
        log = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
        chance = np.exp(log + k * np.log(share[:, None]) + (m - k) * np.log1p(-share[:, None]))
        entropy = (chance @ (-k / m * np.log(k / m))).sum()
        pairs = (share**2).sum()
        ends.append([(1 - (1 - share) ** m).sum(), np.exp(entropy), m / (1 + (m - 1) * pairs)])
    part = size - int(size)
    return size, (1 - part) * np.array(ends[0]) + part * np.array(ends[1])


def bootstrap_interval(counts: np.ndarray, target: float, rng: np.random.Generator) -> np.ndarray:
    """Interval of Chao and Jost: 1.96 standard deviations of 200 resamples, shape (3, 2)."""
    sample = abundances(counts)
    suggested = suggested_composition(sample)
    share = np.repeat(suggested.expected, suggested.clones.astype(int))
    share = share / share.sum()
    drawn = [
        hill_numbers(abundances(rng.multinomial(int(sample.n), share)), target)["standardised"].value
        for _ in range(200)
    ]
    value = hill_numbers(sample, target)["standardised"].value
    reach = 1.96 * np.std(drawn, axis=0, ddof=1)
    return np.column_stack([value - reach, value + reach])


def intervals(samples: int, booted: int, seed: int) -> None:
    """Print how often intervals hold what was planted."""
    rng = np.random.default_rng(seed)
    print("composition, cells, coverage | q 0, 1, 2 hold the truth (%) | bootstrap (%)")
    for name, (clones, sd) in COMPOSITIONS.items():
        share = composition(clones, sd)
        for cells in DEPTHS:
            for target in TARGETS:
                size, truth = planted(share, target)
                if size > 2 * cells:
                    continue
                hit, boot, reached = np.zeros(3), np.zeros(3), 0
                for k in range(samples):
                    counts = rng.multinomial(cells, share)
                    one = abundances(counts)
                    if sample_coverage(one.n, one.seen(1), one.seen(2), one.n) < target:
                        continue
                    found = hill_numbers(one, target)["standardised"]
                    hit += (found.low <= truth) & (truth <= found.high)
                    reached += 1
                    if k < booted:
                        low, high = bootstrap_interval(counts, target, rng).T
                        boot += (low <= truth) & (truth <= high)
                shown = "  ".join(f"{x:5.1f}" for x in 100 * hit / reached)
                other = "  ".join(f"{x:5.1f}" for x in 100 * boot / max(booted, 1)) if booted else "not run"
                left = f" ({samples - reached} out of reach)" if reached < samples else ""
                print(f"{name}, {cells}, {100 * target:.0f} % | {shown} | {other}{left}", flush=True)


def study(rng: np.random.Generator, subjects: int, scatter: float, cells: int, times: int) -> pd.DataFrame:
    """Two arms of one composition."""
    shared = rng.dirichlet(np.ones(15))
    tables = []
    for arm in ("vehicle", "drug"):
        for subject in range(subjects):
            own = rng.dirichlet(scatter * shared + 0.01)
            for t in range(times):
                now = rng.dirichlet(200 * own + 0.01) if t else own
                counts = rng.multinomial(int(cells * rng.uniform(0.3, 2)), now)
                table = pd.DataFrame({"clone": np.arange(15), "n_cells": counts})
                named = {"subject": f"{arm}{subject}", "treatment": arm, "timepoint": float(t)}
                tables.append(table.assign(**named))
    return pd.concat(tables, ignore_index=True)


def hutcheson(sizes: pd.DataFrame) -> float:
    """Two-sided p value of Shannon entropies of pooled cells (Hutcheson 1970)."""
    found = []
    for _, arm in sizes.groupby("treatment"):
        n = arm.groupby("clone")["n_cells"].sum().to_numpy(float)
        share = n[n > 0] / n.sum()
        entropy = -(share * np.log(share)).sum()
        found.append((entropy, ((share * np.log(share) ** 2).sum() - entropy**2) / n.sum()))
    return float(2 * norm.sf(abs(found[0][0] - found[1][0]) / np.sqrt(found[0][1] + found[1][1])))


def treatments(tables: int, seed: int) -> None:
    """Print false differences between treatments."""
    print(
        "\nsubjects an arm, scatter, cells | p < .05 for q 0, 1, 2 (%) | change since baseline | pooled cells"
    )
    for subjects, scatter, cells in ((3, 50, 300), (5, 20, 300), (5, 100, 100), (5, 100, 1000), (8, 50, 300)):
        rng = np.random.default_rng(seed)
        level, change, pooled = [], [], []
        for _ in range(tables):
            sizes = study(rng, subjects, scatter, cells, 2)
            diversity = clone_diversity(sizes)
            for found, baseline in ((level, None), (change, 0.0)):
                table = diversity_by_treatment(diversity, control="vehicle", baseline=baseline)
                rows = table[(table["treatment"] == "drug") & (table["timepoint"] == 1)]
                found.append(rows.sort_values("q")["p_value"].to_numpy() < 0.05)
            pooled.append(hutcheson(sizes[sizes["timepoint"] == 1]) < 0.05)
        shown = [" ".join(f"{x:4.1f}" for x in 100 * np.mean(found, axis=0)) for found in (level, change)]
        print(
            f"{subjects}, {scatter}, {cells} | {shown[0]} | {shown[1]} | {100 * np.mean(pooled):.1f}",
            flush=True,
        )


def turnover(tables: int, seed: int) -> None:
    """Print false changes between two samples of one composition."""
    print("\nclones, cells, cells | change p < .05 (%) | more gained | more lost | chi-square")
    for clones, n, m in ((3, 50, 50), (15, 300, 300), (15, 100, 5000), (100, 300, 300), (2000, 1000, 10_000)):
        rng = np.random.default_rng(seed)
        rows, chi = [], []
        for k in range(tables):
            share = rng.dirichlet(np.full(clones, 0.5))
            x, y = rng.multinomial(n, share), rng.multinomial(m, share)
            for t, counts in enumerate((x, y)):
                table = pd.DataFrame({"clone": np.arange(clones), "n_cells": counts})
                rows.append(table.assign(subject=k, treatment="a", timepoint=t))
            both = np.stack([x, y])[:, x + y > 0]
            chi.append(chi2_contingency(both).pvalue if both.shape[1] > 1 else 1.0)
        found = clone_turnover(pd.concat(rows, ignore_index=True))
        shares = [100 * (found[f"{name}p_value"] < 0.05).mean() for name in ("", "gained_", "lost_")]
        text = " | ".join(f"{share:.1f}" for share in shares)
        print(f"{clones}, {n}, {m} | {text} | {100 * np.mean(np.array(chi) < 0.05):.1f}", flush=True)


def neutral(tables: int, seed: int) -> None:
    """Print false departures of neutral clones, and the power against lognormal sizes."""
    print("\nmean size, clones, share seen | p < .05 (%) | lognormal, sd 1.6 (%)")
    for mean, clones, seen in ((5, 15, 1.0), (20, 30, 1.0), (100, 30, 0.2), (100, 100, 1.0)):
        rng = np.random.default_rng(seed)
        false, power = [], []
        for _ in range(tables // 2):
            whole = rng.geometric(1 / mean, (4, clones))
            broad = np.ceil(mean / 3 * rng.lognormal(0, 1.6, (4, clones))).astype(int)
            for found, drawn in ((false, whole), (power, broad)):
                counts = rng.binomial(drawn, seen)
                table = pd.DataFrame({"clone": np.tile(np.arange(clones), 4), "n_cells": counts.ravel()})
                table = table.assign(subject=np.repeat(np.arange(4), clones), treatment="a", timepoint=0)
                found.append(size_departure(table)["p_value"].iloc[0] < 0.05)
        print(
            f"{mean}, {clones}, {seen} | {100 * np.mean(false):.1f} | {100 * np.mean(power):.1f}", flush=True
        )


def speed(seed: int) -> None:
    """Print seconds for tables of usual and of large size."""
    print("\nclones x samples | diversity (s) | turnover (s)")
    rng = np.random.default_rng(seed)
    for clones, samples, cells in ((5, 20, 100), (50, 40, 1000), (100_000, 100, 200_000)):
        share = rng.dirichlet(np.full(clones, 0.1))
        parts = []
        for k in range(samples):
            counts = rng.multinomial(cells, share)
            own = np.flatnonzero(counts)
            table = pd.DataFrame({"clone": own, "n_cells": counts[own]})
            parts.append(table.assign(subject=k // 10, treatment="a", timepoint=k % 10))
        sizes = pd.concat(parts, ignore_index=True)
        seconds = []
        for call in (clone_diversity, clone_turnover):
            start = time.perf_counter()
            call(sizes)
            seconds.append(time.perf_counter() - start)
        print(f"{clones} x {samples} | {seconds[0]:.2f} | {seconds[1]:.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--bootstrap", type=int, default=0, help="samples with bootstraps beside")
    parser.add_argument("--tables", type=int, default=400)
    parser.add_argument("--seed", type=int, default=100)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    speed(given.seed)
    turnover(given.tables, given.seed)
    neutral(given.tables, given.seed)
    treatments(given.tables, given.seed)
    intervals(given.samples, given.bootstrap, given.seed)
