"""The illumination that the images of a batch share: seen in a few of them, undone in all."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.correct import CorrectParams, Illumination, NoiseModel, estimate_illumination, estimate_noise
from rgbtrack.correct.background import shrink_plane
from rgbtrack.correct.light import field
from rgbtrack.correct.light_evidence import Evidence
from rgbtrack.pipeline.findings import Finding
from rgbtrack.stack import Stack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_PX = 1024
"""Images are shrunken to this before they are compared."""
FIGURE_PX = 96


@dataclass(frozen=True, eq=False)
class Glimpse:
    """The middle plane of one image's first frame, shrunken.

    Attributes
    ----------
    shape
        Of the image itself, (y, x); only images of one shape have a field in common.
    planes
        Counts by channel, (y, x) each.
    noise
        Of `planes`, by channel.
    dark
        Counts without light by channel, None where nobody knows.
    window_px
        Window of the background, px of `planes`.
    """

    shape: tuple[int, int]
    planes: dict[str, NDArray[np.float32]]
    noise: dict[str, NoiseModel]
    dark: dict[str, float | None]
    window_px: float


def take_glimpse(stack: Stack, params: CorrectParams) -> Glimpse:
    """Shrink the middle plane of a stack's first frame, each channel."""
    frame = stack.frame(0)
    height, width = frame.pixels.shape[3:]
    middle = np.asarray(frame.pixels[0, :, frame.pixels.shape[2] // 2])  # (c, y, x)
    factor = max(1, -(-max(height, width) // LONGEST_PX))
    planes, noise, dark = {}, {}, {}
    for c, name in enumerate(stack.channels):
        whole = estimate_noise(middle[c][None], step=frame.step or 1.0)
        planes[name] = shrink_plane(middle[c], factor)
        noise[name] = NoiseModel(*(np.array([whole.gain, whole.intercept, whole.floor]) / factor**2))
        recorded = stack.detectors[c].offset if stack.detectors else None
        known = recorded is not None and recorded <= float(np.median(planes[name]))
        dark[name] = params.offset if params.offset is not None else (recorded if known else None)
    window_px = params.background_um / (stack.pixel_size_um or 1.0) / factor
    return Glimpse((height, width), planes, noise, dark, window_px)


def pool_glimpses(glimpses: Sequence[Glimpse]) -> dict[str, Any]:
    """What the images of a batch tell of the light in each channel, ready for JSON."""
    if not glimpses:
        return {}
    if len({glimpse.shape for glimpse in glimpses}) > 1:
        return {"reason": "images of different sizes have no field of light in common"}
    first = glimpses[0]
    channels = {}
    for name in first.planes:
        noise = [glimpse.noise[name] for glimpse in glimpses]
        typical = NoiseModel(
            *(float(np.median([getattr(one, of) for one in noise])) for of in ("gain", "intercept", "floor"))
        )
        dark = [glimpse.dark[name] for glimpse in glimpses]
        known = [level for level in dark if level is not None]
        channels[name] = estimate_illumination(
            np.stack([glimpse.planes[name] for glimpse in glimpses]),
            typical,
            window_px=first.window_px,
            dark=float(np.median(known)) if len(known) == len(dark) else None,
        )
    return {"channels": {name: asdict(one) | {"flat": None} for name, one in channels.items()}}


def light_of(noted: Mapping[str, Any]) -> dict[str, Illumination]:
    """Illumination by channel, of what `pool_glimpses` told; its `flat` is a small picture."""
    return {name: _read(one) for name, one in (noted.get("channels") or {}).items()}


def _read(noted: Mapping[str, Any]) -> Illumination:
    parts = {
        name: Evidence(
            np.array(noted[name]["beta"], float),
            # JSON has no infinity
            np.nan_to_num(np.array(noted[name]["covariance"], float), nan=np.inf),
            noted[name]["n_images"],
        )
        for name in ("background", "cells", "pooled")
    }
    beta = parts["pooled"].beta if noted["evident"] else 0 * parts["pooled"].beta
    return Illumination(
        field(beta, (FIGURE_PX, FIGURE_PX)),
        np.nan if noted["dark"] is None else noted["dark"],
        noted["dark_se"],
        noted["se"],
        noted["evident"],
        noted["reason"],
        **parts,
    )


def flat_of(noted: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Coefficients of the light to be divided out, (c, k); None where there is nothing to undo."""
    found = light_of(noted)
    if not any(one.evident for one in found.values()):
        return None
    return np.stack([one.pooled.beta * one.evident for one in found.values()])


def light_findings(batch: str, noted: Mapping[str, Any]) -> list[Finding]:
    """One number for each channel: light lost from the centre to the corners."""
    if "reason" in noted:
        return [Finding("illumination", batch, reason=noted["reason"])]
    return [
        Finding(
            "illumination",
            batch,
            name,
            float(-np.log1p(one.pooled.corners)),
            one.pooled.corners_se,
            "ln, centre to corner",
            one.evident,
            one.reason,
        )
        for name, one in light_of(noted).items()
        if one.pooled.n_images
    ]


def draw_light(found: Mapping[str, Illumination]) -> "Figure | None":
    """The light of each channel before and after; None where nothing was undone."""
    from rgbtrack.plot import plot_illumination

    return plot_illumination(found) if any(one.evident for one in found.values()) else None
