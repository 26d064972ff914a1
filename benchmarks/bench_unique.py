"""Is a clone one founder? The stated probability against planted founders.

    python benchmarks/bench_unique.py [easy] [medium] [...] [--seeds 10] [--first 0]

A called clone is one founder if no other founder provides more than a tenth of its cells. Pooled over seeds:
share of called clones that are one founder, mean stated probability, calibration error (ten bins of equal
mass) and Brier score, beside those of the constant (the share itself, which nobody knows) and of "always 1".
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rgbtrack.clones import ClonesParams, assign_clones, describe_clones, fit_clones
from rgbtrack.evaluate import calibration_error

NAMES = ("red", "green", "blue", "far", "deep", "teal", "pink")


@dataclass(frozen=True)
class Setting:
    """A planted experiment: founders, cells, spread of colour within a clone."""

    n_founders: int
    n_cells: int
    colour: float = 0.12
    n_markers: int = 3
    brightness: float = 0.4
    size_sd: float = 1.0
    share_marked: float = 0.5
    copy_sd: float = 0.6
    light: float = 1.0
    day0: bool = False


SETTINGS = {
    "easy": Setting(15, 2000, 0.08),
    "medium": Setting(40, 4000),
    "hard": Setting(100, 6000),
    "few": Setting(5, 600, 0.1),
    "two": Setting(12, 1500, 0.1, n_markers=2),
    "four": Setting(40, 4000, n_markers=4),
    "skewed": Setting(40, 4000, size_sd=2.0),
    "even": Setting(40, 4000, size_sd=0.3),
    "many_copies": Setting(40, 4000, share_marked=0.85, copy_sd=0.4),
    "rare_copies": Setting(40, 4000, share_marked=0.25, copy_sd=0.8),
    "dim": Setting(30, 3000, 0.1, light=0.05),
    "day0": Setting(40, 4000, size_sd=1.5, day0=True),
    "past": Setting(300, 6000),
}


def plant(setting: Setting, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return cells and the true founder of each (0: unmarked, -1: junk).

    Poisson copies, each expressed lognormally; with ``day0``, the first half of the cells is a sample at
    timepoint 0, where founders are of one size, and the second half is taken after they have grown unevenly.
    """
    rng = np.random.default_rng([seed, setting.n_founders, setting.n_cells])
    k, d, n = setting.n_founders, setting.n_markers, setting.n_cells
    colours = np.zeros((k, d))
    for c in range(k):
        while not colours[c].any():
            copies = rng.poisson(-np.log1p(-setting.share_marked), d)
            colours[c] = [1000 * rng.lognormal(0, setting.copy_sd, m).sum() for m in copies]
    colours *= setting.light
    timepoint = np.where(np.arange(n) < n // 2, 0.0, 14.0) if setting.day0 else np.zeros(n)
    share = rng.lognormal(0, setting.size_sd, k)
    truth = rng.choice(k, n, p=share / share.sum()) + 1
    if setting.day0:
        share = rng.lognormal(0, 0.3, k)
        truth[timepoint == 0] = rng.choice(k, (timepoint == 0).sum(), p=share / share.sum()) + 1
    luck = rng.random(n)
    truth[luck < 0.05] = 0
    truth[luck > 0.99] = -1
    odd = truth == -1
    signal = np.vstack([np.zeros(d), colours])[np.maximum(truth, 0)]
    signal[odd] = colours[rng.integers(k, size=(2, odd.sum()))].mean(axis=0)
    signal *= np.exp(rng.normal(0, setting.brightness, (n, 1)) + rng.normal(0, setting.colour, (n, d)))
    se = np.sqrt((signal / 20 + 150) * rng.uniform(0.7, 1.4, (n, 1)))
    x = signal + rng.normal(0, 1, (n, d)) * se
    values = {name: x[:, j] for j, name in enumerate(NAMES[:d])}
    errors = {f"{name}_se": se[:, j] for j, name in enumerate(NAMES[:d])}
    head = {"image_id": "im", "frame": 0, "cell": np.arange(n) + 1, "timepoint": timepoint}
    return pd.DataFrame({**head, **values, **errors}), truth


def one_founder(clone: pd.Series, truth: np.ndarray) -> pd.Series:
    """Whether no founder but the first provides more than a tenth of a called clone's cells."""
    real = (truth > 0) & clone.notna().to_numpy()
    table = pd.crosstab(clone[real].astype(int), truth[real])
    shares = np.sort(table.to_numpy() / table.to_numpy().sum(axis=1, keepdims=True), axis=1)
    second = shares[:, -2] if shares.shape[1] > 1 else np.zeros(len(table))
    return pd.Series(second <= 0.1, index=table.index)


def main() -> None:
    """Print one line per setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    print(
        "setting      clones  founders  one founder  stated  error  Brier  constant  always 1  s", flush=True
    )
    for name in options.settings:
        setting = SETTINGS[name]
        params = ClonesParams(starts=1, founders={"timepoint": 0} if setting.day0 else {})
        stated, right, n_founders = [], [], 0
        begun = time.perf_counter()
        for seed in range(options.first, options.first + options.seeds):
            cells, truth = plant(setting, seed)
            model = fit_clones(cells, params)
            cells = assign_clones(cells, model=model)
            clones = describe_clones(cells, model, params).set_index("clone")
            unique = one_founder(cells["clone"], truth)
            stated.append(clones.loc[unique.index, "unique_probability"].to_numpy())
            right.append(unique.to_numpy(dtype=float))
            n_founders += len(np.unique(truth[truth > 0]))
        p, u = np.concatenate(stated), np.concatenate(right)
        error = calibration_error(p, u)
        print(
            f"{name:12} {len(p):6} {n_founders:9} {u.mean():12.2f} {p.mean():7.2f} {error:6.3f} "
            f"{np.square(p - u).mean():6.3f} {u.mean() * (1 - u.mean()):9.3f} {1 - u.mean():9.3f} "
            f"{time.perf_counter() - begun:4.0f}",
            flush=True,
        )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
