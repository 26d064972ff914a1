"""Outlines of an image with more cells than napari can colour one by one, painted where it is looked at."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST = 64
"""Sides of the coarsest level, in pixels: napari keeps it as it was at first, so no window may show it."""


class Painted:
    """Outlines, and the number of the colour of each cell; a change of colours touches no pixel.

    Attributes
    ----------
    labels
        Outlines, (..., y, x).
    groups
        Number of the colour of each label.
    """

    def __init__(self, labels: NDArray[Any]) -> None:
        self.labels = labels
        self.groups = np.zeros(int(labels.max(initial=0)) + 1, np.uint16)

    def pyramid(self) -> list["Level"]:
        """The whole image, and every second, fourth ... pixel of it: napari asks only for what it shows."""
        steps = [1]
        while max(self.labels.shape[-2:]) > SMALLEST * steps[-1]:
            steps.append(2 * steps[-1])
        return [Level(self, step) for step in steps]


class Level:
    """An array of colour numbers that is worked out where it is read."""

    dtype = np.dtype(np.uint16)

    def __init__(self, painted: Painted, step: int) -> None:
        self.painted = painted
        self._step = step

    @property
    def labels(self) -> NDArray[Any]:
        """Outlines of the level."""
        middle = slice(self._step // 2, None, self._step)
        return self.painted.labels[..., middle, middle]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.labels.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.painted.labels.ndim

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.labels.size

    def __getitem__(self, index: Any) -> Any:
        return self.painted.groups[self.labels[index]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[...], dtype)
