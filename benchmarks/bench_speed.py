"""Speed and memory of the image path: read, correct, segment, measure, write.

    python benchmarks/bench_speed.py [--repeats 5] [--size 2048] [--cells 3000] [--threads 2] [--volume]
        [--no-plain]

All rows run in one process, warm, on the same image of one file; medians of the repeats. "plain" is what a
scikit-image pipeline does, "floor" reads, goes over the pixels twice and writes. Memory is what the path
adds to the largest resident size of a process that has done a small image before (Linux).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import pandas as pd
import tifffile

MARKERS = ("red", "green", "blue")


def paint(size: int, n_cells: int, slices: int = 1, seed: int = 0) -> np.ndarray:
    """Raw counts (z, c, y, x), uint16, of cells in the colours of 12 clones on an uneven background."""
    rng = np.random.default_rng(seed)
    radius = 0.27 * size / np.sqrt(n_cells) * (1 if slices == 1 else 1.1)
    colours = (
        rng.exponential(60, (12, 3)) * (rng.random((12, 3)) < 0.6) + 15 * np.eye(3)[rng.integers(3, size=12)]
    )
    places: list[np.ndarray] = []
    layers = 1 if slices == 1 else max(1, slices // 10)
    side = int(np.ceil(np.sqrt(n_cells / layers)))
    step = size / side
    photons = np.zeros((slices, 3, size, size), np.float32)
    for layer in range(layers):
        for i in range(side * side):
            y, x = (np.array(divmod(i, side)) + 0.5 + rng.uniform(-0.3, 0.3, 2)) * step
            z = 0 if slices == 1 else (layer + 0.5) * slices / layers
            places.append(np.array([z, y, x]))
            r = radius * rng.uniform(0.8, 1.2)
            light = colours[rng.integers(12)] * rng.lognormal(0, 0.3)
            for plane in range(slices):
                in_plane = r**2 - (0 if slices == 1 else (2.5 * (plane - z)) ** 2)
                if in_plane <= 4:
                    continue
                for c in range(3):
                    cv2.circle(
                        photons[plane, c],
                        (int(x * 16), int(y * 16)),
                        int(np.sqrt(in_plane) * 16),
                        float(light[c]),
                        -1,
                        cv2.LINE_8,
                        4,
                    )
    tilt = np.linspace(4, 8, size, dtype=np.float32)
    for plane in photons.reshape(-1, size, size):
        cv2.GaussianBlur(plane, (0, 0), 1.2, dst=plane)
        plane += tilt
        plane[:] = 100 + 2 * rng.poisson(plane) + rng.normal(0, 3, plane.shape)
    return photons.clip(0, 65535).astype(np.uint16)


# ---- the three ways


def plain(path: Path, out: Path) -> None:
    """scikit-image, as in its tutorials."""
    from scipy import ndimage as ndi
    from skimage import feature, filters, measure, morphology, segmentation

    image = np.squeeze(tifffile.imread(path))
    channels = np.moveaxis(image, -3, 0).astype(np.float32)  # (c, ...)
    footprint = 25
    flat = [c - np.percentile(c, 10) for c in channels]
    total = sum(filters.gaussian(c, 2 if c.ndim == 2 else (1, 2, 2), preserve_range=True) for c in flat)
    mask = total > filters.threshold_otsu(total)
    mask = morphology.remove_small_objects(mask, max_size=30)
    distance = ndi.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=footprint // 4, labels=mask.astype(int))
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-distance, markers, mask=mask)
    table = pd.DataFrame(measure.regionprops_table(labels, properties=("label", "area", "centroid")))
    for name, channel in zip(MARKERS, flat, strict=True):
        values = measure.regionprops_table(
            labels, channel, properties=("intensity_mean",), extra_properties=(_sd,)
        )
        table[name], table[f"{name}_sd"] = values["intensity_mean"], values["_sd"]
    table.to_parquet(out / "plain.parquet")
    tifffile.imwrite(out / "plain.tif", labels.astype(np.uint32), compression="zlib")


def _sd(region: Any, intensity: Any) -> float:
    return float(intensity[region].std())


def floor(path: Path, out: Path) -> None:
    """Read, two passes over the pixels, write: no method does with less."""
    image = tifffile.imread(path)
    pixels = image.astype(np.float32)
    pixels -= 100
    labels = np.zeros(np.squeeze(image[..., 0, :, :]).shape, np.uint32)
    labels[..., ::9, :] = 7
    tifffile.imwrite(out / "floor.tif", labels, compression="zlib", compressionargs={"level": 1})
    pd.DataFrame(np.zeros((3000, 25)), columns=[f"c{i}" for i in range(25)]).to_parquet(out / "floor.parquet")


def read(path: Path) -> Any:
    """The first frame, in memory."""
    from rgbtrack.files import read_stack

    stack = read_stack(path, pixel_size_um=0.65, z_step_um=1.6)
    return stack.select({name: i for i, name in enumerate(MARKERS)}).frame(0)


def steps(path: Path, out: Path) -> dict[str, float]:
    """Seconds of each step of rgbtrack."""
    from rgbtrack.correct import correct_stack
    from rgbtrack.files import write_labels, write_table
    from rgbtrack.segment import find_cells
    from rgbtrack.signature import measure_signatures

    took: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        took[name] = took.get(name, 0) + time.perf_counter() - start
        return result

    stack = timed("read_stack", lambda: read(path))
    stack = timed("correct_stack", lambda: correct_stack(stack))
    labels = timed("find_cells", lambda: find_cells(stack).labels)
    table = timed("measure_signatures", lambda: measure_signatures(stack, labels))
    timed("write_labels", lambda: write_labels(out / "labels.tif", labels))
    timed("write_table", lambda: write_table(out / "cells.parquet", table))
    took["cells"] = len(table)
    return took


# ---- clock and memory


def clock(work: Callable[[], Any], repeats: int) -> tuple[float, list[Any]]:
    """Median seconds after one warm-up, and what the repeats returned."""
    work()
    times, results = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        results.append(work())
        times.append(time.perf_counter() - start)
    return median(times), results


def peak_memory(path: Path, small: Path, out: Path, threads: int) -> float:
    """Bytes that the path, raw image included, adds to a process which has done a small image."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from bench_speed import memory_child; "
        "memory_child(*sys.argv[2:])"
    )
    command = [
        sys.executable,
        "-c",
        code,
        str(Path(__file__).parent),
        str(path),
        str(small),
        str(out),
        str(threads),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def memory_child(path: str, small: str, out: str, threads: str) -> None:
    """Print what the large image adds to the resident size at most, bytes."""
    set_threads(int(threads))
    steps(Path(small), Path(out))
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    steps(Path(path), Path(out))
    print(resident("VmHWM") - before)


def resident(what: str) -> int:
    """VmRSS, the resident size of this process now, or VmHWM, at its peak; bytes."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{what}:")[1].split()[0])


def set_threads(n: int) -> None:
    """Threads of numba and OpenCV."""
    import numba

    numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
    cv2.setNumThreads(n)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--cells", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--volume", action="store_true", help="32 x 1024 x 1024 x 3 instead")
    parser.add_argument("--no-plain", action="store_true", help="leave the slow row out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    set_threads(options.threads)
    slices, size = (32, 1024) if options.volume else (1, options.size)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name, width, n in (("image.tif", size, options.cells), ("small.tif", 256, 50)):
            image = paint(width, n, slices, options.seed)
            tifffile.imwrite(out / name, image, imagej=True, metadata={"axes": "ZCYX"})
        image_bytes = slices * 3 * size * size * 2
        rows: dict[str, float] = {}
        if not options.no_plain:
            rows["plain"], _ = clock(
                lambda: plain(out / "image.tif", out), 1 if options.volume else options.repeats
            )
        rows["floor"], _ = clock(lambda: floor(out / "image.tif", out), options.repeats)
        rows["rgbtrack"], took = clock(lambda: steps(out / "image.tif", out), options.repeats)
        memory = peak_memory(out / "image.tif", out / "small.tif", out, options.threads)
    print(f"{slices} x {size} x {size} x 3 uint16, {int(took[0]['cells'])} cells, {options.threads} threads")
    for name, seconds in rows.items():
        of = f"{rows['plain'] / seconds:7.1f} x faster than plain" if "plain" in rows else ""
        print(f"{name:20s} {1000 * seconds:9.1f} ms {seconds / rows['floor']:7.1f} x floor {of}")
    for name in took[0]:
        if name != "cells":
            print(f"  {name:18s} {1000 * median(t[name] for t in took):9.1f} ms")
    share = memory / image_bytes
    print(f"peak memory {memory / 1e6:.0f} MB: {share:.1f} x the image ({image_bytes / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
