"""Cells and clones of simulated experiments against planted truth, several seeds, with the limit beside.

    python benchmarks/bench_flow.py [sparse] [typical] ... [--optics widefield] [--images 6] [--seeds 3]

Each experiment has 6 to 15 founders, images of 640 px and a gain drift of 10 % from image to image. "limit"
is the same classifier told the true colours, shares and gains: what the measured colours allow; "ari" is with
neighbours, "by colour" without. Cells that are unmarked in truth count as neither missed nor false.
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from rgbtrack.clones import CloneModel, assign_clones, fit_clones
from rgbtrack.correct import correct_stack
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.evaluate import clone_scores, detection_scores, match_cells
from rgbtrack.segment import find_cells
from rgbtrack.signature import measure_signatures
from rgbtrack.simulate import PRESETS, Scene, SimulateParams, simulate_founders, simulate_scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
DRIFT = 0.1


def measure(scene: Scene) -> tuple[pd.DataFrame, dict[str, int]]:
    """Cells as found, each with its true clone where it matches one; numbers found, true and matched."""
    names = list(MARKERS)
    matrix = scene.bleed_through.set_axis(names).set_axis(names, axis=1)
    stack = correct_stack(scene.stack.select(MARKERS), bleed_through=matrix)
    labels = find_cells(stack).labels
    truth = scene.cells[["cell", "clone"]].rename(columns={"cell": "true_cell", "clone": "true_clone"})
    pairs = match_cells(labels[0], scene.labels[0]).merge(truth, on="true_cell")
    neutral = int(pairs["true_clone"].isna().sum())
    numbers = {
        "n_found": int(labels.max()) - neutral,
        "n_true": int(truth["true_clone"].notna().sum()),
        "n_matched": len(pairs) - neutral,
    }
    return measure_signatures(stack, labels).merge(pairs, on="cell", how="left"), numbers


def informed(model: CloneModel, founders: pd.DataFrame, gains: np.ndarray, cells: pd.DataFrame) -> CloneModel:
    """Build the classifier that knows colours, shares and gains; the scale is read off the cells."""
    order = [list(MARKERS).index(name) for name in model.markers]
    colours = founders[[MARKERS[name] for name in model.markers]].to_numpy()
    gains = gains[:, order]
    group = cells["image_id"].str[5:].astype(int).to_numpy()
    x = cells[list(model.markers)].to_numpy() / np.exp(gains)[group]
    clone = cells["true_clone"].to_numpy(dtype=float, na_value=0).astype(int)
    own = colours[clone - 1]
    scale = float(np.median(((x * own).sum(1) / (own**2).sum(1))[clone > 0]))
    return replace(
        model,
        colours=colours * scale,
        weights=0.94 * founders["share"].to_numpy(),
        main_share=None,
        gain_column="image_id",
        gains={f"image{i}": gain for i, gain in enumerate(gains)},
        leaks={f"image{i}": np.zeros((3, 3)) for i in range(len(gains))},
    )


def score(cells: pd.DataFrame, calls: str = "clone") -> dict[str, float]:
    """Scores over cells matched to a marked one."""
    matched = cells[cells["true_clone"].notna()]
    return clone_scores(matched[calls], matched["true_clone"])


def run(name: str, base: SimulateParams, n_images: int, seed: int) -> None:
    """One experiment: simulate, measure, fit, print."""
    rng = np.random.default_rng(1000 + seed)
    params = base.model_copy(update={"size_px": 640, "n_clones": int(rng.integers(6, 16))})
    founders = simulate_founders(params, rng)
    gains = rng.normal(0, DRIFT, (n_images, 3))
    tables, numbers = [], []
    for i, gain in enumerate(gains):
        session = params.model_copy(update={"gains": tuple(float(g) for g in np.exp(gain))})
        cells, n = measure(simulate_scene(session, seed=100 * seed + i, founders=founders))
        tables.append(cells.assign(image_id=f"image{i}"))
        numbers.append(n)
    cells = pd.concat(tables, ignore_index=True)
    begin = time.perf_counter()
    model = fit_clones(cells)
    assert isinstance(model, CloneModel)
    called = assign_clones(cells, model=model)
    seconds = time.perf_counter() - begin
    found = detection_scores(*(sum(n[key] for n in numbers) for key in ("n_found", "n_true", "n_matched")))
    mine, limit = score(called), score(informed(model, founders, gains, cells).assign(cells))
    print(
        f"{name:12} {seed}: f1 {found['f1']:.3f}  limit {limit['ari']:.3f}  ari {mine['ari']:.3f}  "
        f"by colour {score(called, 'colour_clone')['ari']:.3f}  "
        f"called {mine['called']:.3f}  clones {model.n_clones} ({len(founders)})  "
        f"spurious {mine['spurious']:.0f}  cells {len(cells)}  {seconds:.1f} s",
        flush=True,
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", default=["sparse"], help=", ".join(PRESETS))
    parser.add_argument("--optics", choices=["widefield", "confocal"])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", RgbtrackWarning)
    for name in chosen.presets:
        base = PRESETS[name]
        if chosen.optics:
            base = base.model_copy(update={"optics": chosen.optics})
        for seed in range(chosen.seeds):
            run(name, base, chosen.images, seed)


if __name__ == "__main__":
    main()
