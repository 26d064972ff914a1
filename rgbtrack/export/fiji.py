"""Fiji: outlines for the ROI Manager, and images of the clones with a lookup table of their colours."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.export.folder import write_export
from rgbtrack.export.polygons import trace_labels
from rgbtrack.export.qupath import planes_of
from rgbtrack.export.results import Results
from rgbtrack.plot.colours import UNASSIGNED

NONE, MOST = 255, 254
"""Value of cells without a clone, and the last clone with a colour of its own: a table has 256 colours."""


def write_fiji(results: Results, out: Path) -> list[Path]:
    """Write a folder: ``<image_id>.rois.zip``, ``<image_id>.clones.tif`` and ``clones.lut``."""
    table = lookup_table(results)

    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "clones.lut").write_bytes(table.tobytes())
        holed = 0
        for image_id, cells in results.images():
            labels = results.labels(image_id)
            holed += _write_rois(results, labels, cells, folder / f"{image_id}.rois.zip")
            clone = np.zeros((len(labels), int(labels.max(initial=0)) + 1), np.uint8)
            number = np.minimum(cells["clone"].fillna(NONE).to_numpy(np.int64), NONE)
            clone[cells["frame"].to_numpy(int), cells["cell"].to_numpy(int)] = number
            shown = np.stack([clone[t][labels[t]] for t in range(len(labels))])
            z_um, y_um, _ = results.voxel_um(image_id)
            tifffile.imwrite(
                folder / f"{image_id}.clones.tif",
                shown[:, :, None],
                imagej=True,
                photometric="palette",
                colormap=table.astype(np.uint16) * 257,
                resolution=(1 / y_um, 1 / y_um),
                metadata={
                    "axes": "TZCYX",
                    "unit": "um",
                    "spacing": z_um,
                    "hyperstack": True,
                },
            )
        if holed:
            warnings.warn(
                f"{holed} outlines have holes, which ROIs of Fiji do not have: they are filled there",
                RgbtrackWarning,
                stacklevel=2,
            )
        if len(results.clones) > MOST:
            warnings.warn(
                f"clones from {MOST + 1} on are grey in the images for Fiji, like cells without a clone",
                RgbtrackWarning,
                stacklevel=2,
            )

    write_export(out, write)
    return [out]


def lookup_table(results: Results) -> NDArray[np.uint8]:
    """Colours by value, (3, 256): black, the clones, grey for cells without one."""
    table = np.zeros((3, 256), np.uint8)
    table[:, 1:] = np.array(UNASSIGNED)[:, None] * 255
    for clone, colour in results.colours.items():
        if clone <= MOST:
            table[:, clone] = np.round(np.array(colour) * 255)
    return table


def _write_rois(results: Results, labels: NDArray[np.uint32], cells: pd.DataFrame, file: Path) -> int:
    """Write the outlines of an image; return how many have holes."""
    import roifile

    holed = 0
    clone = {(t, cell): number for t, cell, number in cells[["frame", "cell", "clone"]].to_numpy(object)}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for (t, z), plane in planes_of(labels):
            for cell, pieces in trace_labels(plane):
                if (t, cell) not in clone:
                    continue
                holed += any(piece.holes for piece in pieces)
                red, green, blue = (round(255 * value) for value in results.colour(clone[t, cell]))
                for k, piece in enumerate(pieces):
                    name = f"{cell}" if len(pieces) == 1 else f"{cell} part {k + 1}"
                    roi = roifile.ImagejRoi.frompoints(piece.outer.astype(np.float32), name=name, t=t, z=z)
                    roi.stroke_color = bytes([255, red, green, blue])
                    archive.writestr(f"t{t + 1:04d}-z{z + 1:04d}-{name}.roi", roi.tobytes())
    return holed
