"""Response of clones to a treatment: false positives, power, false discoveries, intervals; planted tables.

    python benchmarks/bench_response.py [--tables 60] [--seeds 4] [--subjects 5] [--clones 15] [SCENE ...]

Compared in the same run: Welch's t on centred log-ratios, chi-square on pooled cells, and propeller (Phipson
et al., 2022: arcsine of the square root of shares, variances moderated over clones). Each scene draws tables
with another scatter between animals; a third of the clones is multiplied by 2^1.2 in the treated arm, all up,
or up and down. The limit is a z test told how much each clone scatters and which clones do not respond.
"""

import argparse
import time
import warnings
from collections import defaultdict

import numpy as np
import pandas as pd
from scipy import stats

from rgbtrack import ParamError, RgbtrackWarning, clone_response, response_heterogeneity

SCENES = {
    "dirichlet_20": {"concentration": 20.0},
    "dirichlet_60": {"concentration": 60.0},
    "dirichlet_200": {"concentration": 200.0},
    "lognormal_.25": {"sd": 0.25},
    "lognormal_.5": {"sd": 0.5},
    "mixed_few_cells": {"concentration": 100.0, "sd": 0.3, "cells": (60, 400)},
    "unequal_sizes": {"concentration": 100.0, "size_sd": 1.6},
    "heavy_tails": {"sd": 0.3, "tails": 3.0},
}
EFFECT = 1.2
_MORE = 200
"""Animals drawn besides, by which the limit knows the scatter."""


def draw(
    rng,
    *,
    subjects,
    clones,
    effect,
    both_ways=False,
    concentration=None,
    sd=0.0,
    size_sd=1.0,
    cells=(200, 2000),
    tails=None,
):
    """Counts (2 x subjects, clones), planted log2 effects and scatter between subjects (clones,)."""
    share = rng.lognormal(0, size_sd, clones)
    planted = np.zeros(clones)
    responders = rng.permutation(clones)[: round(clones / 3)]
    planted[responders] = effect * (rng.choice([-1, 1], len(responders)) if both_ways else 1)
    rows = []
    for subject in range(2 * subjects + _MORE):
        mean = share * 2 ** (planted * (subjects <= subject < 2 * subjects))
        mean /= mean.sum()
        scatter = (
            rng.standard_t(tails, clones) / np.sqrt(tails / (tails - 2)) if tails else rng.normal(size=clones)
        )
        own = mean * np.exp(sd * scatter)
        if concentration:
            own = rng.dirichlet(np.maximum(concentration * own / own.sum(), 1e-3))
        total = int(np.exp(rng.uniform(*np.log(cells))))
        rows.append(rng.multinomial(total, own / own.sum()))
    logs = np.log(np.array(rows[2 * subjects :]) + 0.5)
    logs -= logs[:, planted == 0].mean(axis=1, keepdims=True)
    return np.array(rows[: 2 * subjects]), planted, logs.std(axis=0)


def as_table(counts, subjects):
    """Counts as clone sizes."""
    n, k = counts.shape
    names = [f"m{s}" for s in range(n)]
    arms = ["vehicle"] * subjects + ["drug"] * (n - subjects)
    return pd.DataFrame(
        {
            "clone": np.tile(np.arange(1, k + 1), n),
            "subject": np.repeat(names, k),
            "treatment": np.repeat(arms, k),
            "timepoint": 0.0,
            "site": "primary",
            "n_cells": counts.ravel(),
        }
    )


def ours(counts, subjects):
    """Response by rgbtrack, in the order of the clones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        found = clone_response(as_table(counts, subjects), control="vehicle")
    return found.set_index("clone").reindex(np.arange(1, counts.shape[1] + 1))


def welch(counts, subjects):
    """Welch's t on centred log-ratios."""
    logs = np.log(counts + 0.5)
    logs -= logs.mean(axis=1, keepdims=True)
    return stats.ttest_ind(logs[subjects:], logs[:subjects], equal_var=False).pvalue


def chi_square(counts, subjects):
    """Chi-square of each clone against the rest, all cells of an arm in one pot."""
    arms = np.stack([counts[:subjects].sum(axis=0), counts[subjects:].sum(axis=0)])
    rest = arms.sum(axis=1, keepdims=True) - arms
    return np.array(
        [
            stats.chi2_contingency([arms[:, j], rest[:, j]], correction=False).pvalue
            if arms[:, j].sum()
            else 1.0
            for j in range(counts.shape[1])
        ]
    )


def limit(counts, subjects, stays, scatter):
    """Z test of one who knows the scatter of every clone, and which clones stay."""
    logs = np.log(counts + 0.5)
    logs -= logs[:, stays].mean(axis=1, keepdims=True)
    change = logs[subjects:].mean(axis=0) - logs[:subjects].mean(axis=0)
    return 2 * stats.norm.sf(np.abs(change) / (scatter * np.sqrt(2 / subjects)))


