"""Cells: where they lie, their outlines, whose descendants they are and how bright."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from rgbtrack.simulate.params import SimulateParams

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bodies:
    """Form of n cells: semi-axes in um and the wobble of their outline."""

    radius: Array  # (n, 3): z, long, short
    angle: Array  # (n,)
    wobble: Array  # (n, 3, 2): amplitude and phase of three harmonics


def place_cells(params: SimulateParams, rng: np.random.Generator) -> Array:
    """Centres (n, 3) in um: z, y, x; crowded fields are evened out: cells touch, they do not overlap."""
    side = params.size_px * params.pixel_size_um
    depth = params.n_slices * params.z_step_um if params.n_slices > 1 else 0.0
    size = np.array([depth, side, side])
    radius = params.diameter_um / 2
    n = params.n_cells
    if n is None:
        one = np.pi * radius**2 if depth == 0 else 4 / 3 * np.pi * radius**3
        # what a field cut out of a larger one holds: cells reach over its edge
        field = side * side * (depth or 1.0)
        n = round(params.packing * field / one)
    centres = rng.uniform(0, 1, (n, 3)) * size
    if n < 2:
        return np.where(size > 0, size / 2, 0.0)[None] if n else centres
    # centres push each other apart where they are nearer than a diameter
    for _ in range(40):
        pairs = cKDTree(centres).query_pairs(params.diameter_um * 1.05, output_type="ndarray")
        if not len(pairs):
            break
        centres = np.clip(centres + _pushes(centres, pairs, 0.25, params.diameter_um * 1.05), 0, size)
    return centres


def push_apart(centres: Array, least: float) -> Array:
    """Centres (n, 3) pushed off each other where they are nearer than ``least`` um."""
    for _ in range(3):
        pairs = cKDTree(centres).query_pairs(least, output_type="ndarray")
        if not len(pairs):
            break
        centres = centres + _pushes(centres, pairs, 0.5, least)
    return centres


def _pushes(centres: Array, pairs: NDArray[np.int64], share: float, least: float) -> Array:
    """How far each centre is pushed by those that are too near."""
    between = centres[pairs[:, 0]] - centres[pairs[:, 1]]
    length = np.maximum(np.linalg.norm(between, axis=1, keepdims=True), 1e-6)
    push = share * (least - length) * between / length
    n = len(centres)
    return np.column_stack(
        [
            np.bincount(pairs[:, 0], push[:, axis], n) - np.bincount(pairs[:, 1], push[:, axis], n)
            for axis in range(3)
        ]
    )


@dataclass(frozen=True, eq=False)
class Births:
    """Cells after some divided: the mothers are gone, their daughters come last, sisters side by side."""

    centres: Array
    bodies: Bodies
    expression: Array
    origin: NDArray[np.int64]  # (n,): the cell that each was, or that bore it
    new: NDArray[np.bool_]  # (n,)


def divide_cells(
    centres: Array, bodies: Bodies, expression: Array, params: SimulateParams, rng: np.random.Generator
) -> Births:
    """Let cells divide by chance: daughters of half the volume lie side by side along the mother's long axis.

    Their colour is their mother's, but for a third of the spread between cells of a clone.
    """
    divides = rng.random(len(centres)) < params.division_rate
    mothers = np.repeat(np.flatnonzero(divides), 2)
    origin = np.concatenate([np.flatnonzero(~divides), mothers])
    new = np.arange(len(origin)) >= (~divides).sum()
    k = len(mothers)
    sign = np.where(np.arange(k) % 2, -1.0, 1.0)
    angle = bodies.angle[mothers]
    away = np.column_stack([np.zeros(k), np.cos(angle), np.sin(angle)]) * sign[:, None]
    placed = centres[origin].copy()
    placed[new] += 0.4 * params.diameter_um * away
    radius = bodies.radius[origin].copy()
    radius[new] *= 2 ** (-1 / 3)
    light = expression[origin].copy()
    light[new] *= np.exp(
        rng.normal(0, params.brightness_sd / 3, (k, 1))
        + rng.normal(0, params.colour_sd / 3, (k, light.shape[1]))
    )
    return Births(placed, Bodies(radius, bodies.angle[origin], bodies.wobble[origin]), light, origin, new)


def shape_cells(n: int, params: SimulateParams, rng: np.random.Generator) -> Bodies:
    """Draw the form of each cell: an ellipsoid with a wavy outline."""
    radius = params.diameter_um / 2 * np.exp(rng.normal(0, params.diameter_cv, n))
    stretch = np.exp(np.abs(rng.normal(0, 0.15, n)))
    radii = np.stack([0.8 * radius, radius * stretch, radius / stretch], axis=1)
    amplitude = rng.normal(0, 1, (n, 3)) * np.array([0.05, 0.04, 0.03])
    wobble = np.stack([amplitude, rng.uniform(0, 2 * np.pi, (n, 3))], axis=-1)
    return Bodies(radii, rng.uniform(0, np.pi, n), wobble)


def draw_labels(
    centres: Array, bodies: Bodies, params: SimulateParams
) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """Labels (z, y, x), and how far out in its cell each pixel lies: 0 at the centre, 1 on the outline.

    Where cells press on each other each pixel goes to the cell it lies deepest in.
    """
    shape = (params.n_slices, params.size_px, params.size_px)
    unit = np.array([params.z_step_um, params.pixel_size_um, params.pixel_size_um])
    labels = np.zeros(shape, np.uint32)
    depth = np.full(shape, np.inf, np.float32)
    reach = 1.6 if params.n_cells is None else 1.0
    for i, centre in enumerate(centres):
        extent = np.array([bodies.radius[i, 0], *[bodies.radius[i, 1] * 1.15] * 2]) * reach
        low = np.maximum(np.floor((centre - extent) / unit).astype(int), 0)
        high = np.minimum(np.ceil((centre + extent) / unit).astype(int) + 1, shape)
        if (high <= low).any():
            continue
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        z, y, x = (np.arange(a, b) * u - c for a, b, u, c in zip(low, high, unit, centre, strict=True))
        out = _outwardness(z[:, None, None], y[:, None], x[None, :], bodies, i)
        nearer = out < depth[window]
        depth[window] = np.where(nearer, out, depth[window])
        labels[window] = np.where(nearer, i + 1, labels[window])
    edge = 1.0
    if params.n_cells is None and np.isfinite(depth).any():
        # cells swell or shrink together until they cover the share asked for
        edge = float(np.clip(np.quantile(depth, params.packing), 0.6, reach))
    labels[~(depth < edge)] = 0
    labels = _one_piece(labels)
    return labels, np.where(labels > 0, depth / edge, 1).astype(np.float32)


def _outwardness(z: Array, y: Array, x: Array, bodies: Bodies, i: int) -> Any:
    c, s = np.cos(bodies.angle[i]), np.sin(bodies.angle[i])
    long, short = c * y + s * x, c * x - s * y
    flat = np.hypot(long / bodies.radius[i, 1], short / bodies.radius[i, 2])
    theta = np.arctan2(short, long)
    wave = 1 + sum(a * np.cos((k + 2) * theta + phase) for k, (a, phase) in enumerate(bodies.wobble[i]))
    return np.hypot(flat / wave, z / bodies.radius[i, 0])


def _one_piece(labels: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Keep the largest piece of each cell; cells of a few pixels are gone."""
    for i, window in enumerate(ndi.find_objects(labels), start=1):
        if window is None:
            continue
        pieces, n = ndi.label(labels[window] == i)
        sizes = np.bincount(pieces.ravel())[1:]
        drop = (pieces > 0) if sizes.max() < 12 else (pieces > 0) & (pieces != sizes.argmax() + 1)
        if n > 1 or sizes.max() < 12:
            labels[window][drop] = 0
    return labels


