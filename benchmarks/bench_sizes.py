"""Clone sizes against planted truth: as called, added up by probability, and unfolded.

    python benchmarks/bench_sizes.py [easy] [medium] [--seeds 12] [--first 0]

Cells are planted as by ``bench_clones.py``, in samples whose shares differ (gamma weights of shape 2 for
each founder and sample), called, and rehearsed. The true size of a called clone in a sample is the number
of cells, called for it or not, of the founders most of whose cells were called for it: a clone is a colour.
"resolved" is the share of clones whose size is unfolded; all else is over these. "error" is the root mean
square error in cells, "log" the mean distance of ln(cells + 1/2); "holds" is the share of 95 % intervals
that hold the truth, and in brackets that of counts that are exact as they are. "right" is the sum of
right_cells over the number of cells called for a clone that are of its main founder.
"""

import argparse
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from bench_clones import SETTINGS, plant

from rgbtrack import assign_clones, clone_sizes, fit_clones
from rgbtrack.clones import rehearse_calls
from rgbtrack.clones.params import ClonesParams

SAMPLES = {"easy": 8, "medium": 12}
CELLS = {"easy": 3000, "medium": 6000}


def score(name: str, seed: int) -> dict[str, float]:
    """Plant, call, rehearse, and compare sizes with the truth."""
    n = SAMPLES[name]
    table, truth, colours = plant(replace(SETTINGS[name], n_images=n, n_cells=CELLS[name]), seed)
    rng = np.random.default_rng([seed, 1])
    weight = rng.gamma(2.0, size=(len(colours) + 2, n))
    weight /= weight.sum(axis=1, keepdims=True)
    table.attrs = {}
    table["image_id"] = [f"im{rng.choice(n, p=weight[of]):02d}" for of in truth]
    table = table.assign(subject=table["image_id"], treatment="vehicle", timepoint=0.0)
    model = fit_clones(table, ClonesParams(starts=2))
    cells = assign_clones(table, model=model)
    sizes = clone_sizes(cells, rehearsed=rehearse_calls(table, model))

    both = pd.DataFrame({"clone": cells["clone"], "founder": truth, "subject": cells["subject"]})
    marked = both[both["founder"] > 0]
    called = marked[marked["clone"].notna()]
    home = called.groupby("founder")["clone"].agg(lambda of: of.mode().iloc[0])
    true = marked.assign(clone=marked["founder"].map(home)).groupby(["subject", "clone"]).size()
    sizes = sizes.merge(true.rename("true").reset_index(), on=["subject", "clone"], how="left")
    sizes["true"] = sizes["true"].fillna(0)
    main = called.groupby("clone")["founder"].agg(lambda of: of.mode().iloc[0])
    right = (called["clone"].map(main) == called["founder"]).sum()

    resolved = sizes["expected_cells"].notna()
    of = sizes[resolved]
    told = {"resolved": resolved.mean(), "right": sizes["right_cells"].sum() / right}
    for column in ("n_cells", "right_cells", "expected_cells"):
        told[f"{column} error"] = float(np.sqrt(np.square(of[column] - of["true"]).mean()))
        told[f"{column} log"] = float(np.abs(np.log((of[column] + 0.5) / (of["true"] + 0.5))).mean())
    told["holds"] = of["true"].between(of["expected_low"], of["expected_high"]).mean()
    told["exact"] = (of["n_cells"] == of["true"]).mean()
    return told


def main() -> None:
    """Print one line per setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="*", default=["easy", "medium"])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    options = parser.parse_args()
    heads = ["", "resolved", "error: called", "by probability", "unfolded", "log: called", "by probability"]
    heads += ["unfolded", "holds", "right"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name in options.settings:
        seeds = range(options.first, options.first + options.seeds)
        m = pd.DataFrame([score(name, seed) for seed in seeds]).mean()
        columns = ("n_cells", "right_cells", "expected_cells")
        error = " | ".join(f"{m[f'{column} error']:.2f}" for column in columns)
        log = " | ".join(f"{m[f'{column} log']:.3f}" for column in columns)
        print(
            f"| {name} ({SETTINGS[name].n_clones}) | {m['resolved']:.2f} | {error} | {log} | "
            f"{m['holds']:.3f} ({m['exact']:.3f}) | {m['right']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
