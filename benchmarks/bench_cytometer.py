"""Events of a cytometer called with the clones of images: how many come back right, whatever its gains.

python benchmarks/bench_cytometer.py --seeds 5

Clones are planted and found in a table of cells; events of the same clones are read with other gains, other
shares and other noise. Beside each: calls where the true gains are known, which is the limit.
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from rgbtrack import ClonesParams, assign_clones, fit_clones
from rgbtrack.clones import CloneModel, call_events, events_as_cells
from rgbtrack.clones.flow import scaled

MARKERS = ("red", "green", "blue")
CASES = {"even": (3.0, 0.4), "few large clones": (0.3, 0.4), "rare among unmarked": (1.0, 0.95)}
"""Concentration of the shares of the clones, and share of unmarked events."""


def plant(rng: np.random.Generator, n_clones: int) -> np.ndarray:
    """Colours of clones, some of which lack a marker, (k, 3)."""
    colour = rng.gamma(1.0, 1.0, (n_clones, 3)) * (rng.random((n_clones, 3)) < 0.7)
    colour[colour.sum(axis=1) == 0] = 1
    return 1500 * colour / colour.sum(axis=1, keepdims=True) * np.exp(rng.normal(0, 0.4, (n_clones, 1)))


def read(rng: np.random.Generator, colour: np.ndarray, clone: np.ndarray, floor: float) -> np.ndarray:
    """What cells of these clones read, -1 for unmarked, (n, 3)."""
    n = len(clone)
    true = colour[clone] * np.exp(rng.normal(0, 0.35, (n, 1))) * np.exp(rng.normal(0, 0.05, (n, 3)))
    true[clone < 0] = 0
    return true * np.exp(rng.normal(0, 0.04, true.shape)) + rng.normal(0, floor, true.shape)


def find_clones(rng: np.random.Generator, colour: np.ndarray) -> tuple[CloneModel, np.ndarray]:
    """Clones as they are found in images, and the planted one of each."""
    clone = rng.integers(0, len(colour), 4000)
    light = read(rng, colour, clone, 5.0)
    cells = pd.DataFrame(light, columns=MARKERS)
    for marker in MARKERS:
        cells[f"{marker}_se"] = np.hypot(5.0, 0.04 * cells[marker].clip(lower=0))
    model = fit_clones(cells, ClonesParams())
    assert isinstance(model, CloneModel)
    called = assign_clones(cells, model=model)["clone"].fillna(0).to_numpy(int)
    of = [
        np.bincount(clone[called == number], minlength=len(colour)).argmax() for number in model.clone_numbers
    ]
    return model, np.array(of)


def main() -> None:
    """Print a line for each case and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--clones", type=int, default=8)
    given = parser.parse_args()
    print("right: share of marked events called as planted; limit: with the true gains; gain: worst, off by")
    for case, (concentration, unmarked) in CASES.items():
        for seed in range(given.seeds):
            rng = np.random.default_rng(seed)
            colour = plant(rng, given.clones)
            model, of = find_clones(rng, colour)
            share = rng.dirichlet(np.full(given.clones, concentration))
            clone = rng.choice(given.clones, given.events, p=share)
            clone[rng.random(given.events) < unmarked] = -1
            factor = np.exp(rng.uniform(np.log(0.1), np.log(2000), 3))
            events = events_as_cells(pd.DataFrame(read(rng, colour, clone, 6.0) * factor, columns=MARKERS))
            cells, found = call_events(model, events)
            order = found.set_index("marker").loc[list(MARKERS), "factor"].to_numpy()
            known = replace(model, gain_column="", gains={}, gains_se={}, leaks={})
            limit = assign_clones(scaled(events, MARKERS, 1 / factor), model=known)
            right, best = (
                float(
                    (np.append(of, -2)[table["clone"].fillna(0).to_numpy(int) - 1] == clone)[
                        clone >= 0
                    ].mean()
                )
                for table in (cells, limit)
            )
            off = float(np.abs(order * factor - 1).max())
            print(f"{case:20} seed {seed}: right {right:.3f}, limit {best:.3f}, gain {off:.2f}", flush=True)


if __name__ == "__main__":
    main()
