"""Clonal identity against planted truth: adjusted Rand index, calibration and time.

    python benchmarks/bench_clones.py [easy] [medium] [drift] [--seeds 3]

"limit" is the classifier that knows the true parameters; rejects count as singletons.
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from rgbtrack.clones import ClonesParams, fit_clones
from rgbtrack.clones.mixture import all_clones, likelihood
from rgbtrack.clones.ray import Spread


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


def singletons(called: np.ndarray) -> np.ndarray:
    """Give every reject a label of its own."""
    called = called.copy()
    rejects = called < 0
    called[rejects] = called.max(initial=0) + 1 + np.arange(rejects.sum())
    return called


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
    """ARI over true marked cells, share called, calibration error, unmarked called."""
    real = truth > 0
    called = result["clone"].fillna(-1).to_numpy(dtype=int)
    ari = adjusted_rand_score(truth[real], singletons(called[real]))
    ok = real & (called > 0)
    probability = result["clone_probability"].to_numpy()[ok]
    both = pd.DataFrame({"c": called[ok], "t": truth[ok]})
    major = both.groupby("c")["t"].agg(lambda v: v.mode().iloc[0])
    right = (both["c"].map(major) == both["t"]).to_numpy()
    bins = np.minimum((probability * 10).astype(int), 9)
    ece = sum(
        abs(right[bins == b].mean() - probability[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    )
    return {
        "ari": ari,
        "called": ok.sum() / real.sum(),
        "ece": float(ece),
        "unmarked_called": float((called[truth == 0] > 0).mean()) if (truth == 0).any() else 0.0,
    }


def main() -> None:
    """Print one line per setting and seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=["easy", "medium", "drift"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--method", default="ray")
    parser.add_argument("--gains", default="auto")
    parser.add_argument("--starts", type=int, default=3)
    options = parser.parse_args()
    for name in options.settings:
        setting = SETTINGS[name]
        for seed in range(options.seeds):
            table, truth, colours = plant(setting, seed)
            params = ClonesParams(method=options.method, gains=options.gains, starts=options.starts)
            begun = time.perf_counter()
            model = fit_clones(table, params)
            fitted = time.perf_counter() - begun
            result = model.assign(table)
            figures = {"limit": limit(table, truth, colours, setting), **score(result, truth)}
            line = " ".join(f"{key} {value:.3f}" for key, value in figures.items())
            print(
                f"{name} {seed}: {line} K {model.n_clones} ({len(np.unique(truth[truth > 0]))}) "
                f"s_e {model.spread_colour:.3f} s_g {model.spread_brightness:.3f} "
                f"scale {model.error_scale.round(2)} junk {model.junk_weight:.3f} {fitted:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
