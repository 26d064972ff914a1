"""Illumination and background against planted truth.

    python benchmarks/bench_colour_light.py [--seeds 3] [--images 6] [--size 512]

First table, of each channel: "light" is what each marker's lamp loses, "found" the share of batches in which
it is called uneven. Root mean square errors: of no correction ("none"), of polynomials fitted to the mean of
all images less the true dark level ("mean"), of what is divided out ("used"), and of the estimate before it
was asked whether it is evident; "se" is what the estimate says of itself. "limit" is what the tilts of the
images' own gradients leave, were all else known. The first rows of each preset are even light, which is to be
left alone.

Second table: light over the true background where cells are ("level": haze, mostly), and the cells without a
marker: their mean in counts, and in units of their whole error (noise and systematic) the median, the spread
(1.48 times the median distance from it), and the share beyond 2.
"""

import argparse
import warnings

import numpy as np

from rgbtrack import correct_stack, measure_signatures, simulate_scene
from rgbtrack.correct import estimate_illumination, estimate_noise
from rgbtrack.correct.light import field, polynomials
from rgbtrack.simulate import PRESETS
from rgbtrack.simulate.optics import illumination_of

CHANNELS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
KINDS = ("sparse", "typical", "dim_crowded", "confluent", "confocal")
LAMPS = (((0.0, 0.0, 0.0),) * 3, ((0.2, 0.0, 0.0), (0.3, 0.3, 0.1), (0.1, -0.2, 0.2)))
WINDOW_UM = 80.0


def rms(light: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt((light**2).mean()))


def illumination(preset: str, lamps: tuple, seed: int, n: int, size: int) -> list[tuple[float, ...]]:
    """Of each channel: found, errors of none, mean, used and estimate, and the estimate's own."""
    params = PRESETS[preset].model_copy(update={"lamps": lamps, "size_px": size})
    images = np.stack([simulate_scene(params, seed=1000 * seed + i).stack.pixels[0, :, 0] for i in range(n)])
    rows = []
    for c, light in enumerate(illumination_of(params)[:, 0]):
        true = light / light.mean()
        one = estimate_illumination(
            images[:, c], estimate_noise(images[:, c]), window_px=WINDOW_UM / params.pixel_size_um
        )
        off = field(one.pooled.beta, true.shape) - true
        plain = smooth_mean(images[:, c] - params.offset) - true
        rows.append((float(one.evident), rms(1 - true), rms(plain), rms(one.flat - true), rms(off), one.se))
    return rows


def smooth_mean(images: np.ndarray) -> np.ndarray:
    """Fit the same polynomials to the mean of all images."""
    phi = polynomials(images.shape[1:])
    mean = images.mean(axis=0)
    return 1 + np.tensordot((phi * mean).mean(axis=(1, 2)) / mean.mean(), phi, 1)


def background(preset: str, seed: int) -> np.ndarray:
    """Level over the true background at cells, and mean and z-scores of cells without a marker: (n, 3)."""
    params = PRESETS[preset]
    scene = simulate_scene(preset, seed=seed)
    matrix = scene.bleed_through.set_axis(list(CHANNELS)).set_axis(list(CHANNELS), axis=1)
    corrected = correct_stack(scene.stack.select(CHANNELS), bleed_through=matrix)
    table = scene.cells.merge(measure_signatures(corrected, scene.labels), on=["frame", "cell"])
    inside, rows = scene.labels[0, 0] > 0, []
    for c, (name, protein) in enumerate(CHANNELS.items()):
        level = scene.stack.pixels[0, c, 0] - corrected.pixels[0, c, 0]
        light = params.background * (1 + c) * params.counts_per_photon * illumination_of(params)
        over = float((level - params.offset - light)[inside].mean())
        off = table[(table[protein] == 0).to_numpy()]
        error = np.hypot(off[f"{name}_se"], off[f"{name}_systematic"])
        rows += [(over, value, z) for value, z in zip(off[name], off[name] / error, strict=True)]
    return np.array(rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--size", type=int, default=512)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    # a gradient g has coefficients of g / 2 / sqrt(3), one way or the other
    limit = PRESETS["typical"].gradient / 2 / np.sqrt(3) / np.sqrt(asked.images)
    head = ("light", "found", "none", "mean", "used", "estimate", "se")
    print(f"{'':14}" + "".join(f"{word:>10}" for word in head) + f"   limit {limit:.3f}")
    for preset in KINDS:
        for lamps in LAMPS:
            batches = [
                illumination(preset, lamps, 60 + seed, asked.images, asked.size)
                for seed in range(asked.seeds)
            ]
            for c, rows in enumerate(np.moveaxis(np.array(batches), 1, 0)):
                found, *errors = rows.mean(axis=0)
                told = "".join(f"{error:10.3f}" for error in errors)
                print(f"{preset:14}{lamps[c][0]:10.1f}{found:10.0%}{told}")
    print(f"\n{'':14}{'level':>8}{'mean':>8}{'z median':>10}{'spread':>8}{'|z| > 2':>9}")
    for preset in KINDS:
        over, value, z = np.concatenate([background(preset, 300 + seed) for seed in range(asked.seeds)]).T
        spread = 1.4826 * np.median(np.abs(z - np.median(z)))
        told = f"{over.mean():8.1f}{value.mean():8.1f}{np.median(z):10.2f}{spread:8.2f}"
        print(f"{preset:14}{told}{(np.abs(z) > 2).mean():9.1%}")


if __name__ == "__main__":
    main()
