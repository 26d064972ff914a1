"""QuPath: outlines of the cells as GeoJSON, a file per image, classified by clone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.export.folder import write_export
from rgbtrack.export.polygons import Polygon, trace_labels
from rgbtrack.export.results import Results

NOT_MEASURED = {"image_id", "frame", "cell", "clone", "colour_clone", "track", "parent", "tree"}


def write_qupath(results: Results, out: Path) -> list[Path]:
    """Write a folder with ``<image_id>.geojson``; in QuPath, drop it on the open image."""

    def write(folder: Path) -> None:
        folder.mkdir()
        for image_id, cells in results.images():
            content = {"type": "FeatureCollection", "features": features_of(results, image_id, cells)}
            (folder / f"{image_id}.geojson").write_text(json.dumps(content), encoding="utf-8")

    write_export(out, write)
    return [out]


def features_of(results: Results, image_id: str, cells: pd.DataFrame) -> list[dict[str, Any]]:
    """One feature for each cell in each plane that it is in."""
    numbers = [
        name
        for name in cells.columns
        if pd.api.types.is_numeric_dtype(cells[name]) and name not in NOT_MEASURED
    ]
    rows = {
        (frame, cell): i for i, (frame, cell) in enumerate(zip(cells["frame"], cells["cell"], strict=True))
    }
    measured = cells[numbers].to_numpy(float)
    clones = cells["clone"].to_numpy(object)
    features = []
    for (t, z), plane in planes_of(results.labels(image_id)):
        for cell, pieces in trace_labels(plane):
            i = rows.get((t, cell))
            if i is None:  # erased by hand since
                continue
            known = np.isfinite(measured[i])
            features.append(
                {
                    "type": "Feature",
                    "geometry": geometry(pieces) | {"plane": {"c": -1, "z": z, "t": t}},
                    "properties": {
                        "objectType": "detection",
                        "name": str(cell),
                        "classification": classification(results, clones[i]),
                        "measurements": {
                            name: float(value)
                            for name, value, there in zip(numbers, measured[i], known, strict=True)
                            if there
                        },
                    },
                }
            )
    return features


def planes_of(labels: NDArray[np.uint32]) -> Iterator[tuple[tuple[int, int], NDArray[np.uint32]]]:
    """Every plane of labels (t, z, y, x), with its (t, z)."""
    for t, z in np.ndindex(labels.shape[:2]):
        yield (int(t), int(z)), labels[t, z]


def classification(results: Results, clone: Any) -> dict[str, Any]:
    """Class of QuPath of a clone."""
    colour = [round(255 * value) for value in results.colour(clone)]
    return {"name": "unassigned" if pd.isna(clone) else f"clone {int(clone)}", "color": colour}


def geometry(pieces: list[Polygon]) -> dict[str, Any]:
    """Pieces of a cell as GeoJSON has them: rings closed, holes after the outline."""
    polygons = [
        [np.vstack([ring, ring[:1]]).tolist() for ring in (piece.outer, *piece.holes)] for piece in pieces
    ]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}
