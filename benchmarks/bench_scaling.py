"""How time and memory grow: with images, with workers, with cells.

    python benchmarks/bench_scaling.py images --counts 1000 2000 10000
    python benchmarks/bench_scaling.py workers --counts 48
    python benchmarks/bench_scaling.py workers --counts 144 --size 768 --command measure
    python benchmarks/bench_scaling.py cells --counts 10000 100000 1000000

Images and workers are runs of the command line (whole ones, from images to report, unless another command is
named), in processes of their own, whose times and resident sizes are added up. With tiles: `bench_tiles.py`;
against plain scikit-image: `bench_speed.py`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack import assign_clones, simulate_experiment
from rgbtrack.simulate.params import PRESETS

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20 if hasattr(os, "sysconf") else 0.0


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["images", "workers", "cells"])
    parser.add_argument("--counts", type=int, nargs="+", required=True)
    parser.add_argument(
        "--size", type=int, default=0, help="pixels a side; 96 of many images, 512 for workers"
    )
    parser.add_argument("--command", default="run", help="of rgbtrack, for images and workers")
    chosen = parser.parse_args()
    if chosen.what == "cells":
        _cells(chosen.counts)
    else:
        _images(chosen.counts, chosen.size, [2] if chosen.what == "images" else [1, 2], chosen.command)


def _images(counts: list[int], size: int, workers: list[int], what: str) -> None:
    heads = ("images", "workers", "s", "ms/image", "processor, s", "again, s", "peak MB")
    print("".join(f"{head:>13s}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        for n in counts:
            experiment = _experiment(Path(folder) / str(n), n, size or (96 if len(workers) == 1 else 512))
            for crew in workers:
                command = [what, experiment, "--workers", crew, "--out", experiment / f"results_{crew}"]
                seconds, worked, peak = _measured(command)
                again, _, _ = _measured(command)
                row = (seconds, 1e3 * seconds / n, worked, again, peak)
                print(f"{n:13d}{crew:13d}" + "".join(f"{value:13.1f}" for value in row), flush=True)
            shutil.rmtree(experiment)


def _experiment(folder: Path, n: int, size: int) -> Path:
    """Experiment of so many images: a few scenes under many names."""
    preset = PRESETS["sample"].model_copy(update={"size_px": size})
    simulate_experiment(folder, preset, seed=0, subjects=3)
    sheet = pd.read_csv(folder / "samples.csv")
    rows = pd.concat([sheet] * -(-n // len(sheet)), ignore_index=True).head(n)
    for i, image in enumerate(rows["image"]):
        copy = folder / "images" / f"copy_{i}.ome.tif"
        os.link(folder / image, copy)
    rows = rows.assign(image=[f"images/copy_{i}.ome.tif" for i in range(n)])
    rows.drop(columns="image_id", errors="ignore").to_csv(folder / "samples.csv", index=False)
    return folder


def _measured(command: list[object]) -> tuple[float, float, float]:
    """Seconds of a command; processor seconds of its processes, and the most memory of all together, MB."""
    rgbtrack = Path(sys.executable).with_name("rgbtrack")
    start, peak = time.perf_counter(), 0.0
    worked: dict[int, float] = {}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen([rgbtrack, *map(str, command)], **quiet) as process:
        while process.poll() is None:
            family = _family(process.pid)
            peak = max(peak, sum(map(_resident, family)))
            worked |= {pid: s for pid in family if (s := _processor_s(pid)) > worked.get(pid, 0)}
            time.sleep(0.05)
        if process.returncode:
            raise SystemExit(process.stderr.read().decode())
    return time.perf_counter() - start, sum(worked.values()), peak


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _processor_s(pid: int) -> float:
    try:
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:
        times = []
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_MB
    except (OSError, IndexError):
        return 0.0


def _cells(counts: list[int]) -> None:
    """Clones of tables of 12 clones; the memory is the largest so far."""
    import resource

    print(f"{'cells':>9s}{'s':>8s}{'us/cell':>9s}{'peak MB':>9s}{'right':>8s}")
    for n in counts:
        table = _table(n)
        truth = table.pop("true")
        start = time.perf_counter()
        called = assign_clones(table)
        seconds = time.perf_counter() - start
        known = called["clone"].notna()
        pairs = pd.crosstab(called.loc[known, "clone"], truth[known.to_numpy()])
        right = pairs.max(axis=1).sum() / known.sum()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{n:9d}{seconds:8.1f}{1e6 * seconds / n:9.1f}{peak:9.0f}{right:8.3f}", flush=True)


def _table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    clones = rng.dirichlet([0.6, 0.6, 0.6], 12)
    true = rng.choice(12, n, p=rng.dirichlet([2] * 12))
    light = 300 * rng.lognormal(0, 0.4, (n, 1)) * clones[true] * rng.lognormal(0, 0.08, (n, 3))
    error = np.sqrt(light / 20 + 4)
    seen = light + error * rng.standard_normal((n, 3))
    table = pd.DataFrame(
        {"image_id": "a", "frame": 0, "cell": np.arange(1, n + 1), "true": true, "y_um": 0.0, "x_um": 0.0}
    )
    for j, name in enumerate(("red", "green", "blue")):
        table[name], table[f"{name}_se"] = seen[:, j], error[:, j]
    return table


if __name__ == "__main__":
    main()
