"""Clonal identity against planted truth, beside plain methods and the limit of colour.

    python benchmarks/bench_clones.py [easy] [medium] ... [--seeds 20] [--methods ray gmm hdbscan threshold]

One line for each setting and method, over all seeds. "limit" is the classifier that knows the true colours,
shares, spreads and noise. "ari" is the adjusted Rand index over marked cells, rejects as singletons; "gap" is
the limit less that; "calibration" the distance of the stated probability from the share of cells that are of
their clone's main founder; "spurious" and "missed" are clones of at least 3 cells without a partner.
``--each`` prints every seed. ``--time 100000 1000000`` times 60 founders instead, with neighbours.
"""

import argparse
import resource
import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from rgbtrack.clones import ClonesParams, assign_clones, fit_clones
from rgbtrack.clones.mixture import all_clones, likelihood
from rgbtrack.clones.ray import Spread
from rgbtrack.evaluate import calibration_error, clone_scores


@dataclass(frozen=True)
class Setting:
    """A planted experiment."""

    n_clones: int
    n_cells: int
    colour: float
    brightness: float = 0.4
    drift: float = 0.0
    n_images: int = 1
    n_markers: int = 3
    unmarked: float = 0.05
    junk: float = 0.01


SETTINGS = {
    "easy": Setting(15, 4000, 0.08),
    "medium": Setting(40, 10000, 0.12),
    "drift": Setting(15, 2400, 0.08, drift=0.1, n_images=12),
    "drift_medium": Setting(25, 2400, 0.10, drift=0.1, n_images=12),
    "small": Setting(15, 600, 0.10, n_images=6, drift=0.1),
}