def draw_clones(
    centres: Array, shares: Array, params: SimulateParams, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Clone of each cell, from 1; 0 for an unmarked cell.

    Each clone has a smooth random field over the image; a cell's clone follows its share and its field.
    """
    n, k = len(centres), len(shares)
    waves = rng.normal(0, 2 * np.pi / (8 * params.diameter_um), (k, 6, 3))
    phase = rng.uniform(0, 2 * np.pi, (k, 6))
    field = np.cos(np.einsum("nd,kwd->nkw", centres, waves) + phase).sum(-1) / np.sqrt(3)  # (n, k), sd 1
    odds = np.log(np.maximum(shares, 1e-12)) + params.patchiness * field + rng.gumbel(size=(n, k))
    clone = odds.argmax(1) + 1 if n else np.zeros(0, np.int64)
    return np.where(rng.random(n) < params.unmarked, 0, clone)


def draw_expression(
    clone: NDArray[np.int64], founders: pd.DataFrame, params: SimulateParams, rng: np.random.Generator
) -> Array:
    """Expression of each marker in each cell, shape (n, m), in units of a typical founder's brightest."""
    colours = np.vstack([np.zeros(len(params.markers)), founders[list(params.markers)].to_numpy(float)])
    n, m = len(clone), len(params.markers)
    shared = rng.normal(0, params.brightness_sd, (n, 1))
    own = rng.normal(0, params.colour_sd, (n, m))
    expression = colours[clone] * np.exp(shared + own)
    lost = (clone == 1) & (rng.random(n) < params.silenced)
    expression[lost, int(np.argmax(colours[min(1, len(colours) - 1)]))] = 0
    return expression
