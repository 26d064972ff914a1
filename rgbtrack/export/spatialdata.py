"""SpatialData: images, labels and cells together, as napari-spatialdata and squidpy open them."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.export.anndata import anndata_of
from rgbtrack.export.folder import write_export
from rgbtrack.export.results import Results
from rgbtrack.files.extras import need_extra

TABLE = "cells"


def write_spatialdata(results: Results, out: Path) -> list[Path]:
    """Write one Zarr folder.

    Every image, and every frame of a time series, has a coordinate system of its own name, in um, which holds
    the image ``<name>``, its labels ``<name>_labels`` and its cells. The table ``cells`` is that of
    `rgbtrack.export.anndata.anndata_of`.
    """
    spatialdata = need_extra("spatialdata", "export")
    models = need_extra("spatialdata.models", "export")
    transforms = need_extra("spatialdata.transformations", "export")
    images: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    rows: list[pd.DataFrame] = []
    names = element_names([image_id for image_id, _ in results.images()])
    for image_id, cells in results.images():
        masks = results.labels(image_id)
        try:
            stack = results.image(image_id)
        except DataError:  # moved away: its labels and cells are here
            stack = None
        z_um, y_um, x_um = results.voxel_um(image_id)
        for frame, mask in enumerate(masks):
            name = names[image_id] if len(masks) == 1 else f"{names[image_id]}_t{frame}"
            deep = len(mask) > 1
            scale = transforms.Scale([z_um, y_um, x_um], ("z", "y", "x"))
            if not deep:
                scale = transforms.Scale([y_um, x_um], ("y", "x"))
            settings = {"transformations": {name: scale}, "dims": ("z", "y", "x") if deep else ("y", "x")}
            label_model = models.Labels3DModel if deep else models.Labels2DModel
            labels[f"{name}_labels"] = label_model.parse(mask if deep else mask[0], **settings)
            if stack is not None:
                pixels = stack.frame(frame).pixels[0]
                image_model = models.Image3DModel if deep else models.Image2DModel
                images[name] = image_model.parse(
                    np.asarray(pixels if deep else pixels[:, 0]),
                    c_coords=list(stack.channels),
                    **settings | {"dims": ("c", *settings["dims"])},
                )
            rows.append(cells[cells["frame"] == frame].assign(region=f"{name}_labels"))
    cells = pd.concat([part for part in rows if len(part)] or rows[:1], ignore_index=True)
    adata = anndata_of(results, cells)
    adata.obs["cell"] = cells["cell"].to_numpy(np.int64)
    table = models.TableModel.parse(
        adata, region=list(adata.obs["region"].cat.categories), region_key="region", instance_key="cell"
    )
    made = spatialdata.SpatialData(images=images, labels=labels, tables={TABLE: table})
    write_export(out, made.write)
    return [out]


def element_names(image_ids: Iterable[str]) -> dict[str, str]:
    """Names that SpatialData takes, each of its own: letters, digits, dots, hyphens and underscores.

    >>> element_names(["m1 d7", "m1/d7"])
    {'m1 d7': 'm1_d7', 'm1/d7': 'm1_d7_2'}
    """
    taken: dict[str, str] = {}
    for image_id in image_ids:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", image_id)
        name, n = plain, 1
        while name.casefold() in {other.casefold() for other in taken.values()}:
            n += 1
            name = f"{plain}_{n}"
        taken[image_id] = name
    return taken
