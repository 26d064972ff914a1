"""The work on one image, as it is handed to whoever does it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.correct import CorrectParams
from rgbtrack.correct.light import field
from rgbtrack.files import KnownBy, fingerprint, labels_file, pieces, read_stack
from rgbtrack.review import Redraw
from rgbtrack.segment import SegmentParams
from rgbtrack.signature import SignatureParams
from rgbtrack.stack import Stack

PARTS = ".parts"
FOUND_LABELS = "found_labels"
LARGE_PX = 2**25
"""A frame of more voxels is worked on in tiles."""
MIDDLE_PX = 2**22
"""Voxels of the middle of a large image, where that stands for it in a figure."""
TILE_PX = 2560
"""Rows and columns of a tile."""
LIGHT_PX = 2048


@dataclass(frozen=True, eq=False)
class ImageTask:
    """Everything that the work on one image needs; travels to worker processes."""

    image_id: str
    paths: tuple[Path, ...]
    channels: dict[str, str | int]
    out: Path
    correct: CorrectParams
    segment: SegmentParams
    signature: SignatureParams
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    frame_interval_h: float | None = None
    scene: str | None = None
    axes: str | None = None
    labels: Path | None = None
    bleed_through: pd.DataFrame | None = None
    flat_field: Path | None = None
    dark_field: Path | None = None
    batch: str = ""
    shift_px: NDArray[np.float64] | None = None
    light: NDArray[np.float64] | None = None
    redraws: tuple[Redraw, ...] = ()
    overwrite: bool = False
    measure: bool = True
    tile_px: int = TILE_PX
    known_by: KnownBy = "content"

    @property
    def found_labels_file(self) -> Path:
        """Where the labels are kept as they were found, where outlines were changed by hand since."""
        return labels_file(self.out / PARTS / FOUND_LABELS, self.image_id)

    @property
    def labels_file(self) -> Path:
        """Where the labels are."""
        return labels_file(self.out / "labels", self.image_id)

    @property
    def tiles_folder(self) -> Path:
        """Where what was found in the tiles of a large image is kept until all are done."""
        return self.out / PARTS / f"{self.image_id}.tiles"

    @property
    def thumbnail_file(self) -> Path:
        """Where the thumbnail is written."""
        return self.out / "thumbnails" / f"{self.image_id}.png"

    @property
    def closeup_file(self) -> Path:
        """Where the part at 1:1 is written."""
        return self.out / "closeups" / f"{self.image_id}.png"

    @property
    def cells_file(self) -> Path:
        """Where the signatures are written."""
        return self.out / PARTS / f"{self.image_id}.parquet"

    @property
    def found_file(self) -> Path:
        """Where it is written how sure the segmentation was of each cell."""
        return self.out / PARTS / f"{self.image_id}.found.parquet"

    @property
    def aside_file(self) -> Path:
        """Where it is written what was found in the first frame and is no cell."""
        return self.out / PARTS / f"{self.image_id}.aside.parquet"

    @property
    def record_file(self) -> Path:
        """Where it is told what was done and how: written last, so that it vouches for the rest."""
        return self.out / PARTS / f"{self.image_id}.json"

    def anywhere(self) -> "ImageTask":
        """The same task with absolute paths, for a process that works in another folder."""
        labels, flat, dark = (
            None if path is None else path.absolute()
            for path in (self.labels, self.flat_field, self.dark_field)
        )
        images = tuple(path.absolute() for path in self.paths)
        return replace(
            self, paths=images, out=self.out.absolute(), labels=labels, flat_field=flat, dark_field=dark
        )

    @property
    def files(self) -> list[Path]:
        """Every file that the image is made from."""
        others = (self.labels, self.flat_field, self.dark_field)
        return [*self.paths, *(path for path in others if path is not None)]

    def fingerprints(self) -> dict[str, str | None]:
        """What tells whether each file that the image is made from is the same; None where it is gone."""
        return {str(path): fingerprint(path, self.known_by) if path.exists() else None for path in self.files}

    def read(self) -> Stack:
        """Open the image, lazily: channels selected, calibration overridden, projected where asked for."""
        stack = read_stack(
            self.paths,
            scene=self.scene,
            axes=self.axes,
            pixel_size_um=self.pixel_size_um,
            z_step_um=self.z_step_um,
            frame_interval_h=self.frame_interval_h,
        )
        return stack.select(self.channels).project(self.segment.projection)

    def read_middle(self) -> Stack:
        """Open the image; of a large one no more than its middle."""
        stack = self.read()
        if not is_large(stack):
            return stack
        depth, *plane = stack.pixels.shape[2:]
        side = int(np.sqrt(MIDDLE_PX / depth))
        y, x = (slice(max(0, (n - side) // 2), (n + side + 1) // 2) for n in plane)
        return stack.crop((y, x))

    def fields(self, stack: Stack) -> tuple[Any, Any]:
        """Flat and dark field of an image, lazy where it is; None for none."""
        flat, dark = (
            None if path is None else _planes(read_stack(path).pixels[0])
            for path in (self.flat_field, self.dark_field)
        )
        if self.light is not None:
            flat = _light(self.light, stack)
        if isinstance(stack.pixels, np.ndarray) or not is_large(stack):
            flat, dark = (None if one is None else np.asarray(one) for one in (flat, dark))
        return flat, dark


def is_large(stack: Stack) -> bool:
    """Whether a frame is worked on in tiles, since it may be larger than memory."""
    return int(np.prod(stack.pixels.shape[2:], dtype=object)) > LARGE_PX


def voxel_um(pixel_size_um: float | None, z_step_um: float | None) -> tuple[float, float, float]:
    """Size of a voxel, (z, y, x), as the centroids of the tables have it: 1 where it is not known."""
    pixel = pixel_size_um or 1.0
    return (z_step_um or pixel, pixel, pixel)


def _planes(pixels: Any) -> Any:
    """A field (c, z, y, x) as (c, y, x), or (y, x) where one plane stands for all channels."""
    return pixels.reshape([n for n in pixels.shape[:2] if n > 1] + list(pixels.shape[2:]))


def _light(betas: NDArray[np.float64], stack: Stack) -> Any:
    """Light of each channel at each pixel, (c, y, x), worked out where it is asked for."""
    height, width = stack.pixels.shape[3:]

    def part(block_info: Any = None) -> NDArray[np.float32]:
        c, rows, columns = (slice(a, b) for a, b in block_info[None]["array-location"])
        return field(betas[c.start], (height, width), (rows, columns))[None]

    chunks = (1,) * len(betas), *(pieces(n, LIGHT_PX, LIGHT_PX) for n in (height, width))
    return da.map_blocks(part, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
