"""Depth attenuation and bleaching against planted truth: rates, their errors, and the clones they cost.

    python benchmarks/bench_colour_depth.py [shallow] [deep] [bleaching] [none] [--seeds 3] [--own]

"z" is (estimate - truth) over the standard error: its sd should be 1. Adjusted Rand index, rejects as
singletons, of the same cells without fading, faded, corrected by the estimate, and by the true rates. True
masks, or with --own those of `segment_cells` (a cell takes the truth of the one it overlaps most).
"""

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from rgbtrack.clones import assign_clones
from rgbtrack.correct import correct_stack
from rgbtrack.correct.faded_cells import estimate_attenuation, estimate_bleaching
from rgbtrack.correct.fading import Fading, fade
from rgbtrack.segment import segment_cells
from rgbtrack.signature import measure_signatures
from rgbtrack.signature.unfade import unfade_cells
from rgbtrack.simulate import PRESETS, SimulateParams, simulate_scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
BLEACHING = (0.02, 0.08, 0.04)
SETTINGS = {
    "shallow": PRESETS["volume"].model_copy(update={"attenuation_um": 32.0}),
    "deep": PRESETS["volume"].model_copy(update={"attenuation_um": 64.0, "n_slices": 32, "size_px": 224}),
    "none": PRESETS["volume"].model_copy(update={"attenuation_um": None}),
    "bleaching": PRESETS["timelapse"].model_copy(update={"marker_bleaching": BLEACHING}),
}
"""Blue falls to 1/e over the depth of the stack; or none; or Venus loses 8 % a frame over 8 frames."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Cells, their true clones (0: none), and the bleed-through that was attached."""

    cells: pd.DataFrame
    truth: np.ndarray
    mixing: pd.DataFrame


def measure(params: SimulateParams, seed: int, *, own: bool) -> Measured:
    """Simulate, correct, segment and measure one image."""
    scene = simulate_scene(params, seed=seed)
    names, order = list(MARKERS), list(MARKERS.values())
    mixing = scene.bleed_through.loc[order, order].set_axis(names).set_axis(names, axis=1)
    stack = correct_stack(scene.stack.select(MARKERS), bleed_through=mixing)
    labels = segment_cells(stack) if own else scene.labels
    cells = measure_signatures(stack, labels)
    true = scene.cells.set_index(["frame", "cell"])["clone"].fillna(0).astype(int)
    match = [
        np.bincount(scene.labels[t][labels[t] == cell]).argmax()
        for t, cell in cells[["frame", "cell"]].itertuples(index=False)
    ]
    key = pd.MultiIndex.from_arrays([cells["frame"], match])
    return Measured(cells, true.reindex(key).fillna(0).to_numpy(int), mixing)


def undone(made: Measured, params: SimulateParams, rate: np.ndarray) -> pd.DataFrame:
    """Cells with the fading of these rates undone."""
    if params.n_frames > 1:
        return unfade_cells(made.cells, fade(made.cells["frame"], rate).T)
    return unfade_cells(made.cells, fade(made.cells["z_um"], rate).T, made.mixing)


def agreement(cells: pd.DataFrame, truth: np.ndarray) -> float:
    """ARI over marked cells."""
    called = assign_clones(cells)["clone"].fillna(0).to_numpy(int)
    called = np.where(called == 0, 10_000 + np.arange(len(called)), called)
    return float(adjusted_rand_score(truth[truth > 0], called[truth > 0]))


def true_rates(params: SimulateParams) -> np.ndarray:
    """Rates that were planted, in the order of `MARKERS`."""
    if params.marker_bleaching is not None:
        return -np.log1p(-np.array(params.marker_bleaching))
    if params.attenuation_um is None:
        return np.zeros(3)
    return 1 / (params.attenuation_um * np.array([2.0, 1.5, 1.0]))


def main() -> None:
    """Print one line per setting and seed, then means and the spread of z."""
    parser = argparse.ArgumentParser()
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--own", action="store_true")
    options = parser.parse_args()
    for name in options.settings:
        params = SETTINGS[name]
        estimate = estimate_bleaching if params.n_frames > 1 else estimate_attenuation
        steady = params.model_copy(update={"attenuation_um": None, "marker_bleaching": None})
        true, z, rows = true_rates(params), [], []
        for seed in range(options.first, options.first + options.seeds):
            made = measure(params, seed, own=options.own)
            found: Fading = estimate(made.cells)
            z.append((found.estimate - true) / found.se)
            plain = measure(steady, seed, own=options.own)
            rows.append(
                {
                    "steady": agreement(plain.cells, plain.truth),
                    "faded": agreement(made.cells, made.truth),
                    "corrected": agreement(undone(made, params, found.rate), made.truth),
                    "true rates": agreement(undone(made, params, true), made.truth),
                }
            )
            told = "  ".join(f"{k} {v:.3f}" for k, v in rows[-1].items())
            rates = " ".join(f"{r:.4f}+-{s:.4f}" for r, s in zip(found.estimate, found.se, strict=True))
            print(f"{name} {seed}: {len(made.cells)} cells, rates {rates}; ARI {told}", flush=True)
        mean = "  ".join(f"{k} {v:.3f}" for k, v in pd.DataFrame(rows).mean().items())
        print(f"{name} mean: true rates {true.round(4)}, z sd {np.std(z):.2f}, ARI {mean}", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
