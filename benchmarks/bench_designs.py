"""Response in designs of all kinds: false positives, intervals, heterogeneity, power; planted tables.

    python benchmarks/bench_designs.py [--tables 200] [--effect 0] [--seed 0] [DESIGN ...]

With ``--effect`` a quarter of the clones is multiplied by 2^effect in treated arms (after the event, where
there is one); power is of those clones, everything else of the others.
"""

import argparse
import warnings

import numpy as np
import pandas as pd

from rgbtrack import ParamError, RgbtrackWarning, clone_response, response_heterogeneity

EVENT, DAYS, WITHIN_SD = 7.0, (0.0, 7.0, 14.0, 21.0), 0.2
ARMS = ("vehicle", "drug", "other")
DESIGNS = {
    "2 v 2": {"subjects": (2, 2)},
    "3 v 3": {"subjects": (3, 3)},
    "3 v 3, Dirichlet 60": {"subjects": (3, 3), "sd": 0.0, "concentration": 60.0},
    "3 v 3, 30 to 200 cells": {"subjects": (3, 3), "cells": (30, 200)},
    "2 v 8": {"subjects": (2, 8)},
    "8 v 2": {"subjects": (8, 2)},
    "8 v 8": {"subjects": (8, 8)},
    "2 clones": {"clones": 2},
    "3 clones": {"clones": 3},
    "5 clones": {"clones": 5},
    "50 clones": {"clones": 50},
    "very unequal clones": {"size_sd": 2.0, "sd": 0.0, "concentration": 100.0},
    "three arms": {"subjects": (5, 5, 5)},
    "factorial, 3 a cell": {"kind": "factorial", "subjects": (3,)},
    "within, 3 subjects": {"kind": "within", "subjects": (3,)},
    "within, 5 subjects": {"kind": "within", "subjects": (5,)},
    "event, 3 v 3": {"kind": "event", "subjects": (3, 3)},
    "event, 5 v 5": {"kind": "event", "subjects": (5, 5)},
    "event, one arm of 5": {"kind": "event", "subjects": (5,)},
    "event, clones that drift": {"kind": "drift", "subjects": (5, 5)},
    "mean of four days, 4 v 4": {"kind": "mean", "subjects": (4, 4)},
}


def draw(
    rng,
    effect,
    *,
    kind="plain",
    subjects=(5, 5),
    clones=15,
    sd=0.3,
    concentration=None,
    size_sd=1.0,
    cells=(200, 2000),
):
    """Clone sizes of one experiment, and the planted log2 effects, shape (clones,)."""
    share = rng.lognormal(0, size_sd, clones)
    planted = np.zeros(clones)
    planted[rng.permutation(clones)[: max(1, clones // 4)]] = effect
    rows = []

    def animal():
        own = share * np.exp(rng.normal(0, sd, clones))
        own /= own.sum()
        return rng.dirichlet(np.maximum(concentration * own, 1e-3)) if concentration else own

    def sample(subject, arm, own, **more):
        n = rng.multinomial(int(np.exp(rng.uniform(*np.log(cells)))), own / own.sum())
        told = {"subject": subject, "treatment": ARMS[arm], **more}
        rows.extend({"clone": k, "n_cells": n[k], **told} for k in range(clones))

    if kind == "factorial":
        for arm, inhibitor in ((0, "none"), (1, "none"), (0, "blocked"), (1, "blocked")):
            for s in range(subjects[0]):
                sample(f"{arm}{inhibitor}{s}", arm, animal() * 2 ** (planted * arm), inhibitor=inhibitor)
    elif kind == "within":
        for s in range(subjects[0]):
            own = animal()
            for arm in (0, 1):
                sample(f"{s}", arm, own * np.exp(rng.normal(0, WITHIN_SD, clones)) * 2 ** (planted * arm))
    else:
        one = len(subjects) == 1
        for arm, n in enumerate(subjects):
            for s in range(n):
                own, drift = animal(), rng.normal(0, WITHIN_SD, clones)
                for day in (0.0,) if kind == "plain" else DAYS:
                    stray = drift * day / 14 if kind == "drift" else rng.normal(0, WITHIN_SD, clones)
                    stray = stray if kind != "plain" else 0.0
                    acts = (arm > 0 or one) and (day > EVENT or kind in ("plain", "mean"))
                    sample(f"{arm}_{s}", arm, own * np.exp(stray) * 2 ** (planted * acts), timepoint=day)
    return pd.DataFrame(rows), planted


def score(name, tables, effect, seed):
    """Shares over all tables of a design."""
    kind = DESIGNS[name].get("kind", "plain")
    settings = {"control": "vehicle"}
    if kind in ("event", "drift"):
        settings["event_time"] = EVENT
    if kind == "mean":
        settings["timepoint"] = "mean"
    if kind == "factorial":
        settings["control"] = {"treatment": "vehicle", "inhibitor": "none"}
    rng = np.random.default_rng([seed, list(DESIGNS).index(name)])
    found, different = [], []
    for _ in range(tables):
        sizes, planted = draw(rng, effect, **DESIGNS[name])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            one = clone_response(sizes, **settings)
            different.append(response_heterogeneity(sizes, rotations=399, **settings).assign(effect=effect))
        acting = one["treatment"].isin(ARMS)
        found.append(one.assign(truth=planted[one["clone"].to_numpy(int)] * acting).dropna(subset="p_value"))
    found, different = pd.concat(found), pd.concat(different)
    null, hit = found[found["truth"] == 0], found[found["truth"] != 0]
    covered = (found["low"] <= found["truth"]) & (found["truth"] <= found["high"])
    of_treatment = different[different["treatment"].isin(ARMS)]
    return {
        "false +": (null["p_value"] < 0.05).mean(),
        "second model": (null["second_p_value"] < 0.05).mean(),
        "interval": covered.mean(),
        "heterogeneity": (of_treatment["p_value"] < 0.05).mean(),
        "power": (hit["p_value"] < 0.05).mean(),
    }


def main():
    """Print one line per design."""
    parser = argparse.ArgumentParser()
    parser.add_argument("designs", nargs="*", default=list(DESIGNS))
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--effect", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    unknown = [name for name in args.designs if name not in DESIGNS]
    if unknown:
        raise ParamError(f"designs are {', '.join(DESIGNS)}, found {', '.join(unknown)}")
    for name in args.designs:
        told = score(name, args.tables, args.effect, args.seed)
        shares = " ".join(f"{what} {value:.3f}" for what, value in told.items())
        print(f"{name:26} {shares}", flush=True)


if __name__ == "__main__":
    main()
