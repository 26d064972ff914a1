"""Stack: an image with the names and units that give its pixels meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError, ParamError
from rgbtrack.projection import METHODS, Projection, project_planes

AXES = ("t", "c", "z", "y", "x")
NUCLEUS = "nucleus"
"""Name of the channel that is not a marker but a nuclear stain."""
BLOCK_ROWS = 64


@dataclass(frozen=True)
class DetectorSettings:
    """What a file records of the detector of one channel; None where it does not.

    Attributes
    ----------
    gain
        As recorded. Counts per photo-electron for some writers, volts or a dial for others: believed only
        where the noise of the image agrees.
    offset
        Counts without light.
    """

    gain: float | None = None
    offset: float | None = None


@dataclass(frozen=True, eq=False)
class Detector:
    """Counts as read, and what the noise and the saturation of a corrected stack follow from.

    ``variance = max(gain * raw + intercept, floor) / (flat * fade)²``; a pixel is saturated at `limit`.

    Attributes
    ----------
    raw
        Counts as read, shape (t, c, z, y, x).
    gain, intercept, floor, limit
        One per channel, shape (c,); `limit` is infinite where no pixel is saturated.
    flat
        Illumination, shape (c, y, x), mean 1; None where it was not evened out.
    fade
        Share of the light that is left, shape (t, c, z); None where fading was not undone.
    correlation
        Variance of a mean over many pixels, over that of pixels whose noise is each its own, shape (c,); None
        where it is.
    """

    raw: NDArray[Any]
    gain: NDArray[np.float32]
    intercept: NDArray[np.float32]
    floor: NDArray[np.float32]
    limit: NDArray[np.float64]
    flat: NDArray[np.float32] | None = None
    fade: NDArray[np.float32] | None = None
    correlation: NDArray[np.float64] | None = None

    def frame(self, t: int) -> "Detector":
        """One frame, axes kept."""
        fade = None if self.fade is None else self.fade[t : t + 1]
        return replace(self, raw=self.raw[t : t + 1], fade=fade)

    def select(self, index: list[int]) -> "Detector":
        """Some channels, in the order given."""
        return Detector(
            self.raw[:, index],
            self.gain[index],
            self.intercept[index],
            self.floor[index],
            self.limit[index],
            None if self.flat is None else self.flat[index],
            None if self.fade is None else self.fade[:, index],
            None if self.correlation is None else self.correlation[index],
        )

    def crop(self, window: tuple[slice, ...]) -> "Detector":
        """Rows and columns, (y, x), of every plane, or of some planes, (z, y, x)."""
        flat = None if self.flat is None else self.flat[..., window[-2], window[-1]]
        fade = self.fade if self.fade is None or len(window) < 3 else self.fade[..., window[0]]
        part: Any = (..., *window)
        return replace(self, raw=self.raw[part], flat=flat, fade=fade)

    def sample(self, c: int, z: int, step: int, t: int = 0) -> NDArray[np.float32]:
        """Noise variance in every step-th row of one plane."""
        flat = None if self.flat is None else self.flat[c : c + 1, ::step]
        part = self.raw[t : t + 1, c : c + 1, z : z + 1, ::step]
        fade = None if self.fade is None else self.fade[t : t + 1, c : c + 1, z : z + 1]
        one = slice(c, c + 1)
        few = Detector(
            part, self.gain[one], self.intercept[one], self.floor[one], self.limit[one], flat, fade
        )
        return few.variance()[0, 0, 0]

    def variance(self) -> NDArray[np.float32]:
        """Noise variance of each pixel, counts², shape of `raw`."""
        variance = np.empty(self.raw.shape, np.float32)
        for t, c, z in np.ndindex(self.raw.shape[:3]):
            for y in range(0, self.raw.shape[3], BLOCK_ROWS):  # a block at a time stays in the cache
                rows = slice(y, y + BLOCK_ROWS)
                part = variance[t, c, z, rows]
                np.multiply(self.raw[t, c, z, rows], self.gain[c], out=part, casting="unsafe")
                part += self.intercept[c]
                np.maximum(part, self.floor[c], out=part)
                if self.flat is not None:
                    part /= self.flat[c, rows] ** 2
                if self.fade is not None:
                    part /= self.fade[t, c, z] ** 2
        return variance

    def saturated(self) -> NDArray[np.bool_]:
        """Whether the detector was at its limit, shape of `raw`."""
        return np.asarray(self.raw >= self.limit[:, None, None, None])


class _OnDemand:
    """A field for which a `Detector` may stand in: worked out whenever it is asked for, never kept."""

    def __init__(self, work: Callable[[Detector], Any]) -> None:
        self.work = work

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    def __get__(self, stack: Any, owner: type | None = None) -> Any:
        if stack is None:
            return None  # the field's default
        value = stack.__dict__[self.name]
        return self.work(value) if isinstance(value, Detector) else value

    def __set__(self, stack: Any, value: Any) -> None:
        stack.__dict__[self.name] = value


@dataclass(frozen=True, eq=False)
class Stack:
    """Pixels (t, c, z, y, x) and what they mean.

    A stack as read may be lazy (a dask array); the stages work on numpy arrays, one frame at a time.

    Attributes
    ----------
    pixels
        Detector counts, shape (t, c, z, y, x).
    channels
        One name per channel. After `select` these are the markers, and `NUCLEUS` for a nuclear stain.
    pixel_size_um, z_step_um, frame_interval_h
        Calibration, None where nobody knows.
    source
        Where the pixels came from, for messages.
    variance
        Noise variance of each pixel in counts², same shape as `pixels`; None until `correct_stack` has been
        here. May be given as a `Detector`: the array is then made anew whenever it is asked for.
    gain
        Counts per photo-electron of each channel, shape (c,); None before correction.
    saturated
        True where the detector was at its limit, same shape as `pixels`; None before correction, unless
        the stack was projected. May be given as a `Detector`.
    step
        Rounding of the counts: 1 for whole numbers, ``1 / sqrt(n)`` for the mean of n planes of them, 0 for
        floats or where nobody knows.
    bleed_through
        Rows detectors, columns markers: the share of each marker's signal in each detector; None for none.
    projection
        How `project` made one plane of a z-stack; None where it did not.
    detectors
        What the file records of each channel's detector; empty where it records nothing.
    """

    pixels: Any
    channels: tuple[str, ...]
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    frame_interval_h: float | None = None
    source: str = "stack"
    variance: Any = _OnDemand(Detector.variance)
    gain: Any = None
    saturated: Any = _OnDemand(Detector.saturated)
    step: float = 0.0
    bleed_through: pd.DataFrame | None = None
    projection: Projection | None = None
    detectors: tuple[DetectorSettings, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != len(AXES):
            raise DataError(
                f"{self.source}: pixels have {self.pixels.ndim} axes, shape {self.pixels.shape}: "
                f"give (t, c, z, y, x), with length 1 where there is no such axis"
            )
        if self.pixels.shape[1] != len(self.channels):
            raise DataError(
                f"{self.source}: {self.pixels.shape[1]} channels but {len(self.channels)} names "
                f"({', '.join(self.channels)}): give one name per channel"
            )
        if len(set(self.channels)) != len(self.channels):
            raise DataError(
                f"{self.source}: channel names repeat ({', '.join(self.channels)}): make them unique"
            )
        for name in ("pixel_size_um", "z_step_um", "frame_interval_h"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise DataError(f"{self.source}: {name} is {value}: give a positive number")

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.pixels.shape[0])

    @property
    def markers(self) -> tuple[str, ...]:
        """Channels that carry a marker: all but the nuclear stain."""
        return tuple(name for name in self.channels if name != NUCLEUS)

    @property
    def noise(self) -> "Detector | None":
        """What the variance follows from; None before correction.

        A variance given as an array is its own detector, of gain 1.
        """
        known = self.__dict__["_variance"]
        if known is None or isinstance(known, Detector):
            return known
        one = np.ones(len(self.channels), np.float32)
        return Detector(
            np.asarray(known, np.float32), one, 0 * one, -np.inf * one, np.inf * one.astype(float)
        )

    @property
    def limits(self) -> "Detector | None":
        """What the saturation follows from; None where nobody knows."""
        known = self.__dict__["_saturated"]
        if known is None or isinstance(known, Detector):
            return known
        one = np.ones(len(self.channels), np.float32)
        return Detector(np.asarray(known), one, 0 * one, 0 * one, one.astype(float))

    def frame(self, t: int) -> "Stack":
        """One frame, loaded into memory, axes kept."""

        def cut(array: Any) -> Any:
            if array is None:
                return None
            return array.frame(t) if isinstance(array, Detector) else array[t : t + 1]

        cuts = [cut(array) for array in self._stored()]
        if hasattr(self.pixels, "dask"):
            import dask

            # at once: what both are made from is read once; a single block as it is: dask would copy it
            parts = [
                part.to_delayed(optimize_graph=False).item()
                if hasattr(part, "dask") and part.npartitions == 1
                else part
                for part in cuts
            ]
            cuts = dask.compute(*parts, traverse=False)
        return self._with(
            *(
                array if array is None or isinstance(array, Detector) else np.ascontiguousarray(array)
                for array in cuts
            )
        )

    def project(self, method: str) -> "Stack":
        """Make one plane of a z-stack, before anything is corrected.

        Parameters
        ----------
        method
            "max", the largest count of each pixel over z; "mean"; or "none".

        Returns
        -------
        projected
            Pixels (t, c, 1, y, x), lazy if they were; `z_step_um` None; `saturated` where any plane was.
            An image of one plane is returned as it is.

        Raises
        ------
        ParamError
            If there is no such method.
        DataError
            If the stack is corrected.

        Notes
        -----
        The mean of n planes has the n-th part of a plane's noise variance. That of a maximum is between a
        plane's, where one plane outshines the others, and less, where they are alike; there the maximum also
        lies above the mean, by 1.5 standard deviations of ten planes. `correct_stack` estimates the noise
        from the projected image, and takes off the raised background.

        Examples
        --------
        >>> counts = np.array([3, 9, 6]).reshape(1, 1, 3, 1, 1)
        >>> stack = Stack(counts, ("red",), z_step_um=2.0)
        >>> int(stack.project("max").pixels.squeeze()), float(stack.project("mean").pixels.squeeze())
        (9, 6.0)
        """
        if method not in ("none", *METHODS):
            raise ParamError(f'projection is {method!r}: give "none", "max" or "mean"')
        n_planes = self.pixels.shape[2]
        if method == "none" or n_planes == 1:
            return self
        if self.noise is not None:
            raise DataError(f"{self.source}: the stack is corrected: call project before correct_stack")
        known: Any = next(name for name in METHODS if name == method)
        pixels, saturated = project_planes(self.pixels, known)
        whole = np.issubdtype(self.pixels.dtype, np.integer)
        return replace(
            self,
            pixels=pixels,
            saturated=saturated,
            z_step_um=None,
            step=1 / np.sqrt(n_planes) if method == "mean" and whole else self.step,
            projection=Projection(known, n_planes),
            detectors=(),
        )

    def with_axes(self, axes: str) -> "Stack":
        """Take axes for others, where a file has named them wrongly.

        Parameters
        ----------
        axes
            What each axis longer than one is, in the order (t, c, z, y, x) that they have now; as "tyx" for a
            z-stack of one channel that is a time series.

        Returns
        -------
        renamed
            Pixels (t, c, z, y, x); channels numbered where their axis is another, and a step or interval that
            belonged to another axis is None.

        Raises
        ------
        DataError
            If there are not as many axes, or they are none of t, c, z, y and x, each once.

        Examples
        --------
        >>> stack = Stack(np.zeros((1, 1, 9, 4, 5)), ("red",), z_step_um=2.0).with_axes("tyx")
        >>> stack.pixels.shape, stack.z_step_um
        ((9, 1, 1, 4, 5), None)
        """
        shape = self.pixels.shape
        longer = [name for name, n in zip(AXES, shape, strict=True) if n > 1]
        wanted = axes.strip().lower()
        right = len(wanted) == len(set(wanted)) == len(longer) and set("yx") <= set(wanted) <= set(AXES)
        if not right and sorted(longer) != sorted(wanted):
            raise DataError(
                f"{self.source}: axes {axes!r} do not fit: it has {len(longer)} longer than one, read as "
                f"{''.join(longer)} ({', '.join(str(n) for n in shape if n > 1)}): give one of t, c, z, y, x "
                "for each"
            )
        if list(wanted) == longer:
            return self
        pixels = self.pixels.reshape([n for n in shape if n > 1])
        pixels = pixels.transpose([wanted.index(name) for name in AXES if name in wanted])
        place = tuple(slice(None) if name in wanted else None for name in AXES)
        pixels = pixels[place]
        same = {name: wanted.find(name) == "".join(longer).find(name) for name in AXES}
        n = pixels.shape[1]
        return replace(
            self,
            pixels=pixels,
            channels=self.channels if same["c"] else tuple(f"channel {i}" for i in range(n)),
            z_step_um=self.z_step_um if same["z"] else None,
            frame_interval_h=self.frame_interval_h if same["t"] else None,
            detectors=self.detectors if same["c"] else (),
        )

    def crop(self, window: tuple[slice, ...]) -> "Stack":
        """Rows and columns, (y, x), of every plane, or of some planes, (z, y, x)."""

        def cut(array: Any) -> Any:
            if array is None:
                return None
            return array.crop(window) if isinstance(array, Detector) else array[(..., *window)]

        return self._map(cut)

    def select(self, channels: Mapping[str, str | int]) -> "Stack":
        """Keep some channels, in the order given, under new names.

        Parameters
        ----------
        channels
            New name to recorded name or 0-based index.

        Raises
        ------
        DataError
            If a channel does not exist.
        """
        index = [self.channel_index(wanted) for wanted in channels.values()]

        all_in_order = index == list(range(len(self.channels)))

        def cut(array: Any) -> Any:
            if array is None or all_in_order:
                return array
            return array.select(index) if isinstance(array, Detector) else array[:, index]

        gain = None if self.gain is None else self.gain[index]
        detectors = tuple(self.detectors[i] for i in index) if self.detectors else ()
        return self._map(cut, channels=tuple(channels), gain=gain, detectors=detectors)

    def with_bleed_through(self, matrix: pd.DataFrame | None) -> "Stack":
        """The same with another matrix; unlike ``dataclasses.replace`` it works nothing out."""
        return self._map(lambda array: array, bleed_through=matrix)

    def _map(self, cut: Callable[[Any], Any], **changes: Any) -> "Stack":
        """Cut pixels, variance and saturation alike."""
        return self._with(*(cut(array) for array in self._stored()), **changes)

    def _stored(self) -> tuple[Any, Any, Any]:
        """Pixels, variance and saturation, these two as they were given."""
        return self.pixels, self.__dict__["_variance"], self.__dict__["_saturated"]

    def _with(self, pixels: Any, variance: Any, saturated: Any, **changes: Any) -> "Stack":
        return replace(self, pixels=pixels, variance=variance, saturated=saturated, **changes)

    def channel_index(self, wanted: str | int) -> int:
        """0-based index of a channel given by recorded name (any case) or index."""
        if isinstance(wanted, int):
            if 0 <= wanted < len(self.channels):
                return wanted
            raise DataError(
                f"{self.source}: channel {wanted} asked for, but there are {len(self.channels)} "
                f"(0 to {len(self.channels) - 1}: {', '.join(self.channels)})"
            )
        if wanted in self.channels:
            return self.channels.index(wanted)
        folded = [name.casefold() for name in self.channels]
        if folded.count(wanted.casefold()) == 1:
            return folded.index(wanted.casefold())
        raise DataError(
            f"{self.source}: no channel named {wanted!r}, found {', '.join(map(repr, self.channels))}: "
            f"give one of these names, or a 0-based index"
        )
