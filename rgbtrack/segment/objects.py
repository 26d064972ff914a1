"""Objects that are cells, and those that are not, with the reason."""

from functools import partial

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image, wide_grid
from rgbtrack.segment.joining import typical_size
from rgbtrack.segment.network import Array, network
from rgbtrack.segment.outlines import Labels
from rgbtrack.segment.regions import (
    BANDS,
    CHANNELS,
    STRENGTH,
    N,
    ellipsoid,
    find_seams,
    grid_sums,
    image_sums,
    outline_mean,
)
from rgbtrack.segment.working import Working
from rgbtrack.threads import sum_bands

FEATURES = (
    "fill of the ellipse",
    "elongation",
    "size",
    "strength",
    "strength over the rim",
    "strength over the neighbours",
    "share of the outline that touches others",
    "gradient on the seams",
    "light over that around",
    "inner radius",
    "cut by the image",
    "gradient inside",
    "strength of the rim",
    "gradient on the outline",
)
AMONG = (
    "size",
    "strength",
    "strength over the rim",
    "gradient on the outline",
    "light over that around",
    "fill of the ellipse",
)
"""Features in which an object is also compared with the sure cells of its image."""
AMONG_FEATURES = (
    "log odds alone",
    *(f"{name} over that of cells" for name in AMONG),
    "spread of strength of cells",
)
ALONE = 1 / 3
"""Weight of the judgement alone against that among others: a few cells say little about each other."""
WIDE = 0.8
"""Of a diameter: standard deviation of the surroundings whose light a cell is compared with."""
DEBRIS = "debris: too small"
HAZE = "haze: no edge to its surroundings"
GAP = "gap: darker than the cells around it"
UNCELL = "not like a cell in size, shape and light"


def object_features(
    labels: Labels, n: int, sums: Array, peak: Array, gradient: Image, working: Working
) -> Array:
    """What tells whether an object is a cell, shape (n, 14); see `FEATURES`."""
    volume = labels.shape[0] > 1
    size = np.maximum(sums[:, N], 1)
    n_colours = len(working.units)
    fill, long, short = ellipsoid(sums, volume, working.spacing)
    width = max(1, round(0.15 * working.diameter))
    rim, ring = _rims(labels, n, working.strength, width)
    seams = find_seams(labels, n, gradient, working.strength, working.strength)
    strength = sums[:, STRENGTH] / size
    touch, beside, steep = np.zeros(n + 1), np.zeros(n + 1), np.zeros(n + 1)
    for one, other in ((seams.first, seams.second), (seams.second, seams.first)):
        touch += np.bincount(one, seams.sums[:, 0], n + 1)
        beside += np.bincount(one, seams.sums[:, 0] * strength[other], n + 1)
        steep += np.bincount(one, seams.sums[:, 1], n + 1)
    neighbours = beside / np.maximum(touch, 1)
    own_light = sums[:, CHANNELS + n_colours :] / size[:, None]
    own_units = sums[:, CHANNELS : CHANNELS + n_colours] / size[:, None]
    ratio = np.full(n + 1, -4.0)

    planes = working.light.reshape(-1, *labels.shape[1:])
    grids, factor = wide_grid(planes, WIDE * working.diameter, 0)
    light_around = (
        grid_sums(labels, n, grids.reshape(n_colours, len(labels), *grids.shape[1:]), factor).T / size
    )
    for c, around in enumerate(light_around):
        lit = own_units[:, c] > 2
        value = np.log(np.maximum(own_light[lit, c], 1e-3) / np.maximum(around[lit], 1e-3))
        ratio[lit] = np.maximum(ratio[lit], value)
    cut = np.zeros(n + 1)
    cut[at_edge(labels)] = 1
    inside = image_sums(labels, n, gradient[None])[:, 0] / size
    features: Array = np.stack(
        [
            fill,
            np.log(long / short),
            np.log(size / typical_size(working.diameter, working.spacing, volume)),
            np.log1p(np.maximum(strength, 0)),
            np.where(ring > 0, strength - rim, strength),
            np.where(touch > 0, strength - neighbours, 5.0),
            touch / np.maximum(touch + ring / width, 1),
            np.log1p(steep / np.maximum(touch, 1) * (working.diameter / 10)),
            ratio,
            np.log1p(2 * peak / working.diameter),
            cut,
            np.log1p(inside * (working.diameter / 10)),
            np.log1p(np.maximum(rim, 0)),
            np.log1p(outline_mean(labels, n, gradient) * (working.diameter / 10)),
        ],
        axis=1,
    )
    return features[1:]


