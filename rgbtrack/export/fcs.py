"""FCS: cells as events, a file per image, for programs of flow cytometry."""

from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.export.folder import write_export
from rgbtrack.export.results import Results
from rgbtrack.files.extras import need_extra

TOLD = (*SAMPLE, "batch")
UNCALLED = 0.0
"""What events without a clone have as its number: FCS knows no blanks."""


def write_fcs(results: Results, out: Path) -> list[Path]:
    """Write a folder with a file for each image.

    Parameters of an event are the markers, their standard errors, size, place, and the number of its clone
    (0 for none) with its probability (0 for none); the sample's columns are keywords.
    """
    flowio = need_extra("flowio", "export")

    def write(folder: Path) -> None:
        folder.mkdir()
        for image_id, cells in results.images():
            events = events_of(results, cells)
            first = cells.iloc[0] if len(cells) else pd.Series(dtype=object)
            told = {name: str(first[name]) for name in TOLD if name in first and pd.notna(first[name])}
            # the slash sets keywords apart
            keywords = {
                name: value.replace("/", "-") for name, value in (told | {"image_id": image_id}).items()
            }
            with (folder / f"{image_id}.fcs").open("wb") as file:
                flowio.create_fcs(
                    file,
                    events.to_numpy(np.float32).ravel().tolist(),
                    list(events.columns),
                    metadata_dict={"fil": f"{image_id}.fcs", **keywords},
                )

    write_export(out, write)
    return [out]


def events_of(results: Results, cells: pd.DataFrame) -> pd.DataFrame:
    """Columns of the events, all numbers, none blank."""
    markers = [name for marker in results.markers for name in (marker, f"{marker}_se")]
    size = "volume_um3" if "volume_um3" in cells else "area_um2"
    place = ["x_um", "y_um", "z_um", "frame", "cell"]
    called = cells[["clone", "clone_probability"]].astype(float).where(cells["clone"].notna(), UNCALLED)
    events = pd.concat([cells[[*markers, "brightness", size, *place]].astype(float), called], axis=1)
    return events.fillna(0.0)
