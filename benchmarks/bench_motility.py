"""Motility and division from planted tracks: estimates, coverage of intervals, null comparisons.

    python benchmarks/bench_motility.py [--seeds 200] [--first 0]

Cells are persistent random walkers (velocity an Ornstein-Uhlenbeck process, drawn exactly), imaged every
interval with a localisation error, dividing at a constant rate, in a square field that they may leave.
Reported: bias and coverage of persistence, motility coefficient, speed and division rate, within one subject
(families as units) and over subjects (speed differs between subjects), and how often a comparison of two
treatments without a difference gives p < .05. "plain": Fürth's formula as usually fitted to the same lags,
unweighted and without localisation error.
"""

import argparse
import time

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

from rgbtrack.link import (
    MotilityParams,
    clone_motility,
    furth,
    mean_squared_displacement,
    motility_by_treatment,
)


def walkers(
    rng: np.random.Generator,
    *,
    n_start: int = 40,
    n_frames: int = 40,
    interval_h: float = 0.25,
    speed: float = 20.0,
    persistence_h: float = 0.7,
    error_um: float = 1.0,
    division_rate: float = 0.04,
    loss_rate: float = 0.02,
    dimensions: int = 2,
    image_id: str = "a",
) -> pd.DataFrame:
    """Tracks of dividing, dying persistent random walkers; `speed` is the root mean square speed, um/h."""
    sd = speed / np.sqrt(dimensions)
    decay = np.exp(-interval_h / persistence_h)
    # joint law of the velocity's and the place's innovations over one interval
    x = interval_h / persistence_h
    v_var = sd**2 * (1 - decay**2)
    cov = sd**2 * persistence_h * (1 - decay) ** 2
    p_var = sd**2 * persistence_h**2 * (2 * x - 3 + 4 * decay - decay**2)
    chol = np.linalg.cholesky(np.array([[v_var, cov], [cov, p_var]]))
    place = rng.uniform(0, 2000, (n_start, dimensions))
    velocity = rng.normal(0, sd, (n_start, dimensions))
    track, parent = np.arange(1, n_start + 1), np.full(n_start, -1)
    frames, top = [], n_start
    for t in range(n_frames):
        table = pd.DataFrame(
            place + rng.normal(0, error_um, place.shape), columns=["y_um", "x_um", "z_um"][:dimensions]
        )
        frames.append(table.assign(frame=t, track=track, parent=parent, cell=np.arange(1, len(table) + 1)))
        noise = np.einsum("ab,bnd->and", chol, rng.standard_normal((2, *place.shape)))
        place = place + velocity * persistence_h * (1 - decay) + noise[1]
        velocity = velocity * decay + noise[0]
        event = rng.random(len(place))
        total = division_rate + loss_rate
        happens = event < 1 - np.exp(-total * interval_h)
        dies = happens & (rng.random(len(place)) < loss_rate / total)
        divides = happens & ~dies
        stays = np.flatnonzero(~happens)
        twins = np.repeat(np.flatnonzero(divides), 2)
        new = top + 1 + np.arange(len(twins))
        top += len(twins)
        keep = np.concatenate([stays, twins])
        parent = np.concatenate([parent[stays], track[twins]])
        track = np.concatenate([track[stays], new])
        place = place[keep]
        velocity = np.concatenate([velocity[stays], rng.normal(0, sd, (len(twins), dimensions))])
    cells = pd.concat(frames, ignore_index=True)
    cells["parent"] = cells["parent"].where(cells["parent"] > 0).astype("Int64")
    return cells.assign(image_id=image_id, frame_interval_h=interval_h)


def experiment(
    rng: np.random.Generator, n_subjects: int, *, spread: float = 0.2, **settings: float
) -> pd.DataFrame:
    """Subjects of two treatments that differ in nothing but chance; ln sd of speed and rate between them."""
    parts = []
    for k in range(2 * n_subjects):
        own = dict(settings)
        own["speed"] = 20.0 * np.exp(rng.normal(0, spread))
        own["division_rate"] = 0.04 * np.exp(rng.normal(0, spread))
        name = f"m{k:02d}"
        cells = walkers(rng, n_start=15, n_frames=24, image_id=name, **own)
        parts.append(cells.assign(subject=name, treatment=("drug" if k % 2 else "vehicle")))
    return pd.concat(parts, ignore_index=True)


