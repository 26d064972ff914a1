"""How far channels lie beside each other: seen in a few images of a batch, undone in all."""

import warnings
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.correct import CorrectParams, Shift, correct_stack, estimate_shift, noise_sd
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.pipeline.findings import Finding
from rgbtrack.pipeline.image import UNREADABLE
from rgbtrack.pipeline.task import ImageTask
from rgbtrack.pipeline.thumbnail import composite, markers_and_hues, tops
from rgbtrack.stack import NUCLEUS, Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE_PX = 96
WINDOW_PX, WINDOW_PLANES = 1024, 12
LEAST_PX = 0.15
"""Shifts below move no more than a thousandth of a cell's light."""


def look_for_shift(stack: Stack, params: CorrectParams) -> Shift:
    """Shift of the markers of one image, from the middle of its first frame."""
    stack = stack.select({name: name for name in stack.channels if name != NUCLEUS})
    height, width = stack.pixels.shape[3:]
    window = tuple(
        slice((n - min(n, WINDOW_PX)) // 2, (n + min(n, WINDOW_PX) + 1) // 2) for n in (height, width)
    )
    corrected = correct_stack(stack.crop((window[0], window[1])).frame(0), params)
    planes = corrected.pixels.shape[2]
    first = (planes - min(planes, WINDOW_PLANES)) // 2
    return estimate_shift(corrected.pixels[0, :, first : first + WINDOW_PLANES], noise_sd(corrected))


def judge_shift(
    batch: str, task: ImageTask, found: dict[str, Any] | None
) -> tuple[NDArray[np.float64] | None, list[Finding]]:
    """Shift of every channel (c, 3) of a batch, None where there is nothing to undo, and what was found."""
    markers = [name for name in task.channels if name != NUCLEUS]
    if found is None:
        return None, [Finding("chromatic shift", batch, reason="no image could be read")]
    se = np.array(found["se"], float)
    shift = Shift(
        np.array(found["zyx_px"], float), np.where(np.isnan(se), np.inf, se)
    )  # JSON has no infinity
    evident = shift.evident(LEAST_PX)
    findings = []
    for c, name in enumerate(markers):
        for axis, value, se in zip("zyx", shift.zyx_px[c], shift.se[c], strict=True):
            if axis == "z" and not np.isfinite(shift.se[:, 0]).sum() > 1:
                continue  # one plane
            reference = bool((shift.se[c] == 0).all())
            findings.append(
                Finding(
                    "chromatic shift",
                    batch,
                    channel=f"{name} {axis}",
                    value=float(value),
                    se=float(se),
                    unit="px" if axis != "z" else "planes",
                    applied=bool(evident[c]),
                    reason=_words(reference, bool(evident[c]), float(se)),
                )
            )
    if not evident.any():
        return None, findings
    applied = np.zeros((len(task.channels), 3))
    for c, name in enumerate(markers):
        if evident[c]:
            applied[list(task.channels).index(name)] = np.where(np.isfinite(shift.se[c]), shift.zyx_px[c], 0)
    return applied, findings


def _words(reference: bool, evident: bool, se: float) -> str:
    if reference:
        return "the others are measured against it"
    if not np.isfinite(se):
        return "shares too few cells with the others to tell"
    return "moved back" if evident else f"within {LEAST_PX:g} px or three standard errors: left as it is"


def draw_shift(task: ImageTask, shift_px: NDArray[np.float64]) -> "Figure | None":
    """The place of an image where two markers are brightest together, before and after; None if it fails."""
    from rgbtrack.plot import plot_shift

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            frame = task.read_middle().frame(0)
            stacks = [correct_stack(frame, task.correct, shift_px=shift) for shift in (None, shift_px)]
    except UNREADABLE:
        return None
    markers, hues = markers_and_hues(stacks[1])
    index = [stacks[1].channels.index(name) for name in markers]
    light = np.asarray(stacks[1].pixels[0, index]).max(axis=(2, 3))
    z = int(light.min(axis=0).argmax())
    plane = stacks[1].pixels[0, index, z]
    scale = tops(plane)
    shared = np.sort(np.stack([p / top for p, top in zip(plane, scale, strict=True)]), axis=0)[-2]
    shared = cv2.blur(np.clip(shared, 0, 1).astype(np.float32), (FIGURE_PX // 2, FIGURE_PX // 2))
    y, x = np.unravel_index(int(shared.argmax()), shared.shape)
    start = [
        int(np.clip(at - FIGURE_PX // 2, 0, max(0, n - FIGURE_PX)))
        for at, n in ((y, plane.shape[1]), (x, plane.shape[2]))
    ]
    window = (slice(start[0], start[0] + FIGURE_PX), slice(start[1], start[1] + FIGURE_PX))
    pictures = [
        composite(stack.pixels[0, index, z][:, window[0], window[1]], hues, scale) for stack in stacks
    ]
    names = list(task.channels)
    told = "; ".join(
        f"{name} {shift_px[c, 1]:+.2f} px down, {shift_px[c, 2]:+.2f} px right"
        for c, name in enumerate(names)
        if shift_px[c].any()
    )
    return plot_shift(pictures, stacks[1].pixel_size_um, f"{task.image_id}: {told}")