def cell_probability(features: Array, kind: str, cells: Array | None = None) -> Array:
    """Probability that objects are cells, shape (n,): judged alone, then among those that look like cells.

    A dim speck is debris beside bright cells and a cell among dim ones.

    Parameters
    ----------
    features
        From `object_features`, of all objects of an image.
    kind
        Of network: ``objects`` or ``volume_objects``.
    cells
        What cells of the image are like, see `like_cells`; None: as these objects tell.
    """
    if not len(features):
        return np.zeros(0)
    alone = network(kind)(features)
    among = network(f"{kind}_among")(features_among(features, alone, cells))
    both = ALONE * _log_odds(alone) + (1 - ALONE) * _log_odds(among)
    probability: Array = 1 / (1 + np.exp(-both))
    return probability


def features_among(features: Array, probability: Array, cells: Array | None = None) -> Array:
    """Features (n, 14) with how each object differs from those that are probably cells, shape (n, 22)."""
    low, middle, high = like_cells(features, probability) if cells is None else cells
    strength = AMONG.index("strength")
    spread = np.full(len(features), high[strength] - low[strength])
    chosen = features[:, [FEATURES.index(name) for name in AMONG]]
    among: Array = np.column_stack([features, _log_odds(probability), chosen - middle, spread])
    return among


def like_cells(features: Array, probability: Array) -> Array:
    """Low, middle and high value of the features `AMONG` of objects that are probably cells, shape (3, 6)."""
    chosen = features[:, [FEATURES.index(name) for name in AMONG]]
    # objects that are surely none still count where there is nothing else
    return _weighted_quantiles(chosen, np.maximum(probability, 1e-3), (0.1, 0.5, 0.9))


def _log_odds(probability: Array) -> Array:
    certain = np.clip(probability, 1e-5, 1 - 1e-5)
    odds: Array = np.log(certain / (1 - certain))
    return odds


def _weighted_quantiles(values: Array, weight: Array, shares: tuple[float, ...]) -> Array:
    """Quantiles of each column of (n, f), of rows with a weight; shape (shares, f)."""
    order = np.argsort(values, axis=0, kind="stable")
    total = np.cumsum(weight[order], axis=0)
    rank = [(total < share * total[-1]).sum(0) for share in shares]
    quantiles: Array = np.take_along_axis(values, np.take_along_axis(order, np.array(rank), 0), 0)
    return quantiles


def reason(features: Array, min_area: float) -> NDArray[np.str_]:
    """Why objects of these features, judged to be no cells, are none; shape (n,)."""
    column = {name: features[:, k] for k, name in enumerate(FEATURES)}
    least = np.where(column["cut by the image"] > 0, 0.25, 1.0) * min_area
    why = np.full(len(features), UNCELL, dtype=object)
    surrounded = column["share of the outline that touches others"] > 0.3
    dark = surrounded & (column["strength over the neighbours"] < 0)
    soft = (column["strength of the rim"] > 0) & (
        np.expm1(column["strength of the rim"]) > 0.6 * np.expm1(column["strength"])
    )
    why[soft] = HAZE
    why[dark] = GAP
    why[np.exp(column["size"]) < least] = DEBRIS
    return why


def at_edge(labels: Labels) -> NDArray[np.int32]:
    """Labels that touch the edge of the plane."""
    sides = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    return np.unique(np.concatenate([side.ravel() for side in sides]))


def _rims(labels: Labels, n: int, strength: Image, width: int) -> tuple[Array, Array]:
    """Mean strength, and pixels, of the background within a width of each object, shape (n + 1,)."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    kind = np.uint16 if n < 65_536 else np.float32  # what OpenCV dilates; small numbers faster
    sums = np.zeros((n + 1, 2))
    for plane, light in zip(labels, strength, strict=True):
        grown = cv2.dilate(plane.astype(kind), disc).reshape(plane.shape)
        sums += sum_bands(partial(_rim_sums, plane, grown, light), len(plane), BANDS, sums.shape)
    return sums[:, 1] / np.maximum(sums[:, 0], 1), sums[:, 0]


@numba.njit(cache=True, nogil=True)
def _rim_sums(labels, grown, light, start, stop, sums):  # type: ignore[no-untyped-def]
    for y in range(start, stop):
        for x in range(labels.shape[1]):
            if labels[y, x] == 0 and grown[y, x] > 0:
                total = sums[int(grown[y, x])]
                total[0] += 1
                total[1] += light[y, x]