def plain_fit(cells: pd.DataFrame) -> tuple[float, float]:
    """Persistence and speed as usually fitted: all lags alike, unweighted, no localisation error."""
    msd = mean_squared_displacement(cells, by=())
    msd = msd[msd["fit_um2"].notna()]
    (persistence, speed), _ = curve_fit(
        lambda lag, p, s: furth(lag, np.exp(p), np.exp(s)),
        msd["lag_h"],
        msd["msd_um2"],
        p0=(0.0, 2.5),
        maxfev=20000,
    )
    return float(np.exp(persistence)), float(np.exp(speed))


def within(seeds: range, label: str, **settings: float) -> None:
    """Coverage in one subject."""
    truth = {
        "speed": 20.0,
        "persistence_h": 0.7,
        "division_rate": 0.04,
        "error_um": 1.0,
        "dimensions": 2,
    } | settings
    known = {
        "persistence": truth["persistence_h"],
        "motility": truth["speed"] ** 2 * truth["persistence_h"] / truth["dimensions"],
        "rms_speed": truth["speed"],
        "division_rate": truth["division_rate"],
    }
    rows, plain, started = [], [], time.perf_counter()
    for seed in seeds:
        cells = walkers(np.random.default_rng(seed), **settings)
        rows.append(clone_motility(cells, MotilityParams(), by=()))
        plain.append(plain_fit(cells))
    table = pd.concat(rows, ignore_index=True)
    seconds = (time.perf_counter() - started) / len(seeds)
    print(f"\n{label}: {truth}, {seconds:.2f} s an experiment, simulation included")
    for stem, value in known.items():
        name = {"persistence": "persistence_h", "motility": "motility_um2_h", "rms_speed": "rms_speed_um_h"}
        got, low, high = table[name.get(stem, f"{stem}_per_h")], table[f"{stem}_low"], table[f"{stem}_high"]
        covered = ((low.isna() | (low <= value)) & (high.isna() | (high >= value))).mean()
        print(
            f"  {stem:14s} true {value:8.3f}  median {got.median():8.3f}  error sd "
            f"{np.log(got / value).std():.3f} "
            f"of ln  covered {covered:.3f}  none {got.isna().mean():.2f}"
        )
    error = table["localisation_um"]
    for stem, values in zip(("persistence", "rms_speed"), np.array(plain).T, strict=True):
        print(
            f"  plain {stem:12s}            median {np.median(values):8.3f}  error sd "
            f"{np.log(values).std():.3f} of ln"
        )
    print(f"  localisation   true {truth['error_um']:8.3f}  median {error.median():8.3f}")
    raw, fixed = table["speed_um_h"].median(), table["speed_corrected_um_h"].median()
    print(
        f"  speed of steps: as measured {raw:.2f} um/h (mean), without error {fixed:.2f} (root mean square)"
    )


def between(seeds: range, n_subjects: int) -> None:
    """Coverage over subjects, and null comparisons."""
    covered: dict[str, list[bool]] = {"motility": [], "rms_speed": []}
    null: list[pd.DataFrame] = []
    # the pool's speed is the root mean square over subjects: E exp(2 e) = exp(2 s²)
    speed2 = 400.0 * np.exp(2 * 0.2**2)
    known = {"motility": speed2 * 0.7 / 2, "rms_speed": np.sqrt(speed2)}
    for seed in seeds:
        cells = experiment(np.random.default_rng(seed), n_subjects)
        pool = clone_motility(cells[cells["treatment"] == "drug"], by=()).iloc[0]
        for stem, value in known.items():
            covered[stem].append(bool(pool[f"{stem}_low"] <= value <= pool[f"{stem}_high"]))
        null.append(motility_by_treatment(cells))
    print(f"\n{n_subjects} subjects an arm, ln sd .2 between subjects:")
    print("  covered  " + ", ".join(f"{stem} {np.mean(hits):.3f}" for stem, hits in covered.items()))
    table = pd.concat(null)
    false = table.groupby("measure")["p"].agg(lambda p: (p < 0.05).mean())
    print("  null p < .05: " + ", ".join(f"{name} {share:.3f}" for name, share in false.items()))
    print(f"  all measures together {(table['p'] < 0.05).mean():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    chosen = range(args.first, args.first + args.seeds)
    within(chosen, "typical")
    within(chosen, "3-D", dimensions=3)
    within(chosen, "slow cells, large error", speed=6.0, error_um=2.0)
    within(chosen, "persistence of a frame", persistence_h=0.25)
    within(chosen, "long persistence", persistence_h=2.5)
    within(chosen, "few cells", n_start=12)
    for n in (3, 5, 8):
        between(range(args.first, args.first + args.seeds), n)
