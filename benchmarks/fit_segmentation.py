"""Fit the networks of the segmentation: which seams lie inside a cell, which objects are cells.

    python benchmarks/fit_segmentation.py [--scenes 8] [--nuclei ../shared/real/nuclei] [--leave-out K]
        [--only plane|volume] [--out FILE]

Scenes come from two painters that share no code, `rgbtrack.simulate` and `second_painter.py`, at random
sizes, packings, photon numbers and optics, and from `nuclei_painter.py`; real nuclei, where the folder is
there, as they are and planted with clone colours. No scene is among those of the benchmarks. The networks in
the package are fitted to all nuclei; figures on nuclei are of networks fitted without those scored
(--leave-out, see `bench_cells.py`).
"""

import argparse
import json
import time
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
from bench_cells import FOLDS, PLANTINGS, Case, nuclei, painted, plant
from nuclei_painter import paint_nuclei
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from rgbtrack.correct import correct_stack
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.evaluate import match_cells
from rgbtrack.segment import SegmentParams, joining, network, objects
from rgbtrack.segment.cells import outline_objects
from rgbtrack.segment.joining import join_regions, seam_features
from rgbtrack.segment.network import Network
from rgbtrack.segment.parts import Parts, find_parts
from rgbtrack.segment.regions import find_seams, highest, region_sums
from rgbtrack.segment.working import Working, enlarge, split_channels, working_image
from rgbtrack.simulate import PRESETS, simulate_scene

FIRST_SEED = 10_000
PARAMS = SegmentParams()
PROTEINS = ("mCherry", "Venus", "Cerulean", "iRFP", "mOrange")
VARIANTS = 5
"""Of each real image: other magnifications, tones and colours."""
NUCLEI_WEIGHT = 3.0
"""Of a row of a real image, against one of a scene."""
HIDDEN = {"seams": 24, "objects": 24, "objects_among": 32}
ENSEMBLE = 4


def first_painter(n: int, volume: bool, rng: np.random.Generator) -> Iterator[Case]:
    """Scenes of our own simulator with random settings."""
    names = ("volume",) if volume else ("sparse", "typical", "dim_crowded", "confluent", "confocal")
    for k in range(n * len(names)):
        base = PRESETS[names[k % len(names)]]
        change = {
            "size_px": 160 if volume else 448,
            "packing": float(np.clip(base.packing * rng.uniform(0.7, 1.3), 0.03, 0.97)),
            "photons": float(base.photons * np.exp(rng.normal(0, 0.5))),
            "diameter_um": float(rng.uniform(10, 20)),
            "patchiness": float(rng.uniform(0, 2)),
            "n_clones": int(rng.integers(5, 25)),
            "copy_sd": float(rng.uniform(0.4, 0.8)),
            "diameter_cv": float(rng.uniform(0.12, 0.3)),
            "markers": PROTEINS[: rng.choice([2, 3, 3, 3, 4, 5])],
        }
        if volume:
            change |= {"z_step_um": float(rng.uniform(1, 3)), "packing": float(rng.uniform(0.1, 0.6))}
        params = base.model_copy(update=change)
        scene = simulate_scene(params, seed=FIRST_SEED + k)
        unmarked = scene.cells.loc[scene.cells["clone"].isna(), "cell"]
        counts = np.asarray(scene.stack.pixels)[0]
        if rng.random() < 0.25:  # one channel for all: nothing but shape and brightness
            counts = counts.astype(np.float32).sum(0, keepdims=True).round().clip(0, 65535).astype(np.uint16)
        yield Case(
            counts,
            scene.labels[0].astype(np.int32),
            set(unmarked),
            params.pixel_size_um,
            params.diameter_um,
            params.z_step_um,
        )


def stained(n: int, volume: bool, rng: np.random.Generator) -> Iterator[Case]:
    """Painted nuclei: volumes in one channel, planes in one or in the colours of clones."""
    for k in range(n):
        spacing = float(rng.uniform(1, 3)) if volume else 1.0
        shape = (int(60 / spacing), 112, 112) if volume else (1, 320, 320)
        counts, labels, diameter = paint_nuclei(FIRST_SEED + k, shape, spacing)
        if not labels.any():
            continue
        if not volume and k % 3:
            counts = plant(counts[0].astype(np.float32), labels[0], FIRST_SEED + k, even=k % 3 == 1)[:, None]
        else:
            counts = counts[None]
        yield Case(counts, labels, set(), 1.0, diameter, spacing)


