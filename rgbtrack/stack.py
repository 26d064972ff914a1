"""Stack: an image with the names and units that give its pixels meaning."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError

AXES = ("t", "c", "z", "y", "x")
NUCLEUS = "nucleus"
"""Name of the channel that is not a marker but a nuclear stain."""


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
        here.
    gain
        Counts per photo-electron of each channel, shape (c,); None before correction.
    saturated
        True where the detector was at its limit, same shape as `pixels`; None before correction.
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
    variance: Any = None
    gain: Any = None
    saturated: Any = None
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

    def frame(self, t: int) -> "Stack":
        """One frame, loaded into memory, axes kept."""

        def cut(array: Any) -> Any:
            return None if array is None else np.asarray(array[t : t + 1])

        return replace(
            self, pixels=cut(self.pixels), variance=cut(self.variance), saturated=cut(self.saturated)
        )

    def crop(self, window: tuple[slice, slice]) -> "Stack":
        """Rows and columns of every plane."""

        def cut(array: Any) -> Any:
            return None if array is None else array[..., window[0], window[1]]

        return replace(
            self, pixels=cut(self.pixels), variance=cut(self.variance), saturated=cut(self.saturated)
        )

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

        def cut(array: Any) -> Any:
            return None if array is None else array[:, index]

        return replace(
            self,
            pixels=cut(self.pixels),
            channels=tuple(channels),
            variance=cut(self.variance),
            saturated=cut(self.saturated),
            gain=None if self.gain is None else self.gain[index],
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