def plant(setting: Setting, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return cells, true clone (0 unmarked, -1 junk) and true colours."""
    rng = np.random.default_rng(seed)
    k, d, n = setting.n_clones, setting.n_markers, setting.n_cells
    lam = -np.log(0.5)
    colours = np.zeros((k, d))
    for c in range(k):
        while not colours[c].any():
            copies = rng.poisson(lam, d)
            colours[c] = [rng.lognormal(0, 0.6, m).sum() if m else 0.0 for m in copies]
    colours *= 1000.0
    share = rng.lognormal(0, 1.0, k)
    truth = rng.choice(k, n, p=share / share.sum()) + 1
    u = rng.random(n)
    truth[u < setting.unmarked] = 0
    truth[u > 1 - setting.junk] = -1
    signal = np.zeros((n, d))
    real = truth > 0
    signal[real] = colours[truth[real] - 1]
    pair = rng.integers(k, size=(2, n))
    odd = truth == -1
    signal[odd] = 0.5 * (colours[pair[0]] + colours[pair[1]])[odd]
    h = rng.normal(0, setting.brightness, n)
    signal *= np.exp(h)[:, None] * np.exp(rng.normal(0, setting.colour, (n, d)))
    image = rng.integers(setting.n_images, size=n)
    gain = np.exp(rng.normal(0, setting.drift, (setting.n_images, d)))[image]
    signal *= gain
    # core of 100 pixels, 1 count a photon / 20, background and read noise
    variance = (signal / 20 + 150.0) * rng.uniform(0.7, 1.4, n)[:, None]
    se = np.sqrt(variance)
    x = signal + rng.normal(0, 1, (n, d)) * se
    names = ["red", "green", "blue", "m4", "m5", "m6", "m7"][:d]
    table = pd.DataFrame({"image_id": [f"im{q:02d}" for q in image], "frame": 0, "cell": np.arange(n) + 1})
    for j, name in enumerate(names):
        table[name] = x[:, j]
    for j, name in enumerate(names):
        table[f"{name}_se"] = se[:, j] * 0.8
    table.attrs["gain"] = gain
    return table, truth, colours


def limit(table: pd.DataFrame, truth: np.ndarray, colours: np.ndarray, setting: Setting) -> float:
    """ARI of the classifier that knows colours, spreads, weights and noise ."""
    names = [c for c in table.columns if f"{c}_se" in table.columns]
    real = truth > 0
    x = table.loc[real, names].to_numpy()
    se = table.loc[real, [f"{n}_se" for n in names]].to_numpy() / 0.8
    x, se = x / table.attrs["gain"][real], se / table.attrs["gain"][real]
    s = np.zeros((len(x), len(names), len(names)))
    s[:, range(len(names)), range(len(names))] = se**2
    weight = np.bincount(truth[real] - 1, minlength=len(colours)) + 1e-9
    f = likelihood(x, s, colours, all_clones(len(colours)), Spread(setting.colour, setting.brightness), 3)[0]
    return float(adjusted_rand_score(truth[real], (f + np.log(weight)).argmax(1)))


def score(result: pd.DataFrame, truth: np.ndarray) -> dict[str, float]:
    """Agreement with the founders, calibration, and how many unmarked cells were given a clone."""
    founder = pd.Series(truth, dtype="Int64").where(truth > 0)
    called = result["clone"].reset_index(drop=True)
    both = pd.DataFrame({"clone": called, "founder": founder}).dropna()
    main = both.groupby("clone")["founder"].agg(lambda of: of.mode().iloc[0])
    right = both["clone"].map(main) == both["founder"]
    stated = result["clone_probability"].reset_index(drop=True)[both.index]
    return clone_scores(called, founder) | {
        "calibration": calibration_error(stated, right),
        "unmarked_called": float(called[truth == 0].notna().mean()) if (truth == 0).any() else 0.0,
    }


def try_all(name: str, seeds: int, methods: list[str], options: argparse.Namespace) -> pd.DataFrame:
    """Score every method on every seed of a setting."""
    rows = []
    for seed in range(options.first, options.first + seeds):
        table, truth, colours = plant(SETTINGS[name], seed)
        best = limit(table, truth, colours, SETTINGS[name])
        for method in methods:
            params = ClonesParams(method=method, gains=options.gains, starts=options.starts)
            begun = time.perf_counter()
            model = fit_clones(table, params)
            seconds = time.perf_counter() - begun
            scores = score(assign_clones(table, params, model=model), truth)
            rows.append(
                {"setting": name, "method": method, "seed": seed, "limit": best, **scores}
                | {"gap": best - scores["ari"], "clones": model.n_clones, "seconds": seconds}
            )
            if options.each:
                print(
                    ", ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{v}" for k, v in rows[-1].items())
                )
    return pd.DataFrame(rows)


def time_it(n_cells: int) -> None:
    """Print the seconds to fit and to call so many cells, patches of clones in space included."""
    table, truth, _ = plant(replace(SETTINGS["medium"], n_cells=n_cells, n_clones=60, n_images=20), 5)
    rng = np.random.default_rng(5)
    patch = rng.uniform(0, 1000, (20, 61, 2))[table["image_id"].str[2:].astype(int), np.maximum(truth, 0)]
    place = patch + rng.normal(0, 150, (n_cells, 2))
    table = table.assign(y_um=place[:, 0], x_um=place[:, 1])
    begun = time.perf_counter()
    model = fit_clones(table)
    fitted = time.perf_counter()
    assign_clones(table, model=model)
    ended = time.perf_counter()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{n_cells:,} cells: fit {fitted - begun:.1f} s, call {ended - fitted:.1f} s, "
        f"{model.n_clones} clones, at most {memory:.1f} GiB so far",
        flush=True,
    )


def main() -> None:
    """Print one line per setting and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="*", default=["easy", "medium"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--methods", nargs="+", default=["ray", "gmm", "hdbscan", "threshold"])
    parser.add_argument("--gains", default="auto")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--each", action="store_true")
    parser.add_argument("--time", type=int, nargs="+", help="numbers of cells")
    options = parser.parse_args()
    if options.time:
        fit_clones(plant(SETTINGS["small"], 0)[0], ClonesParams(starts=1))  # compiled before the clock starts
        for n_cells in options.time:
            time_it(n_cells)
        return
    heads = ["setting (founders)", "method", "limit", "ARI", "gap: median", "worst", "calibration: median"]
    heads += ["worst", "clones", "spurious", "missed", "s"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name in options.settings:
        tried = try_all(name, options.seeds, options.methods, options)
        for method, of in tried.groupby("method", sort=False):
            m, top = of.median(numeric_only=True), of.max(numeric_only=True)
            print(
                f"| {name} ({SETTINGS[name].n_clones}) | {method} | {m['limit']:.3f} | {m['ari']:.3f} | "
                f"{m['gap']:.3f} | {top['gap']:.3f} | {m['calibration']:.3f} | {top['calibration']:.3f} | "
                f"{m['clones']:.0f} | {of['spurious'].mean():.1f} | "
                f"{of['missed'].mean():.1f} | {m['seconds']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