def all_cases(n: int, folder: Path, chosen: Collection[int], volume: bool) -> Iterator[Case]:
    """Everything that is fitted to."""
    rng = np.random.default_rng(FIRST_SEED)
    yield from first_painter(3 * n if volume else n, volume, rng)
    yield from stained(4 * n if volume else 30 * n, volume, rng)
    if not volume:
        for kind in ("sparse", "typical", "dim", "confluent"):
            for k in range(n):
                yield painted(kind, FIRST_SEED + k)
        for variant in range(VARIANTS):
            for planting in PLANTINGS:
                yield from nuclei(folder, chosen, planting, variant)


def case_weight(case: Case) -> float:
    """Of the rows of a case."""
    return NUCLEI_WEIGHT if case.real else 1.0


def part_truth(parts: Parts, working: Working, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True cell that most of each part lies in, 0 for background, and the share that does."""
    s = working.shrink
    small = np.zeros(parts.labels.shape, np.int64)
    centre = true[:, min(s // 2, true.shape[1] - 1) :: s, min(s // 2, true.shape[2] - 1) :: s]
    small[:, : centre.shape[1], : centre.shape[2]] = centre
    width = int(true.max()) + 1
    table = np.bincount(parts.labels.ravel() * width + small.ravel(), minlength=(parts.n + 1) * width)
    table = table.reshape(parts.n + 1, width)
    return table.argmax(1), table.max(1) / np.maximum(table.sum(1), 1)


def prepare(case: Case, rng: np.random.Generator) -> tuple[Working, Parts]:
    """Parts of a case, with a diameter that is a little off, as an estimate would be."""
    stack = correct_stack(case.stack())
    diameter = case.diameter_um / case.pixel_um * np.exp(rng.normal(0, 0.12))
    working = working_image(stack, 0, split_channels(stack)[0], max(3.2, diameter))
    return working, find_parts(working, PARAMS.min_snr)


def seam_rows(case: Case, working: Working, parts: Parts, rng: np.random.Generator) -> np.ndarray:
    """Features, answer and weight of the seams met while parts are joined as the truth says, at random."""
    volume = parts.labels.shape[0] > 1
    truth, pure = part_truth(parts, working, case.labels)
    sums = region_sums(parts.labels, parts.n, working.strength, working.units, working.light)
    peak = highest(parts.labels, parts.n, parts.distance)
    seams = find_seams(parts.labels, parts.n, parts.gradient, working.strength, parts.distance)
    rows = []

    def judge(seams, features):
        one, other = truth[seams.first], truth[seams.second]
        known = (pure[seams.first] > 0.6) & (pure[seams.second] > 0.6) & ((one > 0) | (other > 0))
        weight = np.full(len(one), case_weight(case))
        rows.append(np.c_[features, one == other, weight][known])
        return np.where((one == other) & (one > 0) & (rng.random(len(one)) < 0.6), rng.random(len(one)), 0)

    def describe(seams, sums, peak):
        return seam_features(seams, sums, peak, working.diameter, working.spacing, volume)

    join_regions(seams, sums, peak, describe, judge, 0.0)
    return np.concatenate(rows)


def object_rows(case: Case, working: Working, parts: Parts, seams: Network) -> np.ndarray:
    """Features of the objects joined by the fitted network, whether each is a true cell, and its weight."""
    volume = parts.labels.shape[0] > 1
    sums = region_sums(parts.labels, parts.n, working.strength, working.units, working.light)
    peak = highest(parts.labels, parts.n, parts.distance)
    found = find_seams(parts.labels, parts.n, parts.gradient, working.strength, parts.distance)

    def describe(seams, sums, peak):
        return seam_features(seams, sums, peak, working.diameter, working.spacing, volume)

    root, doubt = join_regions(found, sums, peak, describe, lambda _, x: seams(x), PARAMS.join)
    made = outline_objects(root, doubt, sums, parts, working, PARAMS)
    full = enlarge(made.labels, working.shrink, case.labels.shape)
    pairs = match_cells(full, case.labels, 0.45)
    answer, weight = np.zeros(made.n + 1), np.ones(made.n + 1)
    answer[pairs["cell"]] = 1
    weight[pairs.loc[pairs["true_cell"].isin(case.unmarked), "cell"]] = 0
    return np.c_[made.features, answer[1:], weight[1:] * case_weight(case)]


def fit(rows: np.ndarray, names: tuple[str, ...], hidden: int, most: int = 400_000) -> Network:
    """Fit a network to rows of features, answer and weight; one in ten is kept to say how well."""
    rng = np.random.default_rng(0)
    rows = rows[rows[:, -1] > 0]
    rows = rows[rng.permutation(len(rows))[:most]]
    kept, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
    scaler = StandardScaler().fit(rows[:, :-2])
    inputs = np.clip(scaler.transform(rows[:, :-2]), -6, 6)
    models = []
    for seed in range(ENSEMBLE):
        model = MLPClassifier((hidden,), alpha=1e-3, max_iter=60, early_stopping=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            models.append(model.fit(inputs, rows[:, -2] > 0, sample_weight=rows[:, -1]))
    # the mean of their answers before the logistic is a network with the hidden units of all
    made = Network(
        names,
        scaler.mean_,
        scaler.scale_,
        np.concatenate([model.coefs_[0] for model in models], axis=1),
        np.concatenate([model.intercepts_[0] for model in models]),
        np.concatenate([model.coefs_[1][:, 0] for model in models]) / ENSEMBLE,
        float(np.mean([model.intercepts_[1][0] for model in models])),
    )
    answer, true = made(kept[:, :-2]), kept[:, -2]
    print(
        f"{len(rows)} rows, {rows[:, -2].mean():.2f} true; kept: loss {log_loss(true, answer):.4f}, "
        f"wrong {np.mean((answer > 0.5) != (true > 0)):.4f}",
        flush=True,
    )
    return made


def fit_networks(cases: Iterator[Case], prefix: str) -> dict[str, Network]:
    """Networks of planes or volumes, fitted one after the other.

    Objects are also shown among only some of their image, for there are images of few cells.
    """
    rng = np.random.default_rng(FIRST_SEED + 1)
    ready = [(case, *prepare(case, rng)) for case in cases]
    ready = [item for item in ready if item[2].n]

    seams = fit(np.concatenate([seam_rows(*item, rng) for item in ready]), joining.FEATURES, HIDDEN["seams"])
    rows = [object_rows(*item, seams) for item in ready]
    alone = fit(np.concatenate(rows), objects.FEATURES, HIDDEN["objects"])
    few = [r[rng.permutation(len(r))[: int(np.exp(rng.uniform(0.5, np.log(len(r) + 2))))]] for r in rows]
    among = [
        np.c_[objects.features_among(r[:, :-2], alone(r[:, :-2])), r[:, -2:]] for r in rows + few if len(r)
    ]
    names = objects.FEATURES + objects.AMONG_FEATURES
    together = fit(np.concatenate(among), names, HIDDEN["objects_among"])
    print(f"{len(ready)} images", flush=True)
    made = {"seams": seams, "objects": alone, "objects_among": together}
    return {prefix + name: net for name, net in made.items()}


def as_dict(made: Network) -> dict[str, object]:
    """Weights with five digits: all that they are good for."""
    arrays = {
        name: np.vectorize(lambda v: float(f"{v:.5g}"))(getattr(made, name)).tolist()
        for name in ("centre", "scale", "weights", "offsets", "out")
    }
    return {"names": list(made.names), **arrays, "bias": float(f"{made.bias:.5g}")}


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=8, help="of each kind")
    parser.add_argument("--nuclei", type=Path, default=Path("../shared/real/nuclei"))
    parser.add_argument("--leave-out", type=int, choices=range(FOLDS), help="every fourth of the nuclei")
    parser.add_argument("--only", choices=["plane", "volume"])
    parser.add_argument("--out", type=Path, default=Path(network.__file__).with_name("networks.json"))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", RgbtrackWarning)
    folds = [k for k in range(FOLDS) if k != chosen.leave_out]
    content = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    for volume in (False, True):
        if chosen.only == ("plane" if volume else "volume"):
            continue
        begin = time.perf_counter()
        cases = all_cases(chosen.scenes, chosen.nuclei, folds, volume)
        for name, made in fit_networks(cases, "volume_" if volume else "").items():
            content[name] = as_dict(made)
        print(f"{time.perf_counter() - begin:.0f} s", flush=True)
    chosen.out.write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
