"""Bleed-through matrices from controls and blind against planted truth, several seeds, cells segmented by us.

    python benchmarks/bench_colour_bleed.py [--seeds 3] [--clones]

Controls: one image of 384 px for each protein. Blind: four images of 512 px that share 6 to 15 founders,
without and with a drift of 10 % of each detector's gain from image to image; and one image of 1024 px by the
second painter, which shares no code with `rgbtrack.simulate` and shifts its channels by up to a pixel.
"worst" and "median" are of the distance of elements from the truth, "pull sd" of that distance in standard
errors (elements above .004 only: others are cut off at 0), "not known" the elements left at 0. With --clones,
the ARI of clones called without a matrix, with the blind one, and with the true one.
"""

import argparse
import warnings

import numpy as np
import pandas as pd
from second_painter import BLEED, paint

from rgbtrack.clones import fit_clones
from rgbtrack.correct import correct_stack
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.evaluate import clone_scores, match_cells
from rgbtrack.segment import find_cells
from rgbtrack.signature import measure_signatures, unmix_cells
from rgbtrack.simulate import PRESETS, simulate_founders, simulate_scene
from rgbtrack.stack import Stack
from rgbtrack.unmix import BleedThrough, bleed_through_blind, bleed_through_from_controls

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
NAMES = list(MARKERS)
DRIFT = 0.1


def measure(stack: Stack, truth: np.ndarray) -> pd.DataFrame:
    """Cells as found and measured without a matrix; the true cell of each that matches one."""
    corrected = correct_stack(stack)
    labels = find_cells(corrected).labels
    pairs = match_cells(labels[0], truth)
    return measure_signatures(corrected, labels).merge(pairs, on="cell", how="left")


def controls(preset: str, seed: int) -> tuple[BleedThrough, pd.DataFrame]:
    """Matrix found from one image per protein, and the true one."""
    tables = {}
    for p, name in enumerate(NAMES):
        founder = tuple(float(i == p) for i in range(3))
        params = PRESETS[preset].model_copy(update={"size_px": 384, "founders": (founder,)})
        scene = simulate_scene(params, seed=9000 + 10 * seed + p)
        tables[name] = measure(scene.stack.select(MARKERS), scene.labels[0])
    return bleed_through_from_controls(tables, NAMES), scene.bleed_through


def experiment(preset: str, seed: int, drift: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of four images that share their founders, with their clones, and the true matrix."""
    rng = np.random.default_rng(7000 + seed)
    params = PRESETS[preset].model_copy(update={"n_clones": int(rng.integers(6, 16))})
    founders = simulate_founders(params, rng)
    tables = []
    for i in range(4):
        gains = tuple(float(g) for g in np.exp(rng.normal(0, drift, 3)))
        session = params.model_copy(update={"gains": gains})
        scene = simulate_scene(session, seed=7100 + 10 * seed + i, founders=founders)
        clones = scene.cells[["cell", "clone"]].set_axis(["true_cell", "true_clone"], axis=1)
        cells = measure(scene.stack.select(MARKERS), scene.labels[0]).merge(
            clones, on="true_cell", how="left"
        )
        tables.append(cells.assign(image_id=f"image{i}"))
    return pd.concat(tables, ignore_index=True), scene.bleed_through


def painted(kind: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of one image by the second painter, with their clones, and the true matrix."""
    counts, labels, clone = paint(kind, 500 + seed, size=1024)
    stack = Stack(counts[None, :, None], ("blue", "green", "red"), pixel_size_um=0.65)
    cells = measure(stack.select({name: name for name in NAMES}), labels[None])
    true = cells["true_cell"].to_numpy(float, na_value=0).astype(int)
    cells["true_clone"] = pd.array(clone[true], "Int64")
    cells.loc[cells["true_clone"] == 0, "true_clone"] = pd.NA
    optics = "confocal" if kind == "dim" else "widefield"
    truth = pd.DataFrame(BLEED[optics], index=NAMES[::-1], columns=NAMES[::-1])
    return cells.assign(image_id="image0"), truth.loc[NAMES, NAMES]


def ari(cells: pd.DataFrame) -> float:
    """Clones called from these colours against the true ones."""
    model = fit_clones(cells)
    called = model.assign(cells)
    matched = called[called["true_clone"].notna()]
    return clone_scores(matched["clone"], matched["true_clone"])["ari"]


def report(name: str, found: list[tuple[BleedThrough, np.ndarray]], scores: list[list[float]]) -> None:
    """Print one row of the table."""
    off = ~np.eye(3, dtype=bool)
    errors, pulls, unknown = [], [], 0
    for bleed, truth in found:
        se = bleed.se.to_numpy()
        known = np.isfinite(se) & off
        unknown += int((off & ~known).sum())
        error = (bleed.matrix.to_numpy() - truth)[known]
        errors += list(np.abs(error))
        pulls += list((error / se[known])[truth[known] > 0.004])
    row = f"{name:28} {max(errors):.4f}  {np.median(errors):.4f}  {np.sqrt(np.mean(np.square(pulls))):5.2f}"
    row += f"  {unknown:3d} of {6 * len(found)}"
    if scores:
        row += "  " + " ".join(f"{value:.3f}" for value in np.mean(scores, axis=0))
    print(row, flush=True)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clones", action="store_true")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", RgbtrackWarning)
    seeds = range(chosen.seeds)
    print(f"{'':28} worst   median  pull sd  not known" + "  ari none, blind, true" * chosen.clones)
    for preset in ("sparse", "typical", "confocal"):
        done = [controls(preset, seed) for seed in seeds]
        report(f"controls, {preset}", [(bleed, truth.to_numpy()) for bleed, truth in done], [])
    cases = {
        f"blind, {name}": (experiment, (name,), (0.0,))
        for name in ("sparse", "typical", "confocal", "dim_crowded", "confluent")
    }
    cases |= {
        f"blind, {name}, gains drift": (experiment, (name,), (DRIFT,)) for name in ("typical", "confocal")
    }
    cases |= {
        f"blind, {name}, second painter": (painted, (name,), ())
        for name in ("sparse", "typical", "dim", "confluent")
    }
    for name, (make, before, after) in cases.items():
        found, scores = [], []
        for seed in seeds:
            cells, truth = make(*before, seed, *after)
            bleed = bleed_through_blind(cells)
            found.append((bleed, truth.to_numpy()))
            if chosen.clones:
                true = truth.set_axis(NAMES).set_axis(NAMES, axis=1)
                blind = unmix_cells(cells, bleed.matrix, se=bleed.se)
                scores.append([ari(table) for table in (cells, blind, unmix_cells(cells, true))])
        report(name, found, scores)


if __name__ == "__main__":
    main()