def propeller(counts, subjects):
    """Moderated t of arcsine square roots of shares (limma's squeezed variances, written out)."""
    from rgbtrack.dynamics.moderate import prior_of

    x = np.arcsin(np.sqrt(counts / counts.sum(axis=1, keepdims=True)))
    a, b = x[:subjects], x[subjects:]
    freedom = len(x) - 2
    variance = (((a - a.mean(0)) ** 2).sum(0) + ((b - b.mean(0)) ** 2).sum(0)) / freedom
    prior, middle = prior_of(variance, np.full_like(variance, freedom))
    pooled = (
        np.full_like(variance, middle)
        if np.isinf(prior)
        else (prior * middle + freedom * variance) / (prior + freedom)
    )
    t = (b.mean(0) - a.mean(0)) / np.sqrt(pooled * (1 / len(a) + 1 / len(b)))
    return 2 * stats.t.sf(np.abs(t), min(prior + freedom, freedom * len(variance)))


def score(args, scene, effect, both_ways, seed):
    """All measures of one scene, means over tables."""
    told = defaultdict(list)
    rng = np.random.default_rng([seed, list(SCENES).index(scene), int(effect * 10), both_ways])
    for _ in range(args.tables):
        counts, planted, scatter = draw(
            rng,
            subjects=args.subjects,
            clones=args.clones,
            effect=effect,
            both_ways=both_ways,
            **SCENES[scene],
        )
        null = planted == 0
        started = time.perf_counter()
        found = ours(counts, args.subjects)
        told["seconds"].append(time.perf_counter() - started)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tests = {
                "ours": found["p_value"].to_numpy(),
                "second": found["second_p_value"].to_numpy(),
                "welch": welch(counts, args.subjects),
                "propeller": propeller(counts, args.subjects),
                "chi2": chi_square(counts, args.subjects),
                "limit": limit(counts, args.subjects, planted == 0, scatter),
            }
        tests = {name: np.nan_to_num(p, nan=1.0) for name, p in tests.items()}
        for name, p in tests.items():
            told[f"fp_{name}"] += list(p[null] < 0.05)
            told[f"power_{name}"] += list(p[~null] < 0.05)
            q = stats.false_discovery_control(p) < 0.1
            told[f"fdr_{name}"].append((q & null).sum() / max(q.sum(), 1))
        low, high, effect_ = (found[c].to_numpy() for c in ("low", "high", "effect"))
        seen = np.isfinite(low)
        told["cover"] += list(((low <= planted) & (planted <= high))[seen])
        told["cover_changed"] += list(((low <= planted) & (planted <= high))[seen & ~null])
        told["disagree"] += list(found["models_agree"].eq(False).fillna(False)[seen])
        told["error"] += list((effect_ - planted)[seen])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            p = response_heterogeneity(as_table(counts, args.subjects), control="vehicle", rotations=999)[
                "p_value"
            ]
        told["any"].append(p.iloc[0] < 0.05)
    return {name: np.mean(of) if len(of) else np.nan for name, of in told.items()}


def main():
    """Print one line per scene."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenes", nargs="*", default=list(SCENES))
    parser.add_argument("--tables", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--subjects", type=int, default=5)
    parser.add_argument("--clones", type=int, default=15)
    args = parser.parse_args()
    unknown = [scene for scene in args.scenes if scene not in SCENES]
    if unknown:
        raise ParamError(f"scenes are {', '.join(SCENES)}, found {', '.join(unknown)}")
    for effect, both_ways in ((0.0, False), (EFFECT, False), (EFFECT, True)):
        print(f"\neffect 2^{effect}{' up and down' if both_ways else ''}")
        for scene in args.scenes:
            seeds = range(args.seeds)
            told = pd.DataFrame([score(args, scene, effect, both_ways, seed) for seed in seeds]).mean()

            def of(what, *names, told=told):
                return f"{what} " + " ".join(f"{name} {told[f'{what}_{name}']:.3f}" for name in names)

            parts = [of("fp", "ours", "second", "welch", "propeller", "chi2")]
            if effect:
                parts += [of("power", "ours", "second", "welch", "propeller", "limit")]
                parts += [of("fdr", "ours", "second", "welch", "propeller")]
            parts += [f"cover {told['cover']:.3f} ({told['cover_changed']:.3f})", f"any {told['any']:.2f}"]
            parts += [f"disagree {told['disagree']:.3f}", f"{told['seconds'] * 1e3:.0f} ms"]
            print(f"{scene:16} " + " | ".join(parts), flush=True)


if __name__ == "__main__":
    main()
