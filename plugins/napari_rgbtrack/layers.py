"""From a results folder to napari's layers, without Qt and without napari."""

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackError, RgbtrackWarning
from rgbtrack.files import labels_file, read_json, read_labels, read_table
from rgbtrack.pipeline.recorded import open_recorded
from rgbtrack.plot import clone_colours
from rgbtrack.plot.colours import marker_hues
from rgbtrack.stack import NUCLEUS, Stack
from rgbtrack.tables import markers_of

LayerData = tuple[Any, dict[str, Any], str]

UNASSIGNED = (0.6, 0.6, 0.6, 1.0)
SHOWN = ("clone", "clone_probability", "unassigned_reason", "snr", "brightness")
"""Columns of the cells that napari shows beside a cell, before the markers and flags."""


def is_results(folder: Path) -> bool:
    """Whether a folder holds results of rgbtrack."""
    if not ((folder / "run.json").is_file() and (folder / "cells.parquet").is_file()):
        return False
    try:
        run = read_json(folder / "run.json")
    except DataError:
        return True  # whoever opens it is told that the file is torn
    return isinstance(run, dict) and {"images", "configuration"} <= run.keys()


def check_results(results: str | Path) -> Path:
    """Return the path of a results folder with at least one image.

    Raises
    ------
    DataError
        If it holds none.
    """
    results = Path(results)
    if not is_results(results):
        inner = results / "results"
        hint = f", {inner}" if is_results(inner) else ""
        raise DataError(f"{results} holds no results of rgbtrack: give the folder that a run wrote{hint}")
    if not image_ids(results):
        raise DataError(f"{results}: no image was processed; {results / 'run.json'} tells why")
    return results


def image_ids(results: Path) -> list[str]:
    """Images of a results folder that were processed, in the order of the sample sheet."""
    images = read_json(results / "run.json")["images"]
    return [name for name, record in images.items() if record["status"] == "done"]


def image_layers(results: str | Path, image_id: str | None = None) -> list[LayerData]:
    """Layers of one image: its channels, its cells and their clones.

    Parameters
    ----------
    results
        A results folder.
    image_id
        Which image; the first by default.

    Returns
    -------
    layers
        (data, settings, type) of one image layer per channel, additive, and of a labels layer ``cells`` in
        the colours of the clones, unassigned cells grey, whose features tell of each cell. There a cell has
        a number of its own over all frames.

    Raises
    ------
    DataError
        If the folder holds no results, or no such image.
    """
    results = check_results(results)
    run = read_json(results / "run.json")
    ids = image_ids(results)
    image_id = ids[0] if image_id is None else image_id
    if image_id not in ids:
        raise DataError(
            f"{results}: no processed image is named {image_id!r}; there are {', '.join(ids[:20])}"
        )
    labels = read_labels(labels_file(results / "labels", image_id))  # (t, z, y, x)
    cells = _cells_of(results / "cells.parquet", image_id)
    clones = read_table(results / "clones.csv") if (results / "clones.csv").exists() else None
    layers = picture_layers(results, run, image_id, labels.shape)
    layers.append(_cell_layer(labels, cells, clones, geometry(run["images"][image_id], labels.shape)))
    for _, layer_settings, _ in layers:
        layer_settings["metadata"] = {"rgbtrack": {"results": str(results), "image_id": image_id}}
    return layers


def picture_layers(
    results: Path, run: dict[str, Any], image_id: str, shape: tuple[int, ...]
) -> list[LayerData]:
    """Layers of an image's channels; of its thumbnail, with a warning, where the image is not there."""
    record = run["images"][image_id]
    settings = geometry(record, shape)
    layers = _channel_layers(record, run["configuration"], shape, settings)
    return layers or _thumbnail_layer(results / "thumbnails" / f"{image_id}.png", shape, settings)


def _cells_of(path: Path, image_id: str) -> pd.DataFrame:
    """Cells of one image; of a large table, the others are not read."""
    try:
        cells = pd.read_parquet(path, engine="pyarrow", filters=[("image_id", "==", image_id)])
    except (pa.ArrowException, OSError):  # ids of another type, or a file that is not whole
        cells = read_table(path)
    return cells[cells["image_id"].astype("str") == image_id]


