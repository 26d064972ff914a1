"""Settings tried on a part of an image, or on the cells of the last run. Without Qt, without napari."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from rgbtrack.clones import ClonesParams, assign_clones
from rgbtrack.correct import CorrectParams, correct_stack
from rgbtrack.errors import DataError
from rgbtrack.files import read_table
from rgbtrack.params import Params
from rgbtrack.pipeline.image import ImageTask
from rgbtrack.segment import SegmentParams, find_cells
from rgbtrack.signature import SignatureParams, measure_signatures

SIDE_PX = 1024
"""Side of the part that is tried at most."""
MOST_CELLS = 20_000


@dataclass(frozen=True, eq=False)
class Tried:
    """What settings come to.

    Attributes
    ----------
    labels
        Cells of the part, (z, y, x).
    corrected
        Its channels, corrected, (c, z, y, x), and their names.
    origin_px
        First row and column of the part in the image.
    words
        What was found.
    """

    labels: NDArray[np.uint32]
    corrected: NDArray[np.float32]
    channels: tuple[str, ...]
    origin_px: tuple[int, int]
    words: str


def try_image(task: ImageTask, settings: Mapping[str, Params], frame: int, centre_px: Any) -> Tried:
    """Correct, segment and measure a part of an image.

    Parameters
    ----------
    task
        The image.
    settings
        Of ``correct``, ``segment`` and ``signature``.
    frame
        Which frame.
    centre_px
        Row and column that the part is around.

    Raises
    ------
    RgbtrackError
        If the image cannot be read, or a setting does not suit it.
    """
    segment = cast(SegmentParams, settings["segment"])
    task = replace(task, segment=segment)
    stack = task.read()
    if not 0 <= frame < stack.n_frames:
        raise DataError(f"{task.image_id} has {stack.n_frames} frames: there is no frame {frame}")
    spans = [_span(centre, size) for centre, size in zip(centre_px, stack.pixels.shape[3:], strict=True)]
    part = stack.frame(frame).crop((spans[0], spans[1]))
    with threadpool_limits(1):
        corrected = correct_stack(
            part, cast(CorrectParams, settings["correct"]), bleed_through=task.bleed_through
        )
        found = find_cells(corrected, segment)
        cells = measure_signatures(corrected, found.labels, cast(SignatureParams, settings["signature"]))
    origin = (spans[0].start, spans[1].start)
    pixels = np.asarray(corrected.pixels[0], np.float32)
    return Tried(found.labels[0], pixels, corrected.channels, origin, _words(found, cells, part))


def try_clones(results: Path, params: ClonesParams) -> tuple[str, pd.DataFrame]:
    """Find clones anew in the cells of a results folder; more than enough are thinned evenly.

    Returns
    -------
    words, cells
        What was found, and the cells as called.

    Raises
    ------
    DataError
        If there are no results yet.
    """
    if not (results / "cells.parquet").is_file():
        raise DataError(f"clones are tried on the cells of a run, and {results} holds none yet: run it first")
    cells = read_table(results / "cells.parquet")
    thin = -(-len(cells) // MOST_CELLS)
    some = cells.iloc[::thin].drop(columns=[name for name in cells.columns if "clone" in str(name)])
    with threadpool_limits(1):
        called = assign_clones(some, params)
    n = len(called)
    lost = int(called["clone"].isna().sum())
    of = f" (one in {thin})" if thin > 1 else ""
    sizes = called["clone"].value_counts()
    largest = ", ".join(f"{int(size):,}" for size in sizes.head(5))
    return (
        f"{len(sizes)} clones in {n:,} cells{of}; the largest hold {largest}; {lost:,} cells "
        f"({lost / max(n, 1):.1%}) are of none",
        called,
    )


def _span(centre: float, size: int) -> slice:
    start = int(np.clip(round(centre) - SIDE_PX // 2, 0, max(0, size - SIDE_PX)))
    return slice(start, min(start + SIDE_PX, size))


def _words(found: Any, cells: pd.DataFrame, part: Any) -> str:
    size = " x ".join(str(n) for n in part.pixels.shape[3:])
    words = [f"{len(cells):,} cells in {size} pixels"]
    if np.isfinite(found.diameter_um):
        words.append(f"diameter {found.diameter_um:.1f} µm")
    if len(cells):
        words.append(f"median SNR {cells['snr'].median():.0f}")
    aside = ", ".join(f"{n} {reason}" for reason, n in found.rejected.items() if n)
    if aside:
        words.append(f"set aside: {aside}")
    return "; ".join(words)
