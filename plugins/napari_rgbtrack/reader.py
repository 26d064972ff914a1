"""Reader: a results folder dropped on napari."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_rgbtrack.layers import LayerData, image_layers, is_results


def get_reader(path: str | Sequence[str]) -> Callable[[object], list[LayerData]] | None:
    """Return a reader if this is a results folder of rgbtrack (or its run.json), else None."""
    if not isinstance(path, str | os.PathLike):
        return None
    folder = Path(path).parent if Path(path).name == "run.json" else Path(path)
    if not is_results(folder):
        return None
    return lambda _: image_layers(folder)
