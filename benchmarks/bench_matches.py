"""Clones of different subjects matched by colour: the stated probability against planted founders.

    python benchmarks/bench_matches.py [independent] [some] [...] [--seeds 10] [--first 0] [--planted]

Every subject has clones of its own (``palette = "subject"``), found by `fit_clones`. Two called clones match
in truth if most cells of both are of one founder. Pooled over seeds and all pairs of subjects: pairs called
alike in truth, pairs stated at 0.5 or more, precision and recall of these, the calibration error of
``match_probability`` over the listed pairs, the sum of that probability ("expected"), and the calibration
error and mean of ``alone_probability`` over clones (ten bins of equal mass). With ``--planted`` the true
clones are matched, so that only the matching is scored. With ``--one-palette`` all subjects share their
clones: ``match_probability`` of a clone with itself in another subject, against the share of pairs of cells,
one of each subject, that are of one founder.
"""

import argparse
import time
import warnings
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from rgbtrack.clones import ClonesParams, assign_clones, fit_clones, match_subjects
from rgbtrack.evaluate import calibration_error

NAMES = ("red", "green", "blue", "far", "deep")


@dataclass(frozen=True)
class Setting:
    """A planted experiment: founders of each subject, the share it has from a common pool, its cells."""

    shared: float
    n_founders: int = 15
    n_cells: int = 1000
    n_markers: int = 3
    subjects: int = 2
    gain_sd: float = 0.1
    colour: float = 0.1
    near: float = 0.0
    size_sd: float = 1.0
    light: float = 1000.0


SETTINGS = {
    "independent": Setting(0.0),
    "some": Setting(0.3),
    "all": Setting(1.0),
    "no_gains": Setting(0.5, gain_sd=0.0),
    "wide_gains": Setting(0.5, gain_sd=0.2),
    "near_pairs": Setting(0.5, near=0.3),
    "two_markers": Setting(0.5, n_markers=2, n_founders=8),
    "four_markers": Setting(0.5, n_markers=4),
    "many": Setting(0.5, n_founders=40, n_cells=3000),
    "few": Setting(0.5, n_founders=3, n_cells=300),
    "few_none": Setting(0.0, n_founders=3, n_cells=300),
    "five_subjects": Setting(0.3, n_founders=8, n_cells=600, subjects=5),
    "five_none": Setting(0.0, n_founders=8, n_cells=600, subjects=5),
    "dim": Setting(0.5, light=60.0),
}


def draw_colours(setting: Setting, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return colours of founders; a share of them lie within 10 % of another."""
    colours = np.zeros((n, setting.n_markers))
    for c in range(n):
        while not colours[c].any():
            copies = rng.poisson(0.7, setting.n_markers)
            colours[c] = [setting.light * rng.lognormal(0, 0.6, m).sum() for m in copies]
        if c and rng.random() < setting.near:
            colours[c] = colours[rng.integers(c)] * rng.lognormal(0, 0.1, setting.n_markers)
    return colours


def plant(setting: Setting, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return cells and the true founder of each (0: unmarked).

    Founders of a subject come from a pool that all subjects draw from, a share of ``shared``, or are its own.
    Their sizes vary as much by founder as by founder and subject.
    """
    rng = np.random.default_rng([seed, setting.n_founders, setting.n_markers])
    k, d, n = setting.n_founders, setting.n_markers, setting.n_cells
    n_pool = round(setting.shared * k)
    colours = draw_colours(setting, n_pool + (k - n_pool) * setting.subjects, rng)
    pool_share = rng.lognormal(0, 0.7 * setting.size_sd, len(colours))
    tables, truths = [], []
    for s in range(setting.subjects):
        first = n_pool + (k - n_pool) * s
        own = np.append(np.arange(n_pool), np.arange(first, first + k - n_pool))
        share = pool_share[own] * rng.lognormal(0, 0.7 * setting.size_sd, k)
        founder = rng.choice(own, n, p=share / share.sum())
        marked = rng.random(n) > 0.05
        gain = np.exp(rng.normal(0, setting.gain_sd, d))
        signal = colours[founder] * marked[:, None] * gain
        signal *= np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, setting.colour, (n, d)))
        se = np.sqrt((signal / 20 + 150) * rng.uniform(0.7, 1.4, (n, 1)))
        x = signal + rng.normal(0, 1, (n, d)) * se
        values = {name: x[:, j] for j, name in enumerate(NAMES[:d])}
        errors = {f"{name}_se": se[:, j] for j, name in enumerate(NAMES[:d])}
        head = {"image_id": f"im{s}", "frame": 0, "cell": np.arange(n) + 1, "subject": f"m{s + 1}"}
        tables.append(pd.DataFrame({**head, **values, **errors}))
        truths.append(np.where(marked, founder + 1, 0))
    return pd.concat(tables, ignore_index=True), np.concatenate(truths)


