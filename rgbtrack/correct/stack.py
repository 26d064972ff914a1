"""From detector counts to background-free counts whose noise is known."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.correct.background import background_shrink, grid_of_small, shrink_plane
from rgbtrack.correct.correlation import noise_correlation
from rgbtrack.correct.noise import Image, NoiseModel, estimate_noise, sample_bands
from rgbtrack.correct.params import CorrectParams
from rgbtrack.correct.registration import apply_shift
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.projection import Projection, detector_limit
from rgbtrack.stack import Detector, DetectorSettings, Stack
from rgbtrack.threads import over_bands

GAIN_AGREES = 1.5
"""A recorded gain is believed within this factor of the estimate."""
STRIP_PX = 2**24
"""Pixels of all channels that are read at once of an image larger than memory."""
SMALL_PX = 2**22
"""Pixels of a frame in small, of all planes."""
REACH_PX = 5
"""How far the kernel that moves channels by parts of a pixel reaches."""

Window = tuple[slice, slice, slice]
"""Planes, rows and columns."""


@dataclass(frozen=True, eq=False)
class Correction:
    """What is to be undone in a stack, so that any part of it can be corrected as the whole would be.

    Attributes
    ----------
    noise
        Of each channel.
    believed
        What is believed of the file's record of each channel's detector.
    limit
        Counts at which each channel is saturated, shape (c,).
    correlation
        See `Detector`, shape (c,).
    grids
        Background of each plane (t, c, z), at the centres of blocks of so many pixels.
    step
        Rounding of the counts, see `Stack`.
    bleed_through
        See `Stack`.
    undo
        What was recorded or is known from elsewhere.
    """

    noise: tuple[NoiseModel, ...]
    believed: tuple[DetectorSettings, ...]
    limit: NDArray[np.float64]
    correlation: NDArray[np.float64]
    grids: dict[tuple[int, ...], tuple[Image, int]]
    step: float
    bleed_through: pd.DataFrame | None
    undo: "_Undo"

    def without_fields(self) -> "Correction":
        """The same without flat and dark field, which may be larger than memory: for another process."""
        return replace(self, undo=self.undo._replace(flat=None, dark=None))

    def with_fields(self, stack: Stack, flat_field: Any, dark_field: Any) -> "Correction":
        """The same with the fields that it was found with."""
        flat, dark = (
            None if given is None else _in_channels(given, stack) for given in (flat_field, dark_field)
        )
        return replace(self, undo=self.undo._replace(flat=flat, dark=dark))


class _Undo(NamedTuple):
    """What is given: fields (c, y, x), perhaps lazy, and their means, shift (c, 3), fade (t, c, z)."""

    flat: Any
    flat_mean: Image | None
    dark: Any
    dark_mean: Image | None
    shift_px: NDArray[np.float64] | None
    fade: Image | None


class _Counts(NamedTuple):
    """Part of a stack: counts as read, made good for dark field and shift, moved alone; and flat field."""

    read: NDArray[Any]
    counts: NDArray[Any]
    full: NDArray[Any]
    flat: Image | None


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
    undo = _known_before(stack, flat_field, dark_field, shift_px, fade)
    whole = _whole(stack)
    part = _read(stack, undo, whole)
    correction = _find(stack, params, bleed_through, undo, [(whole, part)])
    return _apply(stack, correction, whole, part)


def find_correction(
    stack: Stack,
    params: CorrectParams = CorrectParams(),  # noqa: B008
    *,
    bleed_through: pd.DataFrame | None = None,
    flat_field: Any = None,
    dark_field: Any = None,
    shift_px: NDArray[Any] | None = None,
    fade: NDArray[Any] | None = None,
) -> tuple[Correction, Stack]:
    """Find what `correct_stack` would undo in a stack that may be larger than memory.

    Parameters are those of `correct_stack`; pixels and fields may be lazy. The stack is read once, in strips.

    Returns
    -------
    correction
        For `apply_correction`.
    small
        The stack in small, corrected: each pixel the mean of a square, some million of all planes together.
    """
    undo = _known_before(stack, flat_field, dark_field, shift_px, fade)
    shrink = background_shrink(_window_px(stack, params), stack.pixels.shape[3:])
    voxels = int(np.prod(stack.pixels.shape[2:], dtype=object))
    factor = shrink * max(1, int(np.ceil(np.sqrt(voxels / SMALL_PX) / shrink)))
    height, width = (-(-n // factor) for n in stack.pixels.shape[3:])
    small = np.zeros((*stack.pixels.shape[:3], height, width), np.float32)

    def parts() -> Iterator[tuple[Window, _Counts]]:
        for window in _strips(stack, factor):
            part = _read(stack, undo, window)
            top = window[1].start // factor
            for t, c, z in np.ndindex(part.counts.shape[:3]):
                few = shrink_plane(part.counts[t, c, z], factor)
                small[t, c, window[0].start + z, top : top + len(few)] = few
            yield window, part

    correction = _find(stack, params, bleed_through, undo, parts())
    variance = np.empty_like(small)
    for place in np.ndindex(small.shape[:3]):
        noise = correction.noise[place[1]]
        variance[place] = noise.variance(small[place]) / factor**2
        grid, _ = correction.grids[place]
        small[place] -= cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR).reshape(
            height, width
        )
    pixel = stack.pixel_size_um
    return correction, replace(
        stack,
        pixels=small,
        variance=variance,
        gain=np.array([model.gain for model in correction.noise]),
        saturated=None,
        pixel_size_um=None if pixel is None else pixel * factor,
        step=0.0,
        bleed_through=correction.bleed_through,
    )


def apply_correction(stack: Stack, correction: Correction, window: Window | None = None) -> Stack:
    """Some planes, rows and columns of a stack, corrected as `correct_stack` corrects them in the whole.

    Parameters
    ----------
    stack
        That the correction was found in.
    correction
        From `find_correction`.
    window
        Planes, rows and columns; None: all.

    Returns
    -------
    corrected
        As from `correct_stack`, of the size of the window.
    """
    window = window or _whole(stack)
    return _apply(stack, correction, window, _read(stack, correction.undo, window))


def _whole(stack: Stack) -> Window:
    z, y, x = (slice(0, n) for n in stack.pixels.shape[2:])
    return z, y, x


def _strips(stack: Stack, factor: int) -> Iterator[Window]:
    """Windows over all columns that cover a stack, plane after plane, of rows in multiples of a factor."""
    frames, channels, depth, height, width = stack.pixels.shape
    if stack.pixels.size == 0:
        return
    chunk = stack.pixels.chunks[3][0] if hasattr(stack.pixels, "chunks") else 1
    most = max(1, STRIP_PX // (frames * channels * width))
    rows = min(height, chunk * max(1, most // chunk) if chunk <= 16 * most else most)
    rows = max(1, rows // factor) * factor
    planes = max(1, STRIP_PX // (frames * channels * width * height))
    for z in range(0, depth, planes):
        for y in range(0, height, rows):
            yield slice(z, min(depth, z + planes)), slice(y, min(height, y + rows)), slice(0, width)


def _window_px(stack: Stack, params: CorrectParams) -> float:
    return params.background_um / (stack.pixel_size_um or 1.0)


def _find(
    stack: Stack,
    params: CorrectParams,
    bleed_through: pd.DataFrame | None,
    undo: _Undo,
    parts: Iterable[tuple[Window, _Counts]],
) -> Correction:
    """What to undo, of parts that cover the stack: all rows of some planes, then of the next."""
    if stack.pixels.size == 0:
        raise DataError(f"{stack.source}: the image has no pixels, shape {stack.pixels.shape}")
    _, n_channels, _, height, width = stack.pixels.shape
    window_px = _window_px(stack, params)
    shrink = background_shrink(window_px, (height, width))
    step = 1.0 if np.issubdtype(stack.pixels.dtype, np.integer) else stack.step
    if stack.projection is not None:
        params = _params_of(stack.projection, params, stack.source)
    recorded = stack.detectors or (DetectorSettings(),) * n_channels
    noise: list[NoiseModel] = []
    believed: list[DetectorSettings] = []
    together: list[float] = []
    extremes: list[list[tuple[Any, Any, int]]] = [[] for _ in range(n_channels)]
    grids: dict[tuple[int, ...], tuple[Image, int]] = {}
    small: dict[tuple[int, ...], Image] = {}
    for window, part in parts:
        _check_finite(part.read, stack)
        for c, found in enumerate(extremes):
            found += [one for frame in part.read[:, c] for one in _extremes(frame)]
        if not noise:
            pixels = part.read if part.read.shape == stack.pixels.shape else stack.pixels

            def judge(c: int, _: int, pixels: Any = pixels) -> tuple[NoiseModel, DetectorSettings, float]:
                planes = pixels[:, c].reshape(-1, height, width)
                model, known = _noise_of(planes, params, step, recorded[c])
                return model, known, noise_correlation(planes, model)

            for model, known, times in over_bands(judge, n_channels, n_channels):
                noise.append(model)
                believed.append(known)
                together.append(times)
        if not params.background:
            continue
        planes = list(np.ndindex(part.counts.shape[:3]))
        z, top = window[0].start, window[1].start // shrink

        def shrunk(i: int, _: int, part: _Counts = part, planes: Any = planes) -> Image:
            return shrink_plane(part.counts[planes[i]], shrink)

        for (t, c, i), few in zip(planes, over_bands(shrunk, len(planes), len(planes)), strict=True):
            place = t, c, z + i
            if window[1] == slice(0, height):
                small[place] = few
                continue
            if place not in small:
                small[place] = np.empty((-(-height // shrink), few.shape[1]), np.float32)
            small[place][top : top + len(few)] = few
        if window[1].stop == height:
            places = list(small)

            def background(i: int, _: int, places: Any = places) -> tuple[Image, int]:
                return grid_of_small(small.pop(places[i]), shrink, noise[places[i][1]], window_px)

            if height * width > STRIP_PX:  # of large ones one after the other, for memory
                grids |= {place: background(i, 0) for i, place in enumerate(places)}
            else:
                grids |= dict(zip(places, over_bands(background, len(places), len(places)), strict=True))
    if not params.background:
        for place in np.ndindex(stack.pixels.shape[:3]):
            offset = params.offset if params.offset is not None else believed[place[1]].offset
            grids[place] = np.full((1, 1), offset or 0, np.float32), 1
    tops = _tops(extremes, stack)
    return Correction(
        tuple(noise),
        tuple(believed),
        np.array([detector_limit(np.dtype(stack.pixels.dtype), *top) for top in tops]),
        np.array(together),
        grids,
        step,
        bleed_through if bleed_through is not None else stack.bleed_through,
        undo,
    )


def _apply(stack: Stack, correction: Correction, window: Window, part: _Counts) -> Stack:
    """A part of a stack, corrected."""
    pixels = np.empty(part.counts.shape, np.float32)
    fade = None if correction.undo.fade is None else correction.undo.fade[:, :, window[0]]
    corner = window[1].start, window[2].start
    for t, c, z in np.ndindex(pixels.shape[:3]):
        grid, factor = correction.grids[t, c, window[0].start + z]
        light = None if part.flat is None else part.flat[c]
        left = 1.0 if fade is None else float(fade[t, c, z])
        _subtract(part.counts[t, c, z], grid, factor, corner, light, left, pixels[t, c, z])
    gain, intercept, floor = (
        np.array([getattr(model, name) for model in correction.noise])
        for name in ("gain", "intercept", "floor")
    )
    detector = Detector(
        part.counts,
        gain.astype(np.float32),
        intercept.astype(np.float32),
        floor.astype(np.float32),
        correction.limit,
        part.flat,
        fade,
        correction.correlation,
    )
    believed = correction.believed
    saturated: Any = replace(detector, raw=part.full)
    if stack.projection is not None:
        saturated = np.asarray(stack.saturated[(..., *window)])
    return replace(
        stack,
        pixels=pixels,
        variance=detector,
        gain=gain,
        saturated=saturated,
        step=correction.step,
        detectors=believed if any(known != DetectorSettings() for known in believed) else (),
        bleed_through=correction.bleed_through,
    )


def _known_before(
    stack: Stack,
    flat_field: Any,
    dark_field: Any,
    shift_px: NDArray[Any] | None,
    fade: NDArray[Any] | None,
) -> _Undo:
    """What is given besides the stack, checked."""
    shape = stack.pixels.shape
    flat, dark = (
        None if given is None else _planes_of(what, given, stack)
        for what, given in (("flat field", flat_field), ("dark field", dark_field))
    )
    if flat is not None and flat.min() <= 0:
        raise DataError(
            f"flat field holds values from {float(flat.min())} to {float(flat.max())}: illumination must be "
            f"positive everywhere"
        )
    flat_mean, dark_mean = (
        None
        if planes is None
        else np.asarray(planes.mean(axis=(1, 2), keepdims=True, dtype=float), np.float32)
        for planes in (flat, dark)
    )
    shift = None if shift_px is None else np.asarray(shift_px, float)
    if shift is not None and (shift.shape != (shape[1], 3) or not np.isfinite(shift).all()):
        raise DataError(
            f"{stack.source}: shift_px has shape {shift.shape}: give (z, y, x) in px, finite, for each of "
            f"{shape[1]} channels"
        )
    return _Undo(flat, flat_mean, dark, dark_mean, shift, _fade_planes(fade, stack))


def _read(stack: Stack, undo: _Undo, window: Window) -> _Counts:
    """A part of a stack, in memory: dark pattern taken off, channels moved back."""
    wide = window
    if undo.shift_px is not None:
        reach = np.ceil(np.abs(undo.shift_px).max(axis=0)).astype(int) + REACH_PX
        z, y, x = (
            slice(max(0, cut.start - int(far)), min(n, cut.stop + int(far)))
            for cut, far, n in zip(window, reach, stack.pixels.shape[2:], strict=True)
        )
        wide = z, y, x
    whole = wide == _whole(stack)
    raw = _native(stack.pixels if whole else stack.pixels[(..., *wide)], stack.source)
    counts, flat = raw, None
    if undo.dark is not None and undo.dark_mean is not None:
        counts = raw - (np.asarray(undo.dark[:, wide[1], wide[2]], np.float32) - undo.dark_mean)[:, None]
    if undo.flat is not None and undo.flat_mean is not None:
        flat = np.asarray(undo.flat[:, wide[1], wide[2]], np.float32) / undo.flat_mean
    full = raw
    if undo.shift_px is not None:
        counts, full, flat = _move_channels(counts, full, flat, undo.shift_px)
    if wide != window:
        inner: Any = tuple(
            slice(cut.start - far.start, cut.stop - far.start) for cut, far in zip(window, wide, strict=True)
        )
        raw, counts, full = (np.ascontiguousarray(image[(..., *inner)]) for image in (raw, counts, full))
        flat = None if flat is None else np.ascontiguousarray(flat[:, inner[1], inner[2]])
    return _Counts(raw, counts, full, flat)


def _subtract(
    raw: NDArray[Any],
    grid: Image,
    factor: int,
    corner: tuple[int, int],
    flat: Image | None,
    fade: float,
    pixels: Image,
) -> None:
    """Take the background off one plane, even out its illumination, and restore what faded."""
    from rgbtrack.correct.kernels import subtract_rows

    light = np.empty((0, 0), np.float32) if flat is None else flat

    def work(start: int, stop: int) -> None:
        subtract_rows(raw, grid, factor, corner, light, fade, start, stop, pixels)

    over_bands(work, raw.shape[0])


def _move_channels(
    raw: NDArray[Any], full: NDArray[Any], flat: Image | None, shift: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any], Image | None]:
    """Counts, counts by which saturation is told (whole pixels), and flat field, each channel moved back."""
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
    planes: Any, params: CorrectParams, step: float, recorded: DetectorSettings
) -> tuple[NoiseModel, DetectorSettings]:
    """Noise model of one channel (n, y, x), and what was believed of its file.

    From the settings where they tell, else from the file where the image agrees, else from the image.
    """
    noise = estimate_noise(planes, step=step)
    if params.gain is None and recorded == DetectorSettings():
        return noise, recorded
    centre = float(np.median(sample_bands(planes)))
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


def _native(pixels: Any, source: str) -> NDArray[Any]:
    """Pixels in memory, in a type that kernels know, whatever machine wrote them."""
    kind = np.dtype(pixels.dtype)
    if kind.kind not in "buif":
        raise DataError(f"{source}: pixels are {kind}: an image of real numbers is needed")
    return np.ascontiguousarray(pixels, np.float32 if kind == np.float16 else kind.newbyteorder("="))


def _check_finite(raw: NDArray[Any], stack: Stack) -> None:
    """Refuse what is no image."""
    if np.issubdtype(raw.dtype, np.floating):
        bad = int(raw.size - np.isfinite(raw).sum())
        if bad:
            raise DataError(
                f"{stack.source}: {bad} of {raw.size} pixels are NaN or infinite: export the image "
                f"without them"
            )


def _tops(extremes: list[list[tuple[Any, Any, int]]], stack: Stack) -> list[tuple[float, int]]:
    """Of each channel, the largest value and how often it occurs; of planes or parts of them."""
    tops = []
    for found, name in zip(extremes, stack.channels, strict=True):
        top = max(high for _, high, _ in found)
        tops.append((float(top), sum(n for _, high, n in found if high == top)))
        if top == min(low for low, _, _ in found):
            warnings.warn(
                f"{stack.source}: every pixel of channel {name!r} is {top}: nothing can be found in it",
                RgbtrackWarning,
                stacklevel=4,
            )
    return tops


def _extremes(planes: NDArray[Any]) -> list[tuple[Any, Any, int]]:
    """Least and largest value of each plane, and how often the largest occurs."""
    from rgbtrack.correct.kernels import extremes

    return over_bands(lambda z, _: extremes(planes[z]), len(planes), len(planes))


def _in_channels(field: Any, stack: Stack) -> Any:
    """A field as (c, y, x), lazy if it was, one plane standing for all channels."""
    planes = field.astype(np.float32) if hasattr(field, "dask") else np.asarray(field, np.float32)
    return planes if planes.ndim > 2 else np.broadcast_to(planes, (stack.pixels.shape[1], *planes.shape))


def _planes_of(what: str, field: Any, stack: Stack) -> Any:
    """A field in channels, checked."""
    n_channels, _, *plane = stack.pixels.shape[1:]
    planes = _in_channels(field, stack)
    if planes.shape != (n_channels, *plane):
        raise DataError(
            f"{what} has shape {np.shape(field)}, {stack.source} has {n_channels} channels of "
            f"{plane[0]} x {plane[1]} px: give one plane, or one per channel, of that size"
        )
    if not np.isfinite(planes).all():
        raise DataError(f"{what} holds pixels that are NaN or infinite: export it without them")
    return planes


def _fade_planes(fade: NDArray[Any] | None, stack: Stack) -> Image | None:
    """Share of the light that is left, (t, c, z)."""
    if fade is None:
        return None
    left, shape = np.asarray(fade, np.float32), stack.pixels.shape[:3]
    if left.shape != shape or not np.isfinite(left).all() or (left <= 0).any():
        raise DataError(
            f"{stack.source}: fade has shape {left.shape}: give a positive share for each of (t, c, z) = "
            f"{shape}"
        )
    return left
