"""A frame around an image, so that walks from pixel to pixel need not ask where they are."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


def framed(image: NDArray[T], value: int) -> NDArray[T]:
    """(z, y, x) with a frame of one pixel of a value around each plane, and around a volume."""
    volume = int(image.shape[0] > 1)
    padded = np.full(
        [n + 2 * p for n, p in zip(image.shape, (volume, 1, 1), strict=True)], value, image.dtype
    )
    inside(padded)[:] = image
    return padded


def inside(padded: NDArray[T]) -> NDArray[T]:
    """What is within the frame, a view."""
    return padded[1:-1, 1:-1, 1:-1] if padded.shape[0] > 1 else padded[:, 1:-1, 1:-1]


def steps_of(padded: NDArray[T]) -> NDArray[np.int64]:
    """From a pixel to its four (six) neighbours, in the flat array."""
    depth, height, width = padded.shape
    steps = np.array([-height * width, -width, -1, 1, width, height * width])
    return steps if depth > 1 else steps[1:5]