def main_founders(clone: pd.Series, truth: np.ndarray) -> dict[int, int]:
    """Founder of most cells of each clone."""
    called = clone.notna().to_numpy() & (truth > 0)
    table = pd.crosstab(clone[called].astype(int), truth[called])
    return {int(number): int(founder) for number, founder in table.idxmax(axis=1).items()}


def planted_clones(subject: pd.Series, truth: np.ndarray) -> pd.Series:
    """Number the founders of each subject on their own, those of 3 cells or more."""
    names = subject.str.cat(pd.Series(truth.astype(str), subject.index), sep="/")
    known = (truth > 0) & (names.groupby(names).transform("size") >= 3)
    return names.where(known).astype("category").cat.codes.add(1).astype("Int64").where(known)


def score_one_palette(options: argparse.Namespace) -> None:
    """Print one line per setting: clones of all subjects, each taken for one lineage."""
    print("setting        pairs  same founder  stated  error  mean difference", flush=True)
    for name in options.settings:
        stated, right = [], []
        for seed in range(options.first, options.first + options.seeds):
            cells, truth = plant(SETTINGS[name], seed)
            params = ClonesParams(starts=1, gains="image")
            model = fit_clones(cells, params)
            cells = assign_clones(cells, model=model)
            matches = match_subjects(cells, model, params)
            same = matches[matches["clone"] == matches["other_clone"]]
            told = same.set_index(["clone", "subject", "other_subject"])["match_probability"]
            called = cells["clone"].notna().to_numpy() & (truth > 0)
            of = [cells["clone"][called].astype(int), cells["subject"][called]]
            sizes = pd.crosstab(of, truth[called])
            sizes = sizes[sizes.sum(axis=1) >= 5]
            shares = sizes.div(sizes.sum(axis=1), axis=0)
            for clone, part in shares.groupby(level=0):
                for a, b in combinations(range(len(part)), 2):
                    stated.append(told.get((clone, part.index[a][1], part.index[b][1]), 0.0))
                    right.append(float(part.iloc[a] @ part.iloc[b]))
        p, u = np.array(stated), np.array(right)
        print(
            f"{name:14} {len(p):5} {u.mean():13.2f} {p.mean():7.2f} {calibration_error(p, u):6.3f} "
            f"{np.abs(p - u).mean():16.2f}",
            flush=True,
        )


def main() -> None:
    """Print one line per setting."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--planted", action="store_true")
    parser.add_argument("--one-palette", action="store_true")
    options = parser.parse_args()
    if options.one_palette:
        score_one_palette(options)
        return
    print(
        "setting        clones  alike  stated  precision  recall  error  expected  error alone  alone  s",
        flush=True,
    )
    for name in options.settings:
        setting = SETTINGS[name]
        stated, right, alone, without = [], [], [], []
        n_clones, n_alike = 0, 0
        begun = time.perf_counter()
        for seed in range(options.first, options.first + options.seeds):
            cells, truth = plant(setting, seed)
            params = ClonesParams(palette="subject", starts=1, gains="image")
            if options.planted:
                model, cells = None, cells.assign(clone=planted_clones(cells["subject"], truth))
            else:
                model = fit_clones(cells, params)
                cells = assign_clones(cells, model=model)
            matches = match_subjects(cells, model, params)
            founder = main_founders(cells["clone"], truth)
            of = cells.dropna(subset=["clone"]).groupby("clone")["subject"].first().to_dict()
            held = {(of[c], f) for c, f in founder.items()}
            n_clones += len(founder)
            n_alike += sum(a < b and f == g for a, f in held for b, g in held)
            once = matches[(matches["subject"] < matches["other_subject"]) & matches["other_clone"].notna()]
            stated += once["match_probability"].tolist()
            right += [
                founder.get(a) is not None and founder.get(a) == founder.get(b)
                for a, b in zip(once["clone"], once["other_clone"], strict=True)
            ]
            first = matches.drop_duplicates(["clone", "other_subject"])
            alone += first["alone_probability"].tolist()
            without += [
                (other, founder.get(c)) not in held
                for c, other in zip(first["clone"], first["other_subject"], strict=True)
            ]
        p, u = np.array(stated), np.array(right, float)
        likely = p >= 0.5
        precision = u[likely].mean() if likely.any() else np.nan
        recall = u[likely].sum() / n_alike if n_alike else np.nan
        print(
            f"{name:14} {n_clones:6} {n_alike:6} {likely.sum():7} {precision:10.2f} {recall:7.2f} "
            f"{calibration_error(p, u):6.3f} {p.sum():9.1f} {calibration_error(alone, without):12.3f} "
            f"{np.mean(alone):6.2f} {time.perf_counter() - begun:4.0f}",
            flush=True,
        )


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
