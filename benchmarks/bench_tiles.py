"""Images larger than memory, tile by tile: time and memory beside those of an image worked on as a whole.

An image is a mosaic of simulated scenes, written as OME-Zarr 0.4 (or tiled TIFF) of 3 channels, uint16.
Each row is a process of its own, of which the largest resident size is told; seconds are those of the image
alone, without the start of Python.

    python benchmarks/bench_tiles.py --side 20000 --tile 4096
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
import zarr

from rgbtrack.simulate import simulate_scene
from rgbtrack.simulate.params import PRESETS

WHOLE = 5000
"""Rows and columns of the image that is worked on as a whole."""
SCENE = 2000


def main() -> None:
    """Print a row for each way to work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=20_000, help="rows and columns of the large image")
    parser.add_argument("--tile", type=int, nargs="+", default=[4096])
    parser.add_argument("--workers", type=int, nargs="+", default=[1])
    parser.add_argument("--preset", default="typical")
    parser.add_argument("--tiff", action="store_true", help="a tiled TIFF instead of an OME-Zarr")
    parser.add_argument("--do", help="for the processes that are measured")
    chosen = parser.parse_args()
    if chosen.do:
        print(json.dumps(_do(**json.loads(chosen.do))))
        return
    with tempfile.TemporaryDirectory() as folder:
        scenes = [np.asarray(_scene(chosen.preset, seed)) for seed in range(3)]
        write = _write_tiff if chosen.tiff else _write_zarr
        small, large = (write(Path(folder), scenes, side) for side in (WHOLE, chosen.side))
        print(f"{'':34s}{'s':>8s}{'s/Mpx':>9s}{'ratio':>8s}{'peak MB':>9s}{'cells':>9s}")
        base = _row("whole", small, Path(folder), WHOLE, 1, 4096, None)
        for tile in chosen.tile:
            for workers in chosen.workers:
                name = f"tiles of {tile} px, {workers} worker{'s' if workers > 1 else ''}"
                _row(name, large, Path(folder), chosen.side, workers, tile, base)


def _scene(preset: str, seed: int) -> np.ndarray:
    params = PRESETS[preset].model_copy(update={"size_px": SCENE})
    return np.asarray(simulate_scene(params, seed=seed).stack.pixels)[0, :, 0]


def _blocks(scenes: list[np.ndarray], side: int):
    """Scenes turned and put beside each other: place and pixels (c, y, x)."""
    rng = np.random.default_rng(0)
    for y in range(0, side, SCENE):
        for x in range(0, side, SCENE):
            scene = scenes[rng.integers(len(scenes))]
            turned = np.rot90(scene, rng.integers(4), axes=(1, 2))
            yield y, x, turned[:, : side - y, : side - x]


def _write_zarr(folder: Path, scenes: list[np.ndarray], side: int) -> Path:
    path = folder / f"{side}.ome.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    image = group.create_array("0", shape=(3, side, side), chunks=(1, 1000, 1000), dtype=np.uint16)
    for y, x, pixels in _blocks(scenes, side):
        image[:, y : y + pixels.shape[1], x : x + pixels.shape[2]] = pixels
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "yx"
    ]
    scale = [{"type": "scale", "scale": [1, 0.65, 0.65]}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    group.attrs["omero"] = {"channels": [{"label": name} for name in ("red", "green", "blue")]}
    return path


def _write_tiff(folder: Path, scenes: list[np.ndarray], side: int) -> Path:
    path = folder / f"{side}.ome.tif"
    image = np.memmap(folder / "pixels", np.uint16, mode="w+", shape=(3, side, side))
    for y, x, pixels in _blocks(scenes, side):
        image[:, y : y + pixels.shape[1], x : x + pixels.shape[2]] = pixels
    tifffile.imwrite(
        path,
        image,
        tile=(512, 512),
        compression="zstd",
        photometric="minisblack",
        metadata={
            "axes": "CYX",
            "PhysicalSizeX": 0.65,
            "PhysicalSizeY": 0.65,
            "Channel": {"Name": ["red", "green", "blue"]},
        },
    )
    return path


def _row(
    name: str, image: Path, folder: Path, side: int, workers: int, tile: int, base: float | None
) -> float:
    task = {
        "image": str(image),
        "out": str(folder / name.replace(" ", "_")),
        "workers": workers,
        "tile": tile,
    }
    done = subprocess.run(
        [sys.executable, __file__, "--do", json.dumps(task)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    each = told["seconds"] / (side**2 / 1e6)
    ratio = "" if base is None else f"{each / base:.2f}"
    row = f"{told['seconds']:8.1f}{each:9.3f}{ratio:>8s}{told['peak']:9.0f}{told['cells']:9d}"
    print(f"{name + f', {side}²':34s}{row}", flush=True)
    return each


def _do(image: str, out: str, workers: int, tile: int) -> dict[str, float]:
    """Work on an image, and tell how long it took and how much memory."""
    from rgbtrack.correct import CorrectParams
    from rgbtrack.pipeline.image import process_image
    from rgbtrack.pipeline.processes import Processes
    from rgbtrack.pipeline.task import ImageTask
    from rgbtrack.segment import SegmentParams
    from rgbtrack.signature import SignatureParams

    scratch = Path(out)
    (scratch / ".parts").mkdir(parents=True)
    channels = {"red": "red", "green": "green", "blue": "blue"}
    given = CorrectParams(), SegmentParams(), SignatureParams()
    task = ImageTask("image", (Path(image),), channels, scratch, *given, tile_px=tile)
    with Processes(workers) as crew:
        record = process_image(task, crew)
    if record["status"] != "done":
        raise SystemExit(record["error"] + record.get("traceback", ""))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"seconds": record["seconds"], "peak": peak / 1024, "cells": record["n_cells"]}


if __name__ == "__main__":
    main()
