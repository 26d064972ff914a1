"""Rehearsed calls against planted truth: whether they foretell how often calls are right.

    python benchmarks/bench_rehearsal.py [easy] [medium] [--seeds 3]

"right": calls for the founder that provides most cells of the clone; "foretold" is by `rehearse_calls`,
"stated" the mean of ``clone_probability``.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from bench_clones import SETTINGS, plant

from rgbtrack.clones import fit_clones, rehearse_calls


def right_of(called: pd.DataFrame, truth: np.ndarray) -> float:
    """Share of the called cells that are of their clone's main founder."""
    both = pd.DataFrame({"clone": called["clone"], "truth": truth}).dropna()
    main = both.groupby("clone")["truth"].agg(lambda own: own.mode().iloc[0])
    return float(((both["clone"].map(main) == both["truth"]) & (both["truth"] > 0)).mean())


def main() -> None:
    """Print one line per setting and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=["easy", "medium"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for name in options.settings:
        for seed in range(options.seeds):
            table, truth, _ = plant(SETTINGS[name], seed)
            model = fit_clones(table)
            called = model.assign(table)
            rehearsed = rehearse_calls(table, model)
            ok = rehearsed["clone"].notna()
            same = (rehearsed["clone"] == rehearsed["true_clone"]).fillna(value=False)
            stated = called.loc[called["clone"].notna(), "clone_probability"]
            print(
                f"{name} {seed}: stated {stated.mean():.3f} "
                f"foretold {(same & rehearsed['main_founder'])[ok].mean():.3f} "
                f"right {right_of(called, truth):.3f} "
                f"unassigned foretold {1 - ok.mean():.3f} true {called['clone'].isna().mean():.3f} "
                f"clones {model.n_clones} of {SETTINGS[name].n_clones}",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
