"""Calls by colour and by neighbours too, against planted truth and the limit of colour.

    python benchmarks/bench_neighbours.py scenes [--presets typical ...] [--patchiness 0 3] [--seeds 5]
    python benchmarks/bench_neighbours.py grown [--seeds 5]
    python benchmarks/bench_neighbours.py tracks [--seeds 5]
    python benchmarks/bench_neighbours.py time [--cells 100000]
    python benchmarks/bench_neighbours.py picture    # docs/images/neighbours.png

scenes: simulated images, measured on the true masks, 30 founders. grown: tables of cells on a loose grid, in
patches of 30 cells of one clone with migrants among them, 40 founders; "spill" is the share of its light that
each touching neighbour adds to a cell. tracks: time series of 8 frames.

"limit" knows colours, shares and spread, and has no neighbours; "known" is the same with neighbours: its
probabilities are those of a right model, so its calibration is that of the neighbours alone. "lone" cells
have three neighbours or more and none of their clone; "sure" ones of these a colour probability of at least
0.99. "heard in" counts the seeds in which there was evidence of patches.
"""

import argparse
import time
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from rgbtrack.clones import CloneModel, ClonesParams, fit_clones
from rgbtrack.clones.neighbours import Field, find_patchiness, hear_neighbours
from rgbtrack.clones.surroundings import hear_surroundings
from rgbtrack.correct import correct_stack
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.evaluate import calibration_error, clone_scores, match_clones
from rgbtrack.signature import measure_signatures
from rgbtrack.simulate import PRESETS, SimulateParams, simulate_founders, simulate_scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
N_IMAGES = 4
SIZE_PX = 320
N_FOUNDERS = 30
SPACING = 14.0


