"""Standard errors and limits of detection: the scatter of repeated exposures of the same cells.

    python benchmarks/bench_colour_errors.py [--seeds 3] [--exposures 6]

Scores are (measured - mean over the exposures) / `<marker>_se`, by marker and for the dim and the bright half
of the cells; 1 is right. "gain" is the estimated over the true gain of the detector. "empty" is the share of
cells without a marker in which it is said to be detected: 5 % at most is right.
"""

import argparse
import warnings

import numpy as np

from rgbtrack import correct_stack, measure_signatures, simulate_scene
from rgbtrack.simulate import PRESETS

CHANNELS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}


def score(preset: str, seed: int, exposures: int) -> tuple[np.ndarray, float, float, float, float]:
    """Sd of the scores by marker, of dim and of bright cells, gain over truth, share detected where empty."""
    values, errors, gains, wrong = [], [], [], []
    params = PRESETS[preset]
    for noise_seed in range(exposures):
        scene = simulate_scene(preset, seed=seed, noise_seed=noise_seed)
        matrix = scene.bleed_through.set_axis(list(CHANNELS)).set_axis(list(CHANNELS), axis=1)
        corrected = correct_stack(scene.stack.select(CHANNELS), bleed_through=matrix)
        table = measure_signatures(corrected, scene.labels)
        values.append(table[list(CHANNELS)].to_numpy())
        errors.append(table[[f"{name}_se" for name in CHANNELS]].to_numpy())
        gains.append(corrected.gain / params.counts_per_photon / params.excess_noise**2)
        truth = scene.cells.merge(table[["frame", "cell"]], on=["frame", "cell"])
        for name, protein in CHANNELS.items():
            empty = (truth[protein] == 0).to_numpy()
            wrong.append(table[f"{name}_detected"].to_numpy()[empty])
    z = (values - np.mean(values, axis=0)) / np.array(errors) * np.sqrt(exposures / (exposures - 1))
    bright = np.mean(values, axis=0).sum(axis=1)
    dim = bright < np.median(bright)
    return (
        z.std(axis=(0, 1)),
        float(z[:, dim].std()),
        float(z[:, ~dim].std()),
        float(np.mean(gains)),
        float(np.concatenate(wrong).mean()),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--exposures", type=int, default=6)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{'':14}{'red':>6}{'green':>7}{'blue':>6}{'dim':>7}{'bright':>8}{'gain':>7}{'empty':>8}")
    for preset in ("sparse", "typical", "dim_crowded", "confluent", "confocal", "volume"):
        rows = [score(preset, 100 + seed, asked.exposures) for seed in range(asked.seeds)]
        markers = np.mean([row[0] for row in rows], axis=0)
        dim, bright, gain, wrong = np.mean([row[1:] for row in rows], axis=0)
        red, green, blue = markers
        print(f"{preset:14}{red:6.2f}{green:7.2f}{blue:6.2f}{dim:7.2f}{bright:8.2f}{gain:7.2f}{wrong:8.1%}")


if __name__ == "__main__":
    main()
