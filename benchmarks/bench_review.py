"""How fast the review window is: 250,000 cells, from opening to what a click redraws.

    python benchmarks/bench_review.py                  # 250,000 cells in 2,000 images, and in one image
    python benchmarks/bench_review.py --cells 20000

Needs a screen: on a machine without one, put `xvfb-run -s "-screen 0 1600x1000x24"` before it.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack.files import read_json, read_table, write_json, write_labels, write_table

REPEATS = 7


def many_images(small: Path, folder: Path, n_cells: int) -> Path:
    """Results of a small experiment, copied as other images of it until there are so many cells."""
    shutil.copytree(small, folder)
    cells, told = read_table(small / "cells.parquet"), read_json(small / "run.json")
    copies = -(-n_cells // len(cells))
    tables, images = [], {}
    for k in range(copies):
        tables.append(cells.assign(image_id=cells["image_id"].astype("str") + f"_{k}"))
        for name, record in told["images"].items():
            images[f"{name}_{k}"] = record
            (folder / "labels" / f"{name}_{k}.tif").hardlink_to(small / "labels" / f"{name}.tif")
    write_table(folder / "cells.parquet", pd.concat(tables, ignore_index=True))
    write_json(folder / "run.json", told | {"images": images})
    return folder


def one_image(small: Path, folder: Path, n_cells: int, pitch: int = 16) -> Path:
    """The same with all cells in one image: discs on a grid."""
    shutil.copytree(small, folder)
    cells, told = read_table(small / "cells.parquet"), read_json(small / "run.json")
    side = int(np.ceil(np.sqrt(n_cells)))
    y, x = np.mgrid[:pitch, :pitch] - pitch / 2 + 0.5
    disc = np.hypot(y, x) < 0.4 * pitch
    numbers = np.arange(1, side**2 + 1, dtype=np.uint32).reshape(side, side)
    labels = np.kron(numbers, np.ones((pitch, pitch), np.uint32)) * np.tile(disc, (side, side))
    name = next(iter(told["images"]))
    rows = cells.iloc[np.arange(side**2) % len(cells)].reset_index(drop=True)
    place = (np.indices((side, side)).reshape(2, -1) + 0.5) * pitch
    um = told["images"][name]["pixel_size_um"]
    rows = rows.assign(image_id=name, cell=np.arange(1, side**2 + 1), y_um=place[0] * um, x_um=place[1] * um)
    write_table(folder / "cells.parquet", rows)
    write_labels(folder / "labels" / f"{name}.tif", labels[None, None])
    record = told["images"][name] | {"paths": []}  # the picture is not what is timed
    write_json(folder / "run.json", told | {"images": {name: record}})
    return folder


def median_ms(do: Callable[[int], object]) -> float:
    """Median of a few calls, in milliseconds."""
    seconds = []
    for k in range(REPEATS):
        start = time.perf_counter()
        do(k)
        seconds.append(time.perf_counter() - start)
    return 1000 * float(np.median(seconds))
