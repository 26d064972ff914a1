"""Cells found against planted truth: F1 at an overlap of one half, several seeds, a plain pipeline beside.

    python benchmarks/bench_cells.py [scenes] [nuclei] [volume] [stardist] [--seeds 4] [--given] [--plain]

Scenes are 512 px, of two painters (`rgbtrack.simulate`, `second_painter.py`). Unmarked cells count as
neither missed nor false. Nuclei are real (Data Science Bowl 2018, CC0): planted with clone colours, as bright
as they were or of uneven clones, and as they are; all, or (`nuclei_0` to `nuclei_3`) the fourth that networks
were not fitted to (`fit_segmentation.py --leave-out 0 --out FILE`, then --networks FILE). `stardist` is a
real plane and a real volume of touching nuclei, one channel (StarDist's test images, BSD-3). The diameter is
estimated from each image, or given with --given.
"plain": smooth, Otsu on the root sum of squares, distance transform, watershed, with the diameter given.
"""

import argparse
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import second_painter
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from rgbtrack import Stack
from rgbtrack.correct import correct_stack
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.evaluate import detection_scores, match_cells
from rgbtrack.files import read_labels, read_stack
from rgbtrack.segment import SegmentParams, find_cells, network
from rgbtrack.simulate import PRESETS, simulate_scene

NUCLEI = Path("../shared/real/nuclei")
STARDIST = Path("../shared/real/stardist")
STARDIST_ANISOTROPY = 2.0
"""The file tells no z step: the masks of its whole nuclei are twice as wide as they are deep."""
FOLDS = 4
"""Every fourth of the nuclei images is left out of a fit, to be scored with it."""
PLANTINGS = ("planted", "uneven", "grey")
"""Nuclei in clone colours as bright as they were; of clones that differ in brightness too; as they were."""
MARKERS = ("red", "green", "blue", "far_red", "orange")


@dataclass(frozen=True, eq=False)
class Case:
    """An image (c, z, y, x) with true labels (z, y, x), those unmarked, pixel size and true diameter."""

    counts: NDArray
    labels: NDArray[np.int32]
    unmarked: set[int]
    pixel_um: float
    diameter_um: float
    z_step_um: float | None = None
    real: bool = False

    def stack(self) -> Stack:
        """As read."""
        return Stack(
            self.counts[None],
            MARKERS[: len(self.counts)],
            pixel_size_um=self.pixel_um,
            z_step_um=self.z_step_um if self.counts.shape[1] > 1 else None,
            source="case",
        )


def simulated(preset: str, seed: int) -> Case:
    """Scene of our own simulator."""
    params = PRESETS[preset]
    scene = simulate_scene(params.model_copy(update={"n_frames": 1}), seed=seed)
    unmarked = set(scene.cells.loc[scene.cells["clone"].isna(), "cell"])
    labels = scene.labels[0].astype(np.int32)
    return Case(
        np.asarray(scene.stack.pixels)[0],
        labels,
        unmarked,
        params.pixel_size_um,
        params.diameter_um,
        params.z_step_um,
    )


def painted(kind: str, seed: int) -> Case:
    """Scene of the second painter."""
    counts, labels, clone = second_painter.paint(kind, seed)
    unmarked = set(np.flatnonzero(clone == 0).tolist())
    return Case(counts[:, None], labels[None], unmarked, second_painter.PIXEL_UM, second_painter.DIAMETER_UM)


def nuclei(folder: Path, chosen: Collection[int], planting: str, variant: int = 0) -> Iterator[Case]:
    """Real nuclei of some folds, with one of the `PLANTINGS`; other variants differ in size and tone."""
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        if number % FOLDS not in chosen:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            grey = np.asarray(read_stack(path).pixels)[0, :, 0].max(axis=0)  # (y, x)
        labels = read_labels(path.with_suffix(".labels.tif"))[0, 0].astype(np.int32)
        if variant:
            rng = np.random.default_rng([number, variant])
            zoom, gamma = float(np.exp(rng.uniform(-0.5, 0.4))), float(np.exp(rng.normal(0, 0.25)))
            size = tuple(max(16, round(n * zoom)) for n in labels.shape[::-1])
            labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
            small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
            top = np.iinfo(grey.dtype).max
            grey = np.round(top * (small.astype(np.float32) / top) ** gamma).astype(grey.dtype)
        area = np.bincount(labels.ravel())[1:]
        diameter = float(np.median(2 * np.sqrt(area[area > 0] / np.pi)))
        counts = grey[None]
        if planting != "grey":
            even = planting == "planted"
            counts = plant(grey.astype(np.float32), labels, number + 1000 * variant, even=even)
        yield Case(counts[:, None], labels[None], set(), 1.0, diameter, real=True)


