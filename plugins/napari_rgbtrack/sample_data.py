"""Sample data: simulated, so that the truth is known."""

import tempfile
from pathlib import Path

import numpy as np

from napari_rgbtrack.layers import LayerData, channel_layer, drop_singletons, geometry
from napari_rgbtrack.opened import experiment_layers
from rgbtrack.simulate import simulate_experiment, simulate_scene

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}


def simulated_field() -> list[LayerData]:
    """One field of RGB-marked cells, and its true cells by clone."""
    scene = simulate_scene("typical", n_clones=12, seed=1)
    stack = scene.stack.select(MARKERS)
    settings = geometry(
        {"pixel_size_um": stack.pixel_size_um, "z_step_um": stack.z_step_um},
        (stack.n_frames, *stack.pixels.shape[2:]),
    )
    layers = [channel_layer(stack, c, settings) for c in range(len(stack.channels))]
    clone = np.zeros(int(scene.labels.max()) + 1, np.uint16)
    known = scene.cells.dropna(subset=["clone"])
    clone[known["cell"].to_numpy(int)] = known["clone"].to_numpy(int)
    truth = drop_singletons(clone[scene.labels])
    return [*layers, (truth, {**settings, "name": "true clones", "opacity": 0.5, "visible": False}, "labels")]


def simulated_experiment() -> list[LayerData]:
    """A small experiment of eight images in a folder of its own, ready to be set up and run."""
    folder = Path(tempfile.mkdtemp(prefix="rgbtrack_")) / "experiment"
    simulate_experiment(folder, "sample", subjects=2, timepoints=(0, 7), seed=1)
    return experiment_layers(folder)
