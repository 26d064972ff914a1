"""Linking: link and division F1 of rgbtrack, and seconds. link_peers.py compares it with other trackers.

accuracy: 30 frames, 120 dividing cells, 12 clones, by step (share of the spacing) and kind of movie
changed:  the same with what linking assumes broken (tails, errors of markers, no colour ...)
second:   movies of another kind (second_walkers.py), beside place and colour in one Gaussian, frame to frame
time:     seconds by frames and cells
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from second_walkers import second_walkers

from rgbtrack import LinkParams, link_cells
from rgbtrack.simulate import MovieParams, simulate_tracks

MARKERS = ["red", "green", "blue"]
KINDS = {
    "closed": {"open_field": False, "death_rate": 0.0},
    "open": {},
    "hard": {"missed": 0.05, "false_cells": 0.05},
}
OURS = {"rgbtrack": LinkParams(), "rgbtrack by place": LinkParams(colour=False, size=False)}


def edges(cells: pd.DataFrame, prefix: str = "") -> tuple[set, set]:
    """Links from cell to cell, to daughters too, and mothers that have two."""
    track, parent = f"{prefix}track", f"{prefix}parent"
    rows = cells[cells[track].notna()].sort_values([track, "frame"])
    key = list(zip(rows["frame"], rows["cell"], strict=True))
    number = rows[track].tolist()
    links = {(a, b) for a, b, s, t in zip(key[:-1], key[1:], number[:-1], number[1:], strict=True) if s == t}
    last, first = dict(zip(number, key, strict=True)), dict(zip(number[::-1], key[::-1], strict=True))
    mothers = rows.groupby(track)[parent].first().dropna()
    births = {(last[mother], first[daughter]) for daughter, mother in mothers.items() if mother in last}
    families: dict = {}
    for mother, daughter in births:
        families.setdefault(mother, []).append(daughter)
    return links | births, {(m, *sorted(d)) for m, d in families.items() if len(d) == 2}


def scores(found: pd.DataFrame, cells: pd.DataFrame) -> tuple[float, float]:
    """Link F1 and division F1; a division is right if mother and both daughters are."""
    pairs = zip(edges(found), edges(cells, "true_"), strict=True)
    return tuple(2 * len(a & b) / max(len(a) + len(b), 1) for a, b in pairs)  # type: ignore[return-value]


def by_one_gaussian(cells: pd.DataFrame, step: float) -> list[pd.DataFrame]:
    """Link frame to frame by place and colour in one Gaussian cost; what appears near its like is born.

    Sd of arcsinh colour .12, of place tuned on the truth.
    """
    tried = []
    place, colour = cells[["y_um", "x_um"]].to_numpy(), np.arcsinh(cells[MARKERS].to_numpy() / 50)
    frames = list(cells.groupby("frame").indices.values())
    for share in (0.6, 0.8, 1.0):
        track, parent, number = np.zeros(len(cells)), np.full(len(cells), np.nan), 0
        for t, now in enumerate(frames):
            if t:
                was = frames[t - 1]
                cost = _squares(place, was, now) / (share * step) ** 2 + _squares(colour, was, now) / 0.12**2
                n, m = cost.shape
                full = np.zeros((n + m, n + m))
                full[:n, :m] = np.minimum(cost / 2, 1e4)
                full[:n, m:] = full[n:, :m] = 15.0
                for i, j in zip(*linear_sum_assignment(full), strict=True):
                    if i < n and j < m:
                        track[now[j]] = track[was[i]]
            near = _squares(place, now, now) / 5.0**2 / 2 + _squares(colour, now, now) / 0.15**2 / 2
            for j, row in zip(now, near, strict=True):
                if track[j]:
                    continue
                row = np.where(track[now] > 0, row, np.inf)
                sister = now[row.argmin()]
                number += 1
                track[j] = number
                if t and row.min() < 6:
                    parent[j] = parent[sister] = track[sister]
                    number += 1
                    track[sister] = number
        first = pd.Series(parent).groupby(track).transform("first").to_numpy()
        tried.append(cells.assign(track=track, parent=first))
    return tried


def _squares(x: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ((x[one][:, None] - x[other]) ** 2).sum(-1)


SECOND: dict[str, dict] = {
    "as it is": {},
    "one size": {"grows": False},
    "sisters apart": {"sisters": 10.0},
    "colours alike": {"n_clones": 4, "brightness": 0.2},
    "open": {"open_field": True},
    "missed and false": {"missed": 0.05, "false_cells": 0.05},
}
TABLES = {
    "": lambda c: c,
    ", no size": lambda c: c.drop(columns="area_um2"),
    ", no errors": lambda c: c.drop(columns=[f"{m}_se" for m in MARKERS]),
    ", neither": lambda c: c.drop(columns=["area_um2", *[f"{m}_se" for m in MARKERS]]),
    ", pixels": lambda c: c.assign(y_um=2 * c["y_um"], x_um=2 * c["x_um"], area_um2=4 * c["area_um2"]),
}


def second(seeds: int) -> None:
    """Movies of another kind; of the other method the settings best on each."""
    for step in (0.25, 0.5, 0.9):
        for name, settings in SECOND.items():
            movies = [second_walkers(step, 300 + s, **settings) for s in range(seeds)]
            methods = {"one Gaussian": lambda c, step=step: by_one_gaussian(c, 20.0 * step)}
            for change, table in TABLES.items():
                if change and name != "as it is":
                    continue
                methods[f"rgbtrack{change}"] = lambda c, table=table: [link_cells(table(c))]
            for method, link in methods.items():
                found = [np.max([scores(f, c) for f in link(c)], axis=0) for c in movies]
                (links, births), least = np.mean(found, 0), np.min(found, 0)
                print(
                    f"step {step:g}  {name:16} {method:20} links {links:.3f} (worst {least[0]:.3f})  "
                    f"divisions {births:.3f} (worst {least[1]:.3f})",
                    flush=True,
                )


def accuracy(seeds: int, kinds: list[str]) -> None:
    """By step and kind of movie, with colour and size and by place alone."""
    for kind in kinds:
        for step in (0.25, 0.5, 0.9):
            movies = [
                simulate_tracks(MovieParams(step=step, **KINDS[kind]), seed=100 + seed)
                for seed in range(seeds)
            ]
            for name, params in OURS.items():
                found = [scores(link_cells(cells, params), cells) for cells in movies]
                (links, births), (least, fewest) = np.mean(found, axis=0), np.min(found, axis=0)
                print(
                    f"{kind:7} step {step:<5g} {name:18} links {links:.3f} (worst {least:.3f})  "
                    f"divisions {births:.2f} (worst {fewest:.2f})",
                    flush=True,
                )


def changed(seeds: int) -> None:
    """Movies that break what linking assumes."""

    def errors(factor: float):
        return lambda c: c.assign(**{f"{m}_se": factor * c[f"{m}_se"] for m in MARKERS})

    bare = [f"{m}_se" for m in MARKERS]
    tables = {
        "errors x 2": errors(2.0),
        "errors / 2": errors(0.5),
        "no errors": lambda c: c.drop(columns=bare),
        "arcsinh, no errors": lambda c: c.assign(**{m: np.arcsinh(c[m] / 50) for m in MARKERS}).drop(
            columns=bare
        ),
        "no size": lambda c: c.drop(columns="area_um2"),
    }
    cases: dict = {
        "heavy tails": {"tails": 3.0},
        "speeds differ": {"speed_sd": 0.5},
        "diffusion": {"persistence": 0.0},
        "flicker .15": {"flicker_colour": 0.15, "flicker_brightness": 0.15},
        "one clone": {"n_clones": 1},
        "sisters apart": {"apart": 1.5},
        "volume": {"three_d": True},
    }
    for step in (0.25, 0.5, 0.9):
        for name in ("as it is", *tables, *cases):
            movies = [
                simulate_tracks(
                    MovieParams(step=step, **(KINDS["closed"] | cases.get(name, {}))), seed=200 + s
                )
                for s in range(seeds)
            ]
            found = [scores(link_cells(tables.get(name, lambda c: c)(c)), c) for c in movies]
            print(
                f"step {step:g}  {name:18} links {np.mean(found, 0)[0]:.3f}  "
                f"divisions {np.mean(found, 0)[1]:.3f}",
                flush=True,
            )


def clock() -> None:
    """Seconds by frames and cells, compiled beforehand, the best of three."""
    link_cells(simulate_tracks(MovieParams(n_frames=60, n_cells=250)))
    for frames, n in ((50, 500), (100, 500), (200, 500), (10, 10_000)):
        settings = MovieParams(n_frames=frames, n_cells=n, division_rate=0.0005, **KINDS["closed"])
        cells = simulate_tracks(settings)
        taken = []
        for _ in range(3):
            begin, used = time.perf_counter(), time.process_time()
            link_cells(cells)
            taken.append((time.perf_counter() - begin, time.process_time() - used))
        wall, used = np.min(taken, axis=0)
        print(f"{frames} frames x {n}: {wall:.1f} s ({used:.1f} s of processor)", flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "what", nargs="?", default="accuracy", choices=["accuracy", "changed", "second", "time"]
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.what == "accuracy":
        accuracy(chosen.seeds, chosen.kinds)
    elif chosen.what == "changed":
        changed(chosen.seeds)
    elif chosen.what == "second":
        second(chosen.seeds)
    else:
        clock()


if __name__ == "__main__":
    main()