def plant(
    grey: NDArray[np.float32], labels: NDArray[np.int32], seed: int, *, even: bool
) -> NDArray[np.uint16]:
    """Give each nucleus the colour of a clone, of even brightness or not; what is between stays dim grey."""
    rng = np.random.default_rng([seed, 5])
    n = int(labels.max())
    founders = second_painter.draw_founders(int(rng.integers(6, 16)), rng)
    if even:
        founders = founders / np.linalg.norm(founders, axis=1, keepdims=True)
    colour = founders[rng.integers(0, len(founders), n)] * np.exp(rng.normal(0, 0.12, (n, 3)))
    empty = grey[labels == 0]
    signal = np.maximum(grey - (np.median(empty) if empty.size else grey.min()), 0)
    top = max(float(np.percentile(signal[labels > 0], 95)), 1.0)
    light = np.moveaxis(np.vstack([np.zeros(3), colour])[labels], -1, 0) * signal / top * 1000
    light = np.stack([cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 0.7) for plane in light])
    light = np.einsum("dc,cyx->dyx", second_painter.BLEED["widefield"], light)
    light += np.array([2.0, 4.0, 6.0])[:, None, None]
    light += np.where(labels == 0, np.minimum(signal, 0.2 * top), 0) / top * 300
    counts = 100 + 2 * (rng.poisson(light) + rng.normal(0, 1.5, light.shape))
    return np.clip(np.round(counts), 0, 65535).astype(np.uint16)


def real(folder: Path, dimensions: str) -> Case:
    """StarDist's own test image, "2d" or "3d"; a pixel is taken for a micrometre."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        counts = np.asarray(read_stack(folder / f"img{dimensions}.tif").pixels)[0]  # (c, z, y, x)
    labels = read_labels(folder / f"mask{dimensions}.tif")[0].astype(np.int32)
    # the width of each nucleus where it is widest
    n = int(labels.max()) + 1
    area = np.max([np.bincount(plane.ravel(), minlength=n) for plane in labels], axis=0)[1:]
    diameter = float(np.median(2 * np.sqrt(area[area > 0] / np.pi)))
    return Case(counts, labels, set(), 1.0, diameter, STARDIST_ANISOTROPY)


def score(found: NDArray, case: Case) -> dict[str, float]:
    """Precision, recall and F1 over marked cells."""
    pairs = match_cells(found, case.labels)
    neutral = int(pairs["true_cell"].isin(case.unmarked).sum())
    true = set(np.unique(case.labels).tolist()) - {0} - case.unmarked
    n_found = len(np.unique(found[found > 0])) - neutral
    return detection_scores(n_found, len(true), len(pairs) - neutral)


def ours(case: Case, *, given: bool) -> NDArray:
    """Labels (z, y, x) as rgbtrack finds them."""
    params = SegmentParams(diameter_um=case.diameter_um if given else None)
    return find_cells(correct_stack(case.stack()), params).labels[0]


def plain(case: Case) -> NDArray:
    """Labels (z, y, x) of the usual recipe, told the true diameter."""
    light = case.counts.astype(float) - np.percentile(case.counts, 5, axis=(1, 2, 3), keepdims=True)
    diameter = case.diameter_um / case.pixel_um
    smooth = gaussian(np.sqrt((np.maximum(light, 0) ** 2).sum(0)), 1, preserve_range=True)
    mask = smooth > threshold_otsu(smooth)
    step = case.z_step_um / case.pixel_um if case.labels.shape[0] > 1 and case.z_step_um else 1.0
    distance = gaussian(ndi.distance_transform_edt(mask, sampling=(step, 1, 1)), 1, preserve_range=True)
    peaks = peak_local_max(
        distance, min_distance=max(1, int(0.3 * diameter)), labels=label(mask), exclude_border=False
    )
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-distance, seeds, mask=mask)


def cases(what: str, n: int) -> Iterator[tuple[str, Callable[[], Iterator[Case]]]]:
    """Named sets of cases."""
    if what == "scenes":
        for preset in ("sparse", "typical", "dim_crowded", "confluent", "confocal"):
            yield preset, lambda preset=preset: (simulated(preset, seed) for seed in range(n))
        for kind in second_painter.KINDS:
            yield f"{kind}, second", lambda kind=kind: (painted(kind, seed) for seed in range(n))
    elif what.startswith("nuclei"):
        folds = [int(what[-1])] if what[-1].isdigit() else range(FOLDS)
        for planting in PLANTINGS:
            yield f"{what}, {planting}", lambda planting=planting: nuclei(NUCLEI, folds, planting)
    elif what == "stardist":
        for dimensions in ("2d", "3d"):
            yield f"stardist, {dimensions}", lambda dimensions=dimensions: iter([real(STARDIST, dimensions)])
    else:
        yield "volume", lambda: (simulated("volume", seed) for seed in range(n))


def main() -> None:
    """Print a row for each set of cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["scenes", "nuclei", "volume"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--given", action="store_true", help="give the true diameter")
    parser.add_argument("--plain", action="store_true", help="run the plain pipeline too")
    parser.add_argument("--networks", type=Path, default=network.NETWORKS, help="of fit_segmentation.py")
    chosen = parser.parse_args()
    network.NETWORKS = chosen.networks
    warnings.simplefilter("ignore", RgbtrackWarning)
    print(f"{'':20} {'F1':>6} {'worst':>6} {'recall':>7} {'precision':>9}" + "  plain F1" * chosen.plain)
    for what in chosen.what:
        for name, make in cases(what, chosen.seeds):
            mine, usual = [], []
            for case in make():
                mine.append(score(ours(case, given=chosen.given), case))
                if chosen.plain:
                    usual.append(score(plain(case), case)["f1"])
            f1 = [s["f1"] for s in mine]
            line = f"{name:20} {np.mean(f1):6.3f} {min(f1):6.3f} {np.mean([s['recall'] for s in mine]):7.3f}"
            line += f" {np.nanmean([s['precision'] for s in mine]):9.3f}"
            print(line + (f" {np.mean(usual):9.3f}" if usual else ""), flush=True)


if __name__ == "__main__":
    main()
