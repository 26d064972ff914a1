"""What an image file tells of itself that is probably not so."""

import re

import numpy as np

from rgbtrack.stack import Stack

PIXEL_UM = (0.02, 20.0)
"""Pixels of a microscope are hardly smaller or larger."""
DEFAULT_NAME = re.compile(r"(channel|ch|c)[ _:]*\d+([ _:]*\d+)*|grey|gray|ch[a-z]", re.IGNORECASE)


def find_doubts(stack: Stack) -> list[str]:
    """Tell what of an image's metadata is probably wrong, and how to override it.

    Parameters
    ----------
    stack
        As `read_stack` returns it.

    Returns
    -------
    doubts
        One line each, without the name of the image.

    Examples
    --------
    >>> stack = Stack(np.zeros((1, 2, 1, 8, 9), np.uint16), ("Venus", "Cerulean"), pixel_size_um=1.0)
    >>> find_doubts(stack)
    ['pixel size of exactly 1 um: often one that was never set; the column pixel_size_um overrides it']
    """
    t, c, z, y, x = stack.pixels.shape
    doubts = []
    size = stack.pixel_size_um
    if size == 1.0:
        doubts.append(
            "pixel size of exactly 1 um: often one that was never set; the column pixel_size_um overrides it"
        )
    elif size is not None and not PIXEL_UM[0] <= size <= PIXEL_UM[1]:
        doubts.append(
            f"pixel size of {size:g} um is none of a light microscope; the column pixel_size_um overrides it"
        )
    step = stack.z_step_um
    if z > 1 and step is not None and size is not None and not 0.2 <= step / size <= 100:
        doubts.append(f"z step of {step:g} um with pixels of {size:g}; the column z_step_um overrides it")
    if c > 1 and all(DEFAULT_NAME.fullmatch(name) for name in stack.channels):
        doubts.append(
            "channels have no names of their own: look which is which, and give them in [channels] by number"
        )
    if t > 1 and z == 1 and stack.frame_interval_h is None:
        doubts.append(
            f"{t} frames without an interval: if they are slices, the column axes overrides it; else "
            "frame_interval_h"
        )
    if c > 7 and t == 1 and z == 1:
        doubts.append(f"{c} channels: if they are slices or frames, the column axes overrides it")
    if min(y, x) <= 8 < max(t, c, z):
        doubts.append(f"planes of {y} x {x} pixels: are axes in another order? the column axes overrides it")
    if np.dtype(stack.pixels.dtype) == np.uint8:
        doubts.append(
            "8 bit: counts were rounded or scaled, and errors of dim colours are not known well: keep 12 or "
            "16 bit"
        )
    return doubts
