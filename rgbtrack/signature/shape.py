"""Size, place and form of cells, from sums of whole numbers."""

from typing import Any

import numpy as np

from rgbtrack.signature.members import Array, Members


def shape_columns(members: Members, pixel_um: float, z_um: float) -> dict[str, Any]:
    """Columns of `tables.CELLS` that tell where a cell is, how large, and of what form.

    The perimeter is Crofton's, from how often lines in four directions cross the outline. Eccentricity and
    `ellipse_fill` come from the second moments of the cell, each pixel a square: an ellipse fills its own to
    1, a cell with dents or arms less.
    """
    from rgbtrack.signature.kernels import CONTACT, OBLIQUE, OUTLINE, STRAIGHT, XX, XY, YY, N, X, Y, Z

    shapes = members.shapes[members.rows].astype(float)
    n = shapes[:, N]
    z, y, x = (shapes[:, axis] / n for axis in (Z, Y, X))
    table: dict[str, Any] = {"z_um": z * z_um, "y_um": y * pixel_um, "x_um": x * pixel_um}
    contact = shapes[:, CONTACT] / np.maximum(shapes[:, OUTLINE], 1)
    if members.labels.shape[0] > 1:
        return table | {"volume_um3": n * pixel_um**2 * z_um, "touches_cell": contact}
    yy = _moment(members, YY, Y, Y) + 1 / 12
    xx = _moment(members, XX, X, X) + 1 / 12
    xy = _moment(members, XY, Y, X)
    middle, half = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
    long, short = middle + half, np.maximum(middle - half, 1 / 12)
    perimeter = np.pi / 4 * (shapes[:, STRAIGHT] + shapes[:, OBLIQUE] / np.sqrt(2))
    return table | {
        "area_um2": n * pixel_um**2,
        "perimeter_um": perimeter * pixel_um,
        "eccentricity": np.sqrt(np.maximum(1 - short / long, 0)),
        "ellipse_fill": n / (4 * np.pi * np.sqrt(long * short)),
        "touches_cell": contact,
    }


def _moment(members: Members, product: int, one: int, other: int) -> Array:
    """Central second moment of each cell, px²: exact up to a whole number near the centre."""
    from rgbtrack.signature.kernels import N

    shapes = members.shapes[members.rows]
    n, a, b = shapes[:, N], shapes[:, one] // shapes[:, N], shapes[:, other] // shapes[:, N]
    about = shapes[:, product] - a * shapes[:, other] - b * shapes[:, one] + n * a * b
    return np.asarray(about / n - (shapes[:, one] - n * a) / n * ((shapes[:, other] - n * b) / n))
