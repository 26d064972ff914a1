"""What is seen of an image, whichever way it was looked at."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.stack import Detector, Stack

QUALITY_PX = 250_000

Blocks = Callable[[], Iterator[tuple[tuple[slice, ...], NDArray[np.uint32]]]]
"""Places in labels (t, z, y, x), and what is there."""
Cells = NDArray[np.uint32] | Blocks
"""Labels of an image, (t, z, y, x), as an array or piece by piece."""


@dataclass(frozen=True, eq=False)
class Looked:
    """What is seen of an image.

    Attributes
    ----------
    labels
        Cells.
    found
        Cells before any outline was changed by hand; None where nobody asks.
    picture
        The first frame, corrected, perhaps in small.
    detail
        The first frame, or the part of it where cells are densest, its labels, and where in it what was set
        aside lies, of which the places in the image are given.
    quality
        What is told of the image itself.
    cells
        Signatures.
    sure
        How sure the segmentation was of each cell.
    set_aside
        What was found in the first frame and is no cell.
    rejected
        Number of what is no cell, by reason.
    diameter_um
        Of a typical cell; None where nobody looked.
    chunk_px
        Rows and columns of a chunk of the labels, where these come piece by piece.
    lights
        Small pictures of the frames, of which drift is found.
    """

    labels: Cells
    found: Cells | None
    picture: Stack
    detail: Callable[[pd.DataFrame], tuple[Stack, NDArray[np.uint32], pd.DataFrame]]
    quality: dict[str, Any]
    cells: pd.DataFrame
    sure: pd.DataFrame
    set_aside: pd.DataFrame
    rejected: dict[str, int]
    diameter_um: float | None
    lights: list[NDArray[np.float32]]
    chunk_px: int = 1024


def quality(parts: Sequence[Stack], stack: Stack) -> dict[str, Any]:
    """What the report tells of the image itself, from its first frame or corrected parts of that."""
    noise, background, saturated = {}, {}, {}
    for c, name in enumerate(stack.channels):
        variance, under, full = [], [], []
        for part in parts:
            detector, limits = part.noise, part.limits
            assert isinstance(detector, Detector)  # noqa: S101 - from correct_stack
            assert isinstance(limits, Detector)  # noqa: S101 - from correct_stack
            planes, height, width = part.pixels.shape[2:]
            step = max(1, planes * height * width * len(parts) // QUALITY_PX)  # a sample will do
            variance += [detector.sample(c, z, step).ravel() for z in range(planes)]
            under.append((detector.raw[0, c][:, ::step] - part.pixels[0, c, :, ::step]).ravel())
            if np.isfinite(limits.limit[c]):
                full.append((limits.raw[0, c] >= limits.limit[c]).mean())
        first = parts[0]
        assert first.noise is not None  # noqa: S101 - from correct_stack
        together = first.noise.correlation
        # the variance of empty pixels: what no light would still leave
        noise[name] = {
            "gain": float(first.gain[c]),
            "gain_recorded": stack.detectors[c].gain if stack.detectors else None,
            "gain_from_file": bool(first.detectors and first.detectors[c].gain is not None),
            "read_variance": float(np.percentile(np.concatenate(variance), 5)),
            "correlation": 1.0 if together is None else float(together[c]),
        }
        background[name] = float(np.median(np.concatenate(under)))
        saturated[name] = float(np.mean(full)) if full else 0.0
    return {"noise": noise, "background": background, "saturated_fraction": saturated}
