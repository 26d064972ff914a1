"""Readers: a results folder, or an experiment that was not run yet, dropped on napari."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_rgbtrack.layers import LayerData, image_layers, is_results
from napari_rgbtrack.opened import experiment_layers, is_experiment


def get_reader(path: str | Sequence[str]) -> Callable[[object], list[LayerData]] | None:
    """Return a reader for a results folder (or its run.json), or for an experiment; None for all else."""
    if not isinstance(path, str | os.PathLike):
        return None
    folder = Path(path).parent if Path(path).name == "run.json" else Path(path)
    if is_results(folder):
        return lambda _: image_layers(folder)
    if is_experiment(folder):
        return lambda _: experiment_layers(folder)
    return None
