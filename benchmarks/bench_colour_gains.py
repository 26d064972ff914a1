"""What detector gains that drift from image to image cost clonal identity: adjusted Rand index.

    python benchmarks/bench_colour_gains.py [sparse] [typical] [--seeds 5] [--images 7]

Images of one experiment share founders; each is its own subject, with shares of its own. Every image is
rendered three times with the same cells: without drift, with gains of ln sd .2, and with each gain 20 % up or
down. The masks are the true ones, so that nothing but colour counts; rejects are singletons.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from rgbtrack.clones import ClonesParams, assign_clones
from rgbtrack.correct import correct_stack
from rgbtrack.signature import measure_signatures
from rgbtrack.simulate import PRESETS, SimulateParams, simulate_founders, simulate_scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
SIZE_PX = {"sparse": 448, "typical": 304}  # 100 to 200 cells an image


def measure_scene(
    params: SimulateParams, founders: pd.DataFrame, seed: int
) -> tuple[pd.DataFrame, list[int]]:
    """Cells of one image with the true masks, and the true clone of each (0: unmarked)."""
    scene = simulate_scene(params, seed=seed, founders=founders)
    names = list(MARKERS)
    order = list(MARKERS.values())
    matrix = scene.bleed_through.loc[order, order].set_axis(names).set_axis(names, axis=1)
    stack = correct_stack(scene.stack.select(MARKERS), bleed_through=matrix)
    cells = measure_signatures(stack, scene.labels)
    true = scene.cells.set_index("cell")["clone"].fillna(0).astype(int)
    return cells, true.reindex(cells["cell"]).to_list()


def experiment(
    preset: str, seed: int, n_images: int, drift: str, concentration: float = 20.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Cells of all images with ``image_id`` and ``subject``, and their true clones."""
    rng = np.random.default_rng([seed, 77])
    base = PRESETS[preset].model_copy(update={"size_px": SIZE_PX[preset]})
    founders = simulate_founders(base, rng)
    tables, truth = [], []
    for i in range(n_images):
        share = rng.dirichlet(np.maximum(concentration * founders["share"], 1e-3))
        draws = {
            "none": np.ones(3),
            "sd .2": np.exp(rng.normal(0, 0.2, 3)),
            "+-20 %": np.where(rng.random(3) < 0.5, 0.8, 1.2),
        }
        params = base.model_copy(update={"gains": tuple(float(g) for g in draws[drift])})
        cells, true = measure_scene(params, founders.assign(share=share), int(rng.integers(2**31)))
        tables.append(cells.assign(image_id=f"im{i}", subject=f"m{i}"))
        truth += true
    return pd.concat(tables, ignore_index=True), np.array(truth)


def agreement(cells: pd.DataFrame, truth: np.ndarray, **settings: str) -> float:
    """ARI over marked cells."""
    called = assign_clones(cells, ClonesParams(**settings))["clone"].fillna(0).to_numpy(int)
    called = np.where(called == 0, 10_000 + np.arange(len(called)), called)
    return float(adjusted_rand_score(truth[truth > 0], called[truth > 0]))


def main() -> None:
    """Print one line per preset and seed, then the means."""
    parser = argparse.ArgumentParser()
    parser.add_argument("presets", nargs="*", default=["sparse", "typical"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--images", type=int, default=7)
    parser.add_argument("--concentration", type=float, default=20.0, help="2: images share few clones")
    options = parser.parse_args()
    for preset in options.presets:
        rows = []
        for seed in range(options.first, options.first + options.seeds):
            row = {}
            for drift in ("none", "sd .2", "+-20 %"):
                cells, truth = experiment(preset, seed, options.images, drift, options.concentration)
                for gains in ("none", "auto"):
                    row[f"{drift}, {gains}"] = agreement(cells, truth, gains=gains)
            rows.append(row)
            print(f"{preset} {seed}: " + "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
        table = pd.DataFrame(rows)
        print(f"{preset} mean: " + "  ".join(f"{k} {v:.3f}" for k, v in table.mean().items()), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
