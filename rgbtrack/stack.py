"""Stack: an image with the names and units that give its pixels meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError

AXES = ("t", "c", "z", "y", "x")
NUCLEUS = "nucleus"
"""Name of the channel that is not a marker but a nuclear stain."""
BLOCK_ROWS = 64


@dataclass(frozen=True, eq=False)
class Detector:
    """Counts as read, and what the noise and the saturation of a corrected stack follow from.

    ``variance = max(gain * raw + intercept, floor) / flat²``; a pixel is saturated at `limit`.

    Attributes
    ----------
    raw
        Counts as read, shape (t, c, z, y, x).
    gain, intercept, floor, limit
        One per channel, shape (c,); `limit` is infinite where no pixel is saturated.
    flat
        Illumination, shape (c, y, x), mean 1; None where it was not evened out.
    """

    raw: NDArray[Any]
    gain: NDArray[np.float32]
    intercept: NDArray[np.float32]
    floor: NDArray[np.float32]
    limit: NDArray[np.float64]
    flat: NDArray[np.float32] | None = None

    def frame(self, t: int) -> "Detector":
        """One frame, axes kept."""
        return replace(self, raw=self.raw[t : t + 1])

    def select(self, index: list[int]) -> "Detector":
        """Some channels, in the order given."""
        return Detector(
            self.raw[:, index],
            self.gain[index],
            self.intercept[index],
            self.floor[index],
            self.limit[index],
            None if self.flat is None else self.flat[index],
        )

    def sample(self, c: int, z: int, step: int, t: int = 0) -> NDArray[np.float32]:
        """Noise variance in every step-th row of one plane."""
        flat = None if self.flat is None else self.flat[c : c + 1, ::step]
        part = self.raw[t : t + 1, c : c + 1, z : z + 1, ::step]
        one = slice(c, c + 1)
        few = Detector(part, self.gain[one], self.intercept[one], self.floor[one], self.limit[one], flat)
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
        True where the detector was at its limit, same shape as `pixels`; None before correction. May be
        given as a `Detector`.
    step
        Least difference between two counts: 1 for whole numbers, 0 for floats or before correction.
    bleed_through
        Rows detectors, columns markers: the share of each marker's signal in each detector; None for none.
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
            return array.frame(t) if isinstance(array, Detector) else np.ascontiguousarray(array[t : t + 1])

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
        return self._map(cut, channels=tuple(channels), gain=gain)

    def _map(self, cut: Callable[[Any], Any], **changes: Any) -> "Stack":
        """Cut pixels, variance and saturation alike."""
        stored = {name: self.__dict__[f"_{name}"] for name in ("variance", "saturated")}
        return replace(
            self,
            pixels=cut(self.pixels),
            **{name: cut(value) for name, value in stored.items()},
            **changes,
        )

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