def measure(params: SimulateParams, founders: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Cells of one image, measured on the true masks, with their true clone; a cell's number is its track."""
    scene = simulate_scene(params, seed=seed, founders=founders)
    matrix = scene.bleed_through.set_axis(list(MARKERS)).set_axis(list(MARKERS), axis=1)
    stack = correct_stack(scene.stack.select(MARKERS), bleed_through=matrix)
    truth = scene.cells[["frame", "cell", "clone"]].rename(columns={"clone": "true_clone"})
    return measure_signatures(stack, scene.labels).merge(truth, on=["frame", "cell"], how="left")


def experiment(params: SimulateParams, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of several images of one experiment, and its founders."""
    founders = simulate_founders(params, np.random.default_rng(5000 + seed))
    images = [measure(params, founders, 100 * seed + i).assign(image_id=f"image{i}") for i in range(N_IMAGES)]
    return pd.concat(images, ignore_index=True), founders.rename(
        columns={protein: marker for marker, protein in MARKERS.items()}
    )


def grown(migrants: float, spill: float, seed: int, side: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells in patches, or mixed where all are migrants; and the founders."""
    rng = np.random.default_rng(seed)
    n = side * side
    founders = simulate_founders(SimulateParams(n_clones=40), rng).rename(
        columns={protein: marker for marker, protein in MARKERS.items()}
    )
    colours, share = 1000 * founders[list(MARKERS)].to_numpy(), founders["share"].to_numpy()
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    place = SPACING * grid + rng.normal(0, 3, (n, 2))
    seeds = rng.uniform(0, side * SPACING, (n // 30, 2))
    clone = rng.choice(len(share), len(seeds), p=share)[cKDTree(seeds).query(place)[1]]
    clone = np.where(rng.random(n) < migrants, rng.choice(len(share), n, p=share), clone)
    x = colours[clone] * np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.1, (n, 3)))
    distance, nearest = cKDTree(place).query(place, k=7)
    x = x + spill * ((distance[:, 1:] < 20)[:, :, None] * x[nearest[:, 1:]]).sum(axis=1)
    se = np.sqrt(x / 20 + 150)
    x = x + rng.normal(0, 1, (n, 3)) * se
    table = pd.DataFrame(
        {
            "image_id": "image0",
            "frame": 0,
            "cell": np.arange(1, n + 1),
            "y_um": place[:, 0],
            "x_um": place[:, 1],
        }
    )
    for j, marker in enumerate(MARKERS):
        table = table.assign(**{marker: x[:, j], f"{marker}_se": se[:, j]})
    return table.assign(true_clone=pd.array(clone + 1, dtype="Int64")), founders


def informed(model: CloneModel, founders: pd.DataFrame, cells: pd.DataFrame, unmarked: float) -> CloneModel:
    """The classifier that knows colours, shares and spread; the scale is read off the cells."""
    colours = founders[list(model.markers)].to_numpy()
    x = cells[list(model.markers)].to_numpy()
    clone = cells["true_clone"].to_numpy(dtype=float, na_value=0).astype(int)
    own = colours[clone - 1]
    scale = float(np.median(((x * own).sum(1) / (own**2).sum(1))[clone > 0]))
    return replace(
        model,
        colours=colours * scale,
        weights=(0.99 - unmarked) * founders["share"].to_numpy(),
        unmarked_weight=unmarked,
        junk_weight=0.01,
        spread_colour=0.1,
        spread_brightness=0.4,
        gain_column="",
        gains={},
        leaks={},
        main_share=None,
    )


def find_lone(cells: pd.DataFrame) -> np.ndarray:
    """Whether a cell has three neighbours or more, none of them of its clone."""
    clone = cells["true_clone"].to_numpy(dtype=float, na_value=0)
    lone = np.zeros(len(cells), dtype=bool)
    for rows in cells.groupby(["image_id", "frame"]).indices.values():
        place = cells[["y_um", "x_um"]].to_numpy()[rows]
        tree = cKDTree(place)
        reach = 1.5 * float(np.median(tree.query(place, k=4)[0][:, 3]))
        for i, near in enumerate(tree.query_ball_point(place, reach)):
            around = clone[rows[near]]
            n_own, n_marked = (around == clone[rows[i]]).sum(), (around > 0).sum()
            lone[rows[i]] = clone[rows[i]] > 0 and n_own == 1 and n_marked > 3
    return lone


def scores(result: pd.DataFrame, lone: np.ndarray, *, known: bool) -> dict[str, float]:
    """ARI, calibration error and recall of lone cells, by colour (``c_``) and by neighbours too (``n_``)."""
    true = result["true_clone"].to_numpy(dtype=float, na_value=0).astype(int)
    marked = true > 0
    found = {}
    sure = lone & (result["colour_probability"].to_numpy() >= 0.99)
    for key, clone, probability in (
        ("c", "colour_clone", "colour_probability"),
        ("n", "clone", "clone_probability"),
    ):
        called = result[clone].to_numpy(dtype=float, na_value=0).astype(int)
        ok = marked & (called > 0)
        names = {k: k for k in np.unique(called)} if known else match_clones(called[ok], true[ok])
        right = np.array([names.get(int(k), -1) for k in called]) == true
        found |= {
            f"{key}_ari": clone_scores(result[clone][marked], result["true_clone"][marked])["ari"],
            f"{key}_ece": calibration_error(result[probability][ok], right[ok]),
            f"{key}_lone": right[lone].mean() if lone.any() else np.nan,
            f"{key}_sure": right[sure].mean() if sure.any() else np.nan,
            f"{key}_unmarked": (called[~marked] > 0).mean() if (~marked).any() else np.nan,
        }
    return found


def compare(cells: pd.DataFrame, founders: pd.DataFrame, unmarked: float) -> dict[str, float]:
    """Fitted and knowing model, each by colour and by neighbours too."""
    model = fit_clones(cells, ClonesParams(starts=1, gains="none"))
    assert isinstance(model, CloneModel)
    truth = informed(model, founders, cells, unmarked)
    lone = find_lone(cells)
    fitted = scores(model.assign(cells, spatial=True), lone, known=False)
    knowing = scores(truth.assign(cells, spatial=True), lone, known=True)
    probability = truth.probabilities(cells)
    heard = hear_surroundings(cells, probability, np.append(truth.weights, [unmarked, 0.01])).patchiness
    assert heard is not None
    return {
        "strength": heard.strength,
        "likeness": heard.likeness,
        "colour": fitted["c_ari"],
        "neighbours": fitted["n_ari"],
        "limit": knowing["c_ari"],
        "known": knowing["n_ari"],
        "ece limit": knowing["c_ece"],
        "ece known": knowing["n_ece"],
        "lone": float(lone.sum()),
        "lone limit": knowing["c_lone"],
        "lone known": knowing["n_lone"],
        "sure limit": knowing["c_sure"],
        "sure known": knowing["n_sure"],
        "unmarked limit": knowing["c_unmarked"],
        "unmarked known": knowing["n_unmarked"],
    }


def tell(name: str, found: list[dict[str, float]]) -> None:
    """Print means over seeds, and in how many of them neighbours were heard."""
    table = pd.DataFrame(found)
    heard = f"heard in {int((table['strength'] > 0).sum())} of {len(table)}" if "strength" in table else ""
    print(f"{name}: {heard} ", "  ".join(f"{k} {v:.3f}" for k, v in table.mean().items()), flush=True)


def scenes(presets: list[str], patchiness: list[float], seeds: int) -> None:
    """Presets by patchiness."""
    for name in presets:
        for patch in patchiness:
            params = PRESETS[name].model_copy(
                update={"patchiness": patch, "size_px": SIZE_PX, "n_clones": N_FOUNDERS}
            )
            tell(
                f"{name} {patch:g}", [compare(*experiment(params, s), params.unmarked) for s in range(seeds)]
            )


def patches(seeds: int) -> None:
    """Grown patches by share of migrants, with and without spilled light."""
    for migrants in (0.02, 0.1, 0.3, 0.6, 1.0):
        for spill in (0.0, 0.005):
            found = [compare(*grown(migrants, spill, seed), 1e-4) for seed in range(seeds)]
            tell(f"migrants {migrants:g}, spill {spill:g}", found)


def tracks(seeds: int) -> None:
    """Time series: links alone (places taken away), by share of tracks that jump to another cell halfway."""
    params = PRESETS["timelapse"].model_copy(update={"n_clones": N_FOUNDERS, "packing": 0.5})
    for photons, jumps in ((60, 0.0), (60, 0.1), (10, 0.0), (10, 0.1)):
        params = params.model_copy(update={"photons": photons})
        found = []
        for seed in range(seeds):
            cells, founders = experiment(params, seed)
            model = fit_clones(cells, ClonesParams(starts=1, gains="none"))
            assert isinstance(model, CloneModel)
            truth = informed(model, founders, cells, params.unmarked)
            rng = np.random.default_rng(seed)
            jumping = rng.random(int(cells["cell"].max()) + 1) < jumps
            other = rng.permutation(int(cells["cell"].max()) + 1)
            late = (cells["frame"] >= 4) & jumping[cells["cell"]]
            track = cells["cell"].where(~late, 10_000 + other[cells["cell"]])
            # the other half of a broken track goes on under the number of one that broke too
            broken = np.flatnonzero(jumping)
            names = dict(zip(10_000 + other[broken], np.roll(broken, 1), strict=True))
            table = cells.drop(columns=["y_um", "x_um"]).assign(track=track.replace(names))
            result = truth.assign(table, spatial=True)
            found.append(scores(result, np.zeros(len(result), dtype=bool), known=True))
        tell(f"tracks, {photons} photons, {jumps:g} jump", found)


def clock(n: int, k: int = 60) -> None:
    """Seconds for so many cells of 60 clones, in images of 10,000."""
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.full(k, 2.0))
    fields, start = [], 0
    probability = np.empty((n, k + 2))
    while start < n:
        rows = np.arange(start, min(start + 10_000, n))
        side = np.sqrt(len(rows)) * SPACING
        places = np.column_stack([np.zeros(len(rows)), rng.uniform(0, side, (len(rows), 2))])
        seeds = rng.uniform(0, side, (len(rows) // 30 + 1, 2))
        clone = rng.choice(k, len(seeds), p=share)[cKDTree(seeds).query(places[:, 1:])[1]]
        part = rng.dirichlet(np.full(k + 2, 0.05), len(rows))
        part[np.arange(len(rows)), clone] += 1
        probability[rows] = part / 2
        fields.append(Field(rows, places))
        start += 10_000
    # compiled beforehand
    hear_neighbours(
        probability[:100], share, fields[0].places[:100], find_patchiness(probability, share, fields)
    )
    begin = time.perf_counter()
    patchiness = find_patchiness(probability, share, fields)
    learnt = time.perf_counter()
    for field in fields:
        probability[field.rows] = hear_neighbours(probability[field.rows], share, field.places, patchiness)
    heard = time.perf_counter()
    print(f"{n} cells, {k} clones: learnt in {learnt - begin:.1f} s, heard in {heard - learnt:.1f} s")


def picture() -> None:
    """Draw cells of patches with migrants: as measured, and as called by colour and by neighbours too."""
    cells, founders = grown(0.05, 0.0, seed=4, side=36)
    model = fit_clones(cells, ClonesParams(starts=1))
    assert isinstance(model, CloneModel)
    result = informed(model, founders, cells, 1e-4).assign(cells, spatial=True)
    true = result["true_clone"].to_numpy(dtype=int)
    measured = result[list(MARKERS)].to_numpy()
    own = founders[list(MARKERS)].to_numpy()
    palette = np.vstack([[0.5, 0.5, 0.5], 0.15 + 0.85 * np.sqrt(own / own.max(axis=1, keepdims=True))])
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 5.2), layout="constrained")
    panels = (
        ("as measured", None),
        ("called by colour alone", "colour_clone"),
        ("called by colour and neighbours", "clone"),
    )
    for axis, (title, column) in zip(axes, panels, strict=True):
        paint = np.sqrt(np.clip(measured / np.quantile(measured, 0.97), 0.01, 1))
        if column is not None:
            called = result[column].to_numpy(dtype=float, na_value=0).astype(int)
            paint = palette[called]
            wrong = (called > 0) & (called != true)
            title += (
                f"\n{wrong.sum()} of {len(true)} wrong (white rings), {(called == 0).sum()} unassigned (grey)"
            )
            ring = result[wrong]
            axis.scatter(ring["x_um"], ring["y_um"], s=70, facecolors="none", edgecolors="white")
        axis.scatter(result["x_um"], result["y_um"], s=30, c=paint, linewidths=0)
        axis.set_title(title, fontsize=10)
        axis.set(aspect="equal", facecolor="black", xticks=[], yticks=[])
    figure.savefig(Path(__file__).parents[1] / "docs" / "images" / "neighbours.png", dpi=80)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "what", nargs="?", default="scenes", choices=["scenes", "grown", "tracks", "time", "picture"]
    )
    parser.add_argument("--presets", nargs="*", default=["sparse", "typical", "dim_crowded", "confluent"])
    parser.add_argument("--patchiness", nargs="*", type=float, default=[0, 0.5, 1.5, 3])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cells", type=int, default=100_000)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", RgbtrackWarning)
    if chosen.what == "scenes":
        scenes(chosen.presets, chosen.patchiness, chosen.seeds)
    elif chosen.what == "grown":
        patches(chosen.seeds)
    elif chosen.what == "tracks":
        tracks(chosen.seeds)
    elif chosen.what == "time":
        clock(chosen.cells)
    else:
        picture()


if __name__ == "__main__":
    main()
