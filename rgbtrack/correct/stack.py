"""From detector counts to background-free counts whose noise is known."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.correct.background import background_grid
from rgbtrack.correct.correlation import noise_correlation
from rgbtrack.correct.noise import Image, NoiseModel, estimate_noise
from rgbtrack.correct.params import CorrectParams
from rgbtrack.correct.registration import apply_shift
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.projection import Projection, detector_limit
from rgbtrack.stack import Detector, DetectorSettings, Stack
from rgbtrack.threads import over_bands

GAIN_AGREES = 1.5
"""A recorded gain is believed within this factor of the estimate."""


def correct_stack(
    stack: Stack,
    params: CorrectParams = CorrectParams(),  # noqa: B008
    *,
    bleed_through: pd.DataFrame | None = None,
    flat_field: NDArray[Any] | None = None,
    dark_field: NDArray[Any] | None = None,
    shift_px: NDArray[Any] | None = None,
    fade: NDArray[Any] | None = None,
) -> Stack:
    """Take off background, even out illumination and attach the noise of every pixel.

    The noise variance is ``gain * counts + intercept``; both are found from the image itself by its
    mean-variance relation where neither the settings nor the file tell. What a file records is believed only
    where the image agrees: a gain within half and half again of the estimate, an offset that is not above the
    image; "gain" is volts or a dial to some writers. Background is the local level of pixels that
    hold nothing but noise, found by clipping in noise units. Illumination is divided out where a flat field
    is given. Bleed-through is attached, and undone cell by cell in `measure_signatures`, where it costs
    least noise.

    Of a stack that `Stack.project` made one plane the noise is that of the projected image. Gain and read
    noise that the settings give are a plane's: the mean of n planes is taken to have the n-th part of the
    gain and of the variance; of a maximum, for which there is no such rule, both are estimated, with a
    warning.

    Parameters
    ----------
    stack
        As read, channels selected.
    params
        What to correct.
    bleed_through
        Rows detectors, columns markers, by marker name.
    flat_field
        Relative illumination, shape (y, x) or (c, y, x); scaled to a mean of 1 here.
    dark_field
        Counts without light, shape (y, x) or (c, y, x): its pattern is taken off first, its mean is left to
        the background.
    shift_px
        How far each channel lies from where it should, (z, y, x) px, shape (c, 3): it is moved back; see
        `estimate_shift`.
    fade
        Share of the light that is left, in (0, ...), shape (t, c, z): divided out; see `estimate_fading`.

    Returns
    -------
    corrected
        Float32 pixels with `variance`, `gain` and `saturated`; the raw counts are kept, and variance and
        saturation follow from them whenever they are asked for. `detectors` holds what was believed of the
        file's.

    Raises
    ------
    DataError
        If pixels are not finite, a flat or dark field has another shape, a flat field or fade is not
        positive, or a shift is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = 100 + 2.0 * rng.poisson(20, (1, 1, 1, 256, 256))
    >>> corrected = correct_stack(Stack(counts, ("red",), pixel_size_um=0.5))
    >>> bool(abs(corrected.variance.mean() - 80) < 8), bool(abs(corrected.pixels.mean()) < 1)
    (True, True)
    """
    raw = _native(stack)  # (t, c, z, y, x)
    tops = _check_pixels(raw, stack)
    flat = _flat_planes(flat_field, raw, stack)  # (c, y, x)
    left = _fade_planes(fade, raw, stack)  # (t, c, z)
    window_px = params.background_um / (stack.pixel_size_um or 1.0)
    n_channels = raw.shape[1]
    step = 1.0 if np.issubdtype(raw.dtype, np.integer) else stack.step
    if stack.projection is not None:
        params = _params_of(stack.projection, params, stack.source)
    recorded = stack.detectors or (DetectorSettings(),) * n_channels
    found = over_bands(lambda c, _: _noise_of(raw[:, c], params, step, recorded[c]), n_channels, n_channels)
    noise, believed = [model for model, _ in found], tuple(known for _, known in found)
    full = raw
    together = over_bands(
        lambda c, _: noise_correlation(raw[:, c].reshape(-1, *raw.shape[-2:]), noise[c]),
        n_channels,
        n_channels,
    )
    if dark_field is not None:
        raw = _take_off_dark(raw, dark_field, stack)
    if shift_px is not None:
        raw, full, flat = _move_channels(raw, full, flat, shift_px, stack)
    pixels = np.empty(raw.shape, np.float32)
    planes = list(np.ndindex(raw.shape[:3]))

    def background(i: int, _: int) -> tuple[Image, int]:
        if params.background:
            return background_grid(raw[planes[i]], noise[planes[i][1]], window_px)
        offset = params.offset if params.offset is not None else believed[planes[i][1]].offset
        return np.full((1, 1), offset or 0, np.float32), 1

    for place, (grid, factor) in zip(planes, over_bands(background, len(planes), len(planes)), strict=True):
        light = None if flat is None else flat[place[1]]
        _subtract(raw[place], grid, factor, light, 1.0 if left is None else float(left[place]), pixels[place])
    gain, intercept, floor = (
        np.array([getattr(model, name) for model in noise]) for name in ("gain", "intercept", "floor")
    )
    detector = Detector(
        raw,
        gain.astype(np.float32),
        intercept.astype(np.float32),
        floor.astype(np.float32),
        np.array([detector_limit(full.dtype, *top) for top in tops]),
        flat,
        left,
        np.array(together),
    )
    return replace(
        stack,
        pixels=pixels,
        variance=detector,
        gain=gain,
        saturated=replace(detector, raw=full) if stack.projection is None else stack.saturated,
        step=step,
        detectors=believed if any(known != DetectorSettings() for known in believed) else (),
        bleed_through=bleed_through if bleed_through is not None else stack.bleed_through,
    )


def _subtract(
    raw: NDArray[Any], grid: Image, factor: int, flat: Image | None, fade: float, pixels: Image
) -> None:
    """Take the background off one plane, even out its illumination, and restore what faded."""
    from rgbtrack.correct.kernels import subtract_rows

    light = np.empty((0, 0), np.float32) if flat is None else flat

    def work(start: int, stop: int) -> None:
        subtract_rows(raw, grid, factor, light, fade, start, stop, pixels)

    over_bands(work, raw.shape[0])


def _take_off_dark(raw: NDArray[Any], dark_field: NDArray[Any], stack: Stack) -> Image:
    """Counts without the pattern of the dark field; its mean stays."""
    dark = _planes_of("dark field", dark_field, raw, stack)
    return raw - (dark - dark.mean(axis=(1, 2), keepdims=True))[:, None]


def _move_channels(
    raw: NDArray[Any], full: NDArray[Any], flat: Image | None, shift_px: NDArray[Any], stack: Stack
) -> tuple[NDArray[Any], NDArray[Any], Image | None]:
    """Counts, counts by which saturation is told (whole pixels), and flat field, each channel moved back."""
    shift = np.asarray(shift_px, float)
    if shift.shape != (raw.shape[1], 3) or not np.isfinite(shift).all():
        raise DataError(
            f"{stack.source}: shift_px has shape {shift.shape}: give (z, y, x) in px, finite, for each of "
            f"{raw.shape[1]} channels"
        )
    moved, told = np.empty(raw.shape, np.float32), np.empty_like(full)
    light = None if flat is None else np.empty_like(flat)
    for c, back in enumerate(-shift):
        for t in range(len(raw)):
            moved[t, c] = apply_shift(np.asarray(raw[t, c], np.float32), back)
            told[t, c] = apply_shift(full[t, c], np.round(back))
        if flat is not None and light is not None:
            light[c] = apply_shift(flat[c][None], back * (0, 1, 1))[0]
    return moved, told, light


def _params_of(projection: Projection, params: CorrectParams, source: str) -> CorrectParams:
    """Settings that hold for the projected image, of settings that hold for a plane."""
    n = projection.n_planes
    if projection.method == "mean":
        # variance = gain / n * counts + ..., the same formula with gain / n and sqrt(n) electrons
        gain, read_noise = (
            None if given is None else given * factor
            for given, factor in ((params.gain, 1 / n), (params.read_noise, np.sqrt(n)))
        )
        return params.model_copy(update={"gain": gain, "read_noise": read_noise})
    if params.gain is not None:
        warnings.warn(
            f"{source}: [correct] gain and read_noise hold for one plane, not for the maximum of {n}: the "
            f'noise was estimated from the image; use projection = "mean", or leave them out',
            RgbtrackWarning,
            stacklevel=3,
        )
    if not params.background:
        warnings.warn(
            f"{source}: the background of a maximum of {n} planes lies above that of a plane: set "
            f"[correct] background = true, which takes it off",
            RgbtrackWarning,
            stacklevel=3,
        )
    return params.model_copy(update={"gain": None})


def _noise_of(
    planes: NDArray[Any], params: CorrectParams, step: float, recorded: DetectorSettings
) -> tuple[NoiseModel, DetectorSettings]:
    """Noise model of one channel (t, z, y, x), and what was believed of its file.

    From the settings where they tell, else from the file where the image agrees, else from the image.
    """
    noise = estimate_noise(planes.reshape(-1, *planes.shape[-2:]), step=step)
    if params.gain is None and recorded == DetectorSettings():
        return noise, recorded
    centre = float(np.median(planes))
    believed = _believe(recorded, noise, centre)
    gain = params.gain if params.gain is not None else believed.gain
    offset = params.offset if params.offset is not None else believed.offset
    if gain is None:
        return noise, believed
    if offset is not None and params.read_noise is not None:
        intercept = gain**2 * params.read_noise**2 - gain * offset
        floor = max(gain**2 * params.read_noise**2, (step or 1.0) ** 2 / 12)
        return NoiseModel(gain, intercept, floor), believed
    intercept = max(noise.gain * centre + noise.intercept, noise.floor) - gain * centre
    return NoiseModel(gain, intercept, noise.floor), believed


def _believe(recorded: DetectorSettings, noise: NoiseModel, centre: float) -> DetectorSettings:
    """What the image does not contradict of a recorded detector."""
    gain, offset = recorded.gain, recorded.offset
    return DetectorSettings(
        gain if gain is not None and 1 / GAIN_AGREES < gain / noise.gain < GAIN_AGREES else None,
        offset if offset is not None and offset <= centre else None,
    )


def _native(stack: Stack) -> NDArray[Any]:
    """Pixels in a type that kernels know, whatever machine wrote them."""
    kind = np.dtype(stack.pixels.dtype)
    if kind.kind not in "buif":
        raise DataError(f"{stack.source}: pixels are {kind}: an image of real numbers is needed")
    return np.ascontiguousarray(stack.pixels, np.float32 if kind == np.float16 else kind.newbyteorder("="))


def _check_pixels(raw: NDArray[Any], stack: Stack) -> list[tuple[float, int]]:
    """Refuse what is no image; of each channel, the largest value and how often it occurs."""
    if raw.size == 0:
        raise DataError(f"{stack.source}: the image has no pixels, shape {raw.shape}")
    if np.issubdtype(raw.dtype, np.floating):
        bad = int(raw.size - np.isfinite(raw).sum())
        if bad:
            raise DataError(
                f"{stack.source}: {bad} of {raw.size} pixels are NaN or infinite: export the image "
                f"without them"
            )
    tops = []
    for c, name in enumerate(stack.channels):
        found = [plane for frame in raw[:, c] for plane in _extremes(frame)]
        top = max(high for _, high, _ in found)
        tops.append((float(top), sum(n for _, high, n in found if high == top)))
        if top == min(low for low, _, _ in found):
            warnings.warn(
                f"{stack.source}: every pixel of channel {name!r} is {raw[:, c].flat[0]}: nothing can "
                f"be found in it",
                RgbtrackWarning,
                stacklevel=3,
            )
    return tops


def _extremes(planes: NDArray[Any]) -> list[tuple[Any, Any, int]]:
    """Least and largest value of each plane, and how often the largest occurs."""
    from rgbtrack.correct.kernels import extremes

    return over_bands(lambda z, _: extremes(planes[z]), len(planes), len(planes))


def _flat_planes(flat_field: NDArray[Any] | None, raw: NDArray[Any], stack: Stack) -> Image | None:
    """Flat field as (c, y, x) with a mean of 1 in each channel."""
    if flat_field is None:
        return None
    flat = _planes_of("flat field", flat_field, raw, stack)
    if flat.min() <= 0:
        raise DataError(
            f"flat field holds values from {flat.min()} to {flat.max()}: illumination must be positive "
            f"everywhere"
        )
    return flat / flat.mean(axis=(1, 2), keepdims=True)


def _planes_of(what: str, field: NDArray[Any], raw: NDArray[Any], stack: Stack) -> Image:
    """A field as (c, y, x), one plane standing for all channels."""
    planes = np.asarray(field, np.float32)
    if planes.ndim == 2:
        planes = np.broadcast_to(planes, (raw.shape[1], *planes.shape))
    if planes.shape != (raw.shape[1], *raw.shape[-2:]):
        raise DataError(
            f"{what} has shape {np.shape(field)}, {stack.source} has {raw.shape[1]} channels of "
            f"{raw.shape[-2]} x {raw.shape[-1]} px: give one plane, or one per channel, of that size"
        )
    if not np.isfinite(planes).all():
        raise DataError(f"{what} holds pixels that are NaN or infinite: export it without them")
    return planes


def _fade_planes(fade: NDArray[Any] | None, raw: NDArray[Any], stack: Stack) -> Image | None:
    """Share of the light that is left, (t, c, z)."""
    if fade is None:
        return None
    left = np.asarray(fade, np.float32)
    if left.shape != raw.shape[:3] or not np.isfinite(left).all() or (left <= 0).any():
        raise DataError(
            f"{stack.source}: fade has shape {left.shape}: give a positive share for each of (t, c, z) = "
            f"{raw.shape[:3]}"
        )
    return left
