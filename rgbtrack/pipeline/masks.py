"""Ready masks and the images they belong to."""

import warnings
from pathlib import Path

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import OUTLINE_ENDINGS, read_stack
from rgbtrack.stack import Stack


def refuse_mask_volume(mask: Path, stack: Stack) -> None:
    """Refuse masks of all planes for an image of which a projection made one; only the header is read.

    Outlines are not refused: each counts, whatever plane it was drawn on.

    Raises
    ------
    DataError
        If the masks have the planes that the image had.
    """
    if stack.projection is None or mask.suffix.lower() in (*OUTLINE_ENDINGS, ".npy"):
        return
    n, method = stack.projection.n_planes, stack.projection.method
    volume = (stack.n_frames, n, *stack.pixels.shape[3:])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        found = read_stack(mask).pixels.shape
    if _long(found) == _long(volume):
        raise DataError(
            f'{mask}: masks of {n} planes, but [segment] projection = "{method}" makes the image one plane: '
            f'give masks of one plane, or set projection = "none"'
        )


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n > 1)
