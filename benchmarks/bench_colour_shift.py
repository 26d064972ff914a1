"""Chromatic shift: how far the estimate lies from a planted one, in pixels.

    python benchmarks/bench_colour_shift.py [--seeds 4]

Channels of simulated scenes are moved by 0, 0.3, 1 and 2 px (cubic splines), green and blue each their own
way; volumes also across planes. "rms" and "worst" are over channels, axes and seeds, "z sd" the sd of it in
standard errors, "found" the share of moved channels (of channels, at 0 px) that are called moved.
"""

import argparse
import warnings
from dataclasses import replace

import numpy as np
from scipy import ndimage as ndi

from rgbtrack import correct_stack, simulate_scene
from rgbtrack.correct import estimate_shift, noise_sd

WAY = np.array([[0, 0, 0], [0.5, 1.0, -0.7], [-0.3, -0.5, 1.0]])
LEAST_PX = 0.15


def errors(preset: str, seed: int, px: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Error of each channel and axis, in px and in standard errors, and the share called moved."""
    stack = simulate_scene(preset, seed=seed).stack
    moves = px * WAY * ([1, 1, 1] if stack.pixels.shape[2] > 1 else [0, 1, 1])
    pixels = stack.pixels.astype(np.float32)
    for c, move in enumerate(moves):
        if move.any():
            pixels[0, c] = ndi.shift(pixels[0, c], move, order=3, mode="nearest")
    corrected = correct_stack(replace(stack, pixels=pixels))
    found = estimate_shift(corrected.pixels[0], noise_sd(corrected))
    reference = int(np.flatnonzero((found.se == 0).all(axis=1))[0])
    rest = np.delete(found.zyx_px - (moves - moves[reference]), reference, axis=0)
    se = np.delete(found.se, reference, axis=0)
    known = np.isfinite(se)
    return rest[known], rest[known] / se[known], float(found.evident(LEAST_PX).sum() / 2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    warnings.simplefilter("ignore")
    print(f"{'':20}{'px':>5}{'rms':>8}{'worst':>8}{'z sd':>7}{'found':>7}")
    for preset in ("sparse", "typical", "dim_crowded", "confluent", "confocal", "touching_colours", "volume"):
        for px in (0, 0.3, 1, 2):
            rows = [errors(preset, 200 + seed, px) for seed in range(seeds)]
            rest, z = (np.concatenate([row[k] for row in rows]) for k in (0, 1))
            found = np.mean([row[2] for row in rows])
            rms, worst = np.sqrt((rest**2).mean()), np.abs(rest).max()
            print(f"{preset:20}{px:5.1f}{rms:8.3f}{worst:8.3f}{z.std():7.2f}{found:7.0%}")


if __name__ == "__main__":
    main()
