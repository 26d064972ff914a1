"""Two cells taken for one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.members import Members, sum_over
from rgbtrack.signature.params import SignatureParams

EVEN = 0.2
"""Each half of a doublet has more than this share of its pixels."""


def find_doublets(
    members: Members, pixels: Any, channel: NDArray[np.int64], params: SignatureParams
) -> NDArray[np.bool_]:
    """Cells whose two halves hold two colours.

    Pixels of a cell's core, smoothed, are parted by the sign of their colour along the axis of largest
    colour variance. Noise parts them everywhere; two cells taken for one part them in space. Halves cannot
    differ by more than the variance of the whole allows: cells of little variance are not parted.
    """
    from rgbtrack.signature.kernels import colour_rows, half_rows

    labels, core, m = members.labels, members.core, len(channel)
    height = labels.shape[1]
    fractions: dict[int, Any] = {}  # of the core pixels of each band

    def add_colours(start: int, stop: int, table: Any) -> None:
        fractions[start] = np.empty((core.n_px(start, stop), m), np.float32)
        colour_rows(labels, core, pixels, channel, start, stop, table, fractions[start])

    sums = members.total((1 + m + m * m + m + 1,), add_colours)[members.rows]
    n_core = members.n_core[members.rows]
    variance = sums[:, -1] / n_core - ((sums[:, -1 - m : -1] / n_core[:, None]) ** 2).sum(1)
    able = (variance > EVEN * (1 - EVEN) * params.doublet_distance**2) & (n_core >= 2 * params.min_core_px)
    able &= ~members.small[members.rows]
    number = np.full(len(members.shapes), -1)
    number[members.rows[able]] = np.arange(able.sum())

    sums = sums[able]
    norm = np.maximum(sums[:, :1], 1e-9)
    mean = sums[:, 1 : 1 + m] / norm
    spread = (sums[:, 1 + m : 1 + m + m * m] / norm).reshape(-1, m, m) - mean[:, :, None] * mean[:, None, :]
    axis = np.ascontiguousarray(np.linalg.eigh(spread)[1][:, :, -1])
    halves = sum_over(
        labels,
        lambda a, b, table: half_rows(core, height, fractions[a], number, mean, axis, a, b, table),
        (len(mean), 2, 3 + m),
        float,
    )
    size = halves[:, :, 0]
    middle = halves[:, :, 1:] / np.maximum(size, 1)[:, :, None]
    off = middle[:, 0] - middle[:, 1]
    apart = np.hypot(off[:, 0], off[:, 1]) > 0.45 * np.sqrt(members.n_px[able] / np.pi)
    differ = np.sqrt((off[:, 2:] ** 2).sum(1)) > params.doublet_distance
    even = size.min(1) > EVEN * size.sum(1)
    able[able] = apart & differ & even
    return able