def geometry(record: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Scale, units and names of the axes that are there: t and z only where longer than 1."""
    pixel = record.get("pixel_size_um")
    step = record.get("z_step_um") or pixel
    interval = record.get("frame_interval_h")
    length = "um" if pixel else "pixel"
    axes = [
        ("t", interval or 1.0, "hour" if interval else "pixel"),
        ("z", step or 1.0, length),
        ("y", pixel or 1.0, length),
        ("x", pixel or 1.0, length),
    ]
    kept = [axis for axis, n in zip(axes, shape, strict=True) if n > 1 or axis[0] in "yx"]
    return {
        "axis_labels": tuple(name for name, _, _ in kept),
        "scale": tuple(float(scale) for _, scale, _ in kept),
        "units": tuple(unit for _, _, unit in kept),
    }


def drop_singletons(array: Any) -> Any:
    """(t, z, y, x) without t and z where they are 1 long."""
    index = tuple(0 if n == 1 and axis < 2 else slice(None) for axis, n in enumerate(array.shape))
    return array[index]


def _channel_layers(
    record: dict[str, Any], configuration: dict[str, Any], shape: tuple[int, ...], settings: dict[str, Any]
) -> list[LayerData]:
    """One additive layer per channel, as analysed; none, with a warning, where the image is not there."""
    try:
        stack = open_recorded(record, configuration)
        if (stack.n_frames, *stack.pixels.shape[2:]) != tuple(shape):
            raise DataError(f"{stack.source} has another size than its labels")
    except (RgbtrackError, OSError, KeyError) as error:
        warnings.warn(
            f"the image itself cannot be shown, only its cells and thumbnail: {error}",
            RgbtrackWarning,
            stacklevel=3,
        )
        return []
    return [channel_layer(stack, c, settings) for c in range(len(stack.channels))]


def _thumbnail_layer(path: Path, shape: tuple[int, ...], settings: dict[str, Any]) -> list[LayerData]:
    """Stand-in for an image that is gone: its thumbnail, laid under the cells; none if that is gone too."""
    picture = cv2.imread(str(path)) if path.is_file() else None
    if picture is None:
        return []
    pixel = np.array(settings["scale"][-2:])
    scale = pixel * shape[-2:] / picture.shape[:2]
    return [
        (
            np.ascontiguousarray(picture[..., ::-1]),
            {
                "name": "thumbnail",
                "rgb": True,
                "scale": tuple(scale.tolist()),
                "translate": tuple(((scale - pixel) / 2).tolist()),  # corners meet, not the pixels' centres
                "units": settings["units"][-2:],
                "axis_labels": settings["axis_labels"][-2:],
            },
            "image",
        )
    ]


def channel_layer(stack: Stack, c: int, settings: dict[str, Any]) -> LayerData:
    """Layer of one channel, additive, in its marker's hue."""
    name = stack.channels[c]
    first = np.asarray(stack.pixels[0, c])[..., ::2, ::2]
    finite = first[np.isfinite(first)]
    low, high = (float(value) for value in np.percentile(finite, (20, 99.8))) if finite.size else (0.0, 1.0)
    nucleus = name == NUCLEUS
    return (
        drop_singletons(stack.pixels[:, c]),
        {
            **settings,
            "name": name,
            "colormap": "gray" if nucleus else marker_hues(stack.markers)[stack.markers.index(name)],
            "blending": "additive",
            "contrast_limits": (low, max(high, low + 1)),
            "gamma": 0.6,
            "visible": not nucleus,
        },
        "image",
    )


def _cell_layer(
    labels: NDArray[np.uint32], cells: pd.DataFrame, clones: pd.DataFrame | None, settings: dict[str, Any]
) -> LayerData:
    """Cells in the colours of their clones, with what is known of each."""
    # a cell's number in the table counts per frame: here each gets one over all frames
    offsets = np.concatenate([[0], np.cumsum([int(frame.max(initial=0)) for frame in labels])])
    unique = labels.astype(np.int32)  # (t, z, y, x)
    for t, offset in enumerate(offsets[:-1]):
        unique[t][labels[t] > 0] += int(offset)
    number = offsets[cells["frame"].to_numpy(np.int64)] + cells["cell"].to_numpy(np.int64)
    by_clone = {} if clones is None or clones.empty else clone_colours(clones)
    colours: dict[int | None, Any] = {None: UNASSIGNED, 0: (0.0, 0.0, 0.0, 0.0)}
    if "clone" in cells.columns:
        called = cells["clone"].notna().to_numpy()
        for cell, clone in zip(number[called], cells["clone"][called], strict=True):
            colours[int(cell)] = (*by_clone[int(clone)], 1.0) if int(clone) in by_clone else UNASSIGNED
    columns = [name for name in SHOWN if name in cells.columns]
    columns += markers_of(cells)
    columns += [str(name) for name in cells.columns if pd.api.types.is_bool_dtype(cells[name])]
    features = cells[columns].reset_index(drop=True)
    features.insert(0, "index", number)
    return (
        drop_singletons(unique),
        {**settings, "name": "cells", "features": features, "colormap": colours, "opacity": 0.6},
        "labels",
    )
