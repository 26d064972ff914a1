"""Stage drift of time series against planted paths.

    python benchmarks/bench_colour_drift.py [--seeds 6]

Cells wander by "step" um from frame to frame while the stage takes random steps of 6 px (sd): eight frames of
208 um. "error" is the sd of the distance from the true place, "worst" the largest, "z" its sd in standard
errors (1 is right).
"""

import argparse
from dataclasses import replace

import numpy as np
from scipy import ndimage as ndi

from rgbtrack import correct_stack, simulate_scene
from rgbtrack.correct import estimate_drift
from rgbtrack.pipeline.drift import see_from_above
from rgbtrack.simulate import PRESETS

SCENES = {"sparse": (2.0, 0.25), "sparse, slow cells": (0.5, 0.25), "crowded": (2.0, 0.6)}


def score(step_um: float, packing: float, seeds: int) -> tuple[float, float, float]:
    """Sd of the error and its largest, px, and the sd of the error in standard errors."""
    off, z = [], []
    for seed in range(seeds):
        params = PRESETS["timelapse"].model_copy(
            update={"step_um": step_um, "packing": packing, "size_px": 320}
        )
        stack = simulate_scene(params, seed=seed).stack
        steps = np.random.default_rng(seed).normal(0, 6, (stack.n_frames - 1, 2))
        path = np.vstack([[0, 0], np.cumsum(steps, axis=0)])
        pixels = stack.pixels.astype(np.float32)
        for t, place in enumerate(path):
            pixels[t] = ndi.shift(pixels[t], (0, 0, *place), order=1, mode="nearest")
        moved = replace(stack, pixels=pixels)
        lights = [see_from_above(correct_stack(moved.frame(t))) for t in range(stack.n_frames)]
        drift = estimate_drift(np.stack(lights))
        off.append(drift.zyx_px[1:, 1:] - path[1:])
        z.append(off[-1] / drift.se[1:, 1:])
    return float(np.std(off)), float(np.abs(off).max()), float(np.std(z))


def main() -> None:
    """Print one line per scene."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    seeds = parser.parse_args().seeds
    print("| scene | step of cells, um | error, px | worst, px | z |\n|---|---|---|---|---|")
    for name, (step_um, packing) in SCENES.items():
        error, worst, z = score(step_um, packing, seeds)
        print(f"| {name} | {step_um} | {error:.2f} | {worst:.1f} | {z:.1f} |", flush=True)


if __name__ == "__main__":
    main()
