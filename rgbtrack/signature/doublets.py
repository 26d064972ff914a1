"""Two cells taken for one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.signature.colour import Array
from rgbtrack.signature.members import Members
from rgbtrack.signature.params import SignatureParams


def find_doublets(members: Members, counts: Any, n_px: Array, params: SignatureParams) -> NDArray[np.bool_]:
    """Cells whose two halves hold two colours.

    Pixels of a cell are parted by the sign of their colour along the axis of largest colour variance. Noise
    parts them everywhere; two cells taken for one part them in space.
    """
    n, m = len(members.cells), counts.shape[1]
    if n == 0:
        return np.zeros(0, bool)
    y, x = members.place[1].astype(float), members.place[2].astype(float)
    local = _smooth_within(members, counts)  # (p, m)
    total = np.maximum(local, 0).sum(1)
    fraction = np.maximum(local, 0) / np.maximum(total, 1e-9)[:, None]
    weight = total * members.core
    norm = np.maximum(members.total(weight), 1e-9)
    mean = np.stack([members.total(fraction[:, j] * weight) / norm for j in range(m)], 1)
    off = fraction - mean[members.index]
    spread = np.empty((n, m, m))
    for i in range(m):
        for j in range(i, m):
            spread[:, i, j] = spread[:, j, i] = members.total(off[:, i] * off[:, j] * weight) / norm
    axis = np.linalg.eigh(spread)[1][:, :, -1]  # (n, m)
    side = np.einsum("pm,pm->p", off, axis[members.index]) > 0
    halves = []
    for half in (side & members.core, ~side & members.core):
        size = np.maximum(members.total(half.astype(float)), 1)
        colour = np.stack([members.total(fraction[:, j] * half) / size for j in range(m)], 1)
        halves.append((size, colour, members.total(y * half) / size, members.total(x * half) / size))
    (size_a, colour_a, ya, xa), (size_b, colour_b, yb, xb) = halves
    apart = np.hypot(ya - yb, xa - xb) > 0.45 * np.sqrt(n_px / np.pi)
    differ = np.sqrt(((colour_a - colour_b) ** 2).sum(1)) > params.doublet_distance
    even = np.minimum(size_a, size_b) > 0.2 * (size_a + size_b)
    return apart & differ & even & (size_a + size_b >= 2 * params.min_core_px)


def _smooth_within(members: Members, counts: Any) -> Any:
    """Mean over 5 x 5 neighbours of the same mask, per marker, shape (p, m)."""
    z, y, x = members.place
    shape = (int(z.max()) + 1, int(y.max()) + 1, int(x.max()) + 1)
    weight = np.zeros(shape, np.float32)
    weight[members.place] = 1
    share = ndi.uniform_filter(weight, (1, 5, 5), mode="constant")[members.place]
    smooth = np.empty(counts.shape, np.float32)
    for j in range(counts.shape[1]):
        image = np.zeros(shape, np.float32)
        image[members.place] = counts[:, j]
        smooth[:, j] = ndi.uniform_filter(image, (1, 5, 5), mode="constant")[members.place] / share
    return smooth
