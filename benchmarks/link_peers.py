"""Linking: link and division F1 of rgbtrack, laptrack, trackpy and btrack on the same detections.

    python benchmarks/link_peers.py make FOLDER              an environment for each peer, in FOLDER
    python benchmarks/link_peers.py run FOLDER --seeds 3     the comparison

The peers link by place, each in an interpreter of its own (`peer_trackers.py`), are told the step, and get,
for links and for divisions of every movie, the best of some settings by the truth: in their favour. rgbtrack
learns all that it needs from each movie, once with colour and size and once by place alone.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from bench_link import KINDS, OURS, scores

from rgbtrack import link_cells
from rgbtrack.simulate import MovieParams, simulate_tracks

PEERS = {
    "laptrack": ["laptrack", "pandas"],
    "trackpy": ["trackpy"],
    # newer ones ask for a C++ runtime that few systems have; this one for older libraries
    "btrack": ["btrack==0.6.5", "pydantic<2", "numpy<2", "pandas"],
}


def make(folder: Path) -> None:
    """Make an environment for each peer."""
    for name, packages in PEERS.items():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        subprocess.run([_python(folder, name), "-m", "pip", "install", "--quiet", *packages], check=True)


def _python(folder: Path, name: str) -> str:
    return str(folder / name / "bin" / "python")


def by_peer(name: str, folder: Path, cells: pd.DataFrame, step: float) -> dict[str, pd.DataFrame]:
    """Link with a peer: tracks by setting."""
    script = Path(__file__).with_name("peer_trackers.py")
    with tempfile.TemporaryDirectory() as place:
        table, out = Path(place) / "cells.csv", Path(place) / "tracks.csv"
        cells[["frame", "y_um", "x_um"]].to_csv(table, index=False)
        command = [_python(folder, name), str(script), name, str(step), str(table), str(out)]
        subprocess.run(command, check=True, capture_output=True, text=True)
        tracks = pd.read_csv(out)
    return {
        setting: cells.join(part.set_index("row")[["track", "parent"]])
        for setting, part in tracks.groupby("setting")
    }


def compare(folder: Path, seeds: int, kinds: list[str], methods: list[str]) -> None:
    """Print mean and worst F1 over the movies, by kind, step and method."""
    for kind in kinds:
        for step in (0.25, 0.5, 0.9):
            movies = [
                simulate_tracks(MovieParams(step=step, **KINDS[kind]), seed=100 + seed)
                for seed in range(seeds)
            ]
            for name in methods:
                best = []
                for cells in movies:
                    if name in OURS:
                        found = {"": link_cells(cells, OURS[name])}
                    else:
                        found = by_peer(name, folder, cells, step * MovieParams().spacing_um)
                    best.append(np.max([scores(tracks, cells) for tracks in found.values()], axis=0))
                (links, births), (least, fewest) = np.mean(best, axis=0), np.min(best, axis=0)
                print(
                    f"{kind:7} step {step:<5g} {name:18} links {links:.3f} (worst {least:.3f})  "
                    f"divisions {births:.2f} (worst {fewest:.2f})",
                    flush=True,
                )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["make", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--methods", nargs="*", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.what == "make":
        make(chosen.folder)
    else:
        compare(chosen.folder, chosen.seeds, chosen.kinds, chosen.methods)


if __name__ == "__main__":
    main()
