"""How the stage drifted over a series, from small pictures of its frames."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.correct import CorrectParams, correct_stack, estimate_drift, noise_sd
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.pipeline.findings import Finding
from rgbtrack.stack import NUCLEUS, Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE_PX = 512
LEAST_PX = 6.0
"""Drifts below are as likely the cells' own way."""
ORANGE, BLUE = (0.9, 0.45, 0.0), (0.1, 0.55, 1.0)
"""Together nearly white, and told apart by all."""


def see_from_above(frame: Stack) -> NDArray[np.float32]:
    """Light of all markers of a corrected frame in units of noise, (1, y, x), at most `SIDE_PX` a side."""
    markers = [c for c, name in enumerate(frame.channels) if name != NUCLEUS]
    sd = noise_sd(frame)
    light = np.zeros(frame.pixels.shape[3:], np.float32)
    for c in markers:
        light += np.maximum(frame.pixels[0, c].max(axis=0) / np.float32(sd[c]), 0) ** 2
    shrink = -(-max(light.shape) // SIDE_PX)
    size = tuple(max(1, n // shrink) for n in light.shape[::-1])
    return cv2.resize(np.sqrt(light), size, interpolation=cv2.INTER_AREA).reshape(1, *size[::-1])


def follow_stage(
    lights: Sequence[NDArray[np.float32]], image_id: str, stack: Stack
) -> tuple[NDArray[np.float64], list[Finding]]:
    """Drift (t, 2) in um, y and x, 0 where none is evident; and what to tell of it."""
    drift = estimate_drift(np.stack(lights))
    height, width = lights[0].shape[1:]
    pixel = stack.pixel_size_um or 1.0
    scale = np.array([stack.pixels.shape[3] / height, stack.pixels.shape[4] / width]) * pixel
    evident = bool(drift.evident(LEAST_PX).any())
    path, se = drift.zyx_px[:, 1:] * scale, drift.se[:, 1:] * scale
    far = np.unravel_index(np.argmax(np.abs(path)), path.shape)
    reason = (
        "columns drift_y_um and drift_x_um: subtract them for places in the tissue"
        if evident
        else "none that is more than the cells' own movement"
    )
    found = Finding(
        "stage drift",
        image_id,
        value=float(path[far]),
        se=float(se[far]),
        unit="um",
        applied=evident,
        reason=reason,
    )
    return (path if evident else np.zeros_like(path)), [found]


def draw_drift(image_id: str, stack: Stack, params: CorrectParams, path_um: NDArray[np.float64]) -> "Figure":
    """The way of the stage (t, 2) in um, and the first and last frame over each other before and after."""
    from rgbtrack.plot import plot_drift

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        first, last = (
            see_from_above(correct_stack(stack.frame(t), params))[0] for t in (0, stack.n_frames - 1)
        )
    shrink = np.array(stack.pixels.shape[3:]) / first.shape * (stack.pixel_size_um or 1.0)
    dy, dx = path_um[-1] / shrink
    back = cv2.warpAffine(last, np.array([[1, 0, -dx], [0, 1, -dy]]), last.shape[::-1])
    paint = np.array([ORANGE, BLUE], np.float32)
    pictures = [_overlay([first, other], paint) for other in (last, back)]
    far = float(np.hypot(*path_um[-1]))
    return plot_drift(path_um, pictures, f"{image_id}: the stage ends {far:.1f} um from where it began")


def _overlay(lights: Sequence[NDArray[np.float32]], paint: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB picture (y, x, 3) of lights (y, x), each in its colour."""
    shown = [np.sqrt(np.clip(light / max(float(np.percentile(light, 99.5)), 1e-9), 0, 1)) for light in lights]
    picture = np.einsum("kyx,kc->yxc", np.stack(shown), paint)
    return (255 * np.clip(picture, 0, 1)).astype(np.uint8)
