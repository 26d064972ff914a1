"""An experiment that was not run yet: its images as layers, without Qt and without napari."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_rgbtrack.layers import LayerData, channel_layer, geometry
from rgbtrack.errors import DataError
from rgbtrack.pipeline import read_experiment
from rgbtrack.pipeline.runs import image_tasks


def is_experiment(path: Path) -> bool:
    """Whether this is an experiment.toml, or a folder with one."""
    file = path / "experiment.toml" if path.is_dir() else path
    if file.name == "experiment.toml":
        return file.is_file()  # with mistakes too: whoever opens it is told
    return file.name.endswith(".toml") and file.is_file() and b"[channels]" in file.read_bytes()


def experiment_layers(path: str | Path, image_id: str | None = None) -> list[LayerData]:
    """Layers of the channels of one image of an experiment.

    Parameters
    ----------
    path
        experiment.toml, or its folder.
    image_id
        Which image; the first by default.

    Raises
    ------
    ParamError
        All mistakes of the experiment at once.
    DataError
        If there is no such image, or it cannot be read.
    """
    experiment = read_experiment(path)
    tasks = {task.image_id: task for task in image_tasks(experiment, experiment.folder / "results")}
    image_id = next(iter(tasks)) if image_id is None else image_id
    if image_id not in tasks:
        raise DataError(f"no image is named {image_id!r}; there are {', '.join(list(tasks)[:20])}")
    stack = tasks[image_id].read()
    record = {
        "pixel_size_um": stack.pixel_size_um,
        "z_step_um": stack.z_step_um,
        "frame_interval_h": stack.frame_interval_h,
    }
    settings = geometry(record, (stack.n_frames, *stack.pixels.shape[2:]))
    layers = [channel_layer(stack, c, settings) for c in range(len(stack.channels))]
    for _, made, _ in layers:
        made["metadata"] = {"rgbtrack": {"experiment": str(experiment.path), "image_id": image_id}}
    return layers


def shown_experiment(layers: Iterable[Any]) -> tuple[Path, str] | None:
    """Path and image of the experiment that layers show; None for none."""
    for layer in layers:
        told = layer.metadata.get("rgbtrack", {})
        if "experiment" in told:
            return Path(told["experiment"]), str(told["image_id"])
    return None
