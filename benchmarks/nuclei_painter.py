"""A painter of stained nuclei, planes and volumes: nothing but shape and brightness tells them apart.

Nuclei are ellipsoids, drawn singly and in clumps, of one brightness or of many, smooth or with chromatin;
there are specks, nuclei out of focus that nobody would outline, haze and an uneven ground.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree


def paint_nuclei(
    seed: int, shape: tuple[int, int, int], spacing: float = 1.0
) -> tuple[NDArray[np.integer], NDArray[np.int32], float]:
    """Counts and labels (z, y, x), and the typical diameter in pixels of the plane.

    Parameters
    ----------
    seed
        Of everything that is drawn at random.
    shape
        Planes, rows, columns.
    spacing
        Distance between planes, pixels of the plane.
    """
    rng = np.random.default_rng([seed, 303])
    volume = shape[0] > 1
    diameter = float(np.exp(rng.uniform(*np.log((9, 18) if volume else (8, 45)))))
    size = np.array([shape[0] * spacing if volume else 1.0, *shape[1:]])  # pixels of the plane
    bare = np.array([1.0 if volume else 0.0, 1, 1])
    centres = _clumps(size, bare, diameter, rng)
    spread = rng.uniform(0.08, 0.3)
    axes = diameter / 2 * np.exp(rng.normal(0, spread, (len(centres), 1)))
    axes = axes * np.exp(rng.uniform(0.0, 0.3) * rng.normal(0, 1, (len(centres), 3)))  # semi-axes
    turns = np.linalg.qr(rng.normal(size=(len(centres), 3, 3)))[0]
    if not volume:
        turns = _turns_in_plane(len(centres), rng)
    labels, depth, both = _draw(centres, axes, turns, shape, spacing)
    level = np.exp(rng.normal(0, rng.choice([0.1, 0.25, 0.5]), labels.max() + 1))
    light = _bodies(labels, depth, level, diameter, spacing, rng)
    if rng.random() < 0.5:  # seen through each other: brighter where they overlap
        light += rng.uniform(0.2, 1) * both * np.median(level)
    light = _blur(light, rng.uniform(0.02, 0.09) * diameter, spacing)
    light += rng.choice([0, 0.03, 0.1]) * _blur(light, diameter, spacing)
    light += _ghosts(shape, diameter, spacing, rng) + rng.uniform(0, 0.1) * _tilt(shape, rng)
    return _camera(light, rng), labels, diameter


def _clumps(
    size: NDArray[np.float64], bare: NDArray[np.float64], diameter: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Centres (n, 3), single or in clumps, pushed apart until neighbours just touch, more or less."""
    room = np.prod(np.where(bare > 0, size / diameter, 1))
    n = int(np.clip(rng.uniform(0.05, 0.9) * room, 3, 1500))
    single = rng.uniform(0, 1, (n, 3)) * size
    family = single[rng.integers(0, max(1, n // int(rng.integers(2, 8))), n)]
    beside = family + rng.normal(0, 0.8 * diameter, (n, 3))
    centres = np.where(rng.random((n, 1)) < rng.uniform(0, 1), beside, single) * bare
    nearest = rng.uniform(0.75, 1.0) * diameter
    for _ in range(40):
        pairs = cKDTree(centres).query_pairs(nearest, output_type="ndarray")
        if not len(pairs):
            break
        between = centres[pairs[:, 0]] - centres[pairs[:, 1]] + rng.normal(0, 1e-3, (len(pairs), 3)) * bare
        length = np.linalg.norm(between, axis=1, keepdims=True)
        push = 0.3 * (nearest - length) * between / np.maximum(length, 1e-6)
        np.add.at(centres, pairs[:, 0], push)
        np.add.at(centres, pairs[:, 1], -push)
    return centres


def _turns_in_plane(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi, n)
    if rng.random() < 0.3:  # aligned, as in a tissue
        angle = rng.normal(angle[0], 0.3, n)
    turns = np.tile(np.eye(3), (n, 1, 1))
    turns[:, 1, 1] = turns[:, 2, 2] = np.cos(angle)
    turns[:, 1, 2] = np.sin(angle)
    turns[:, 2, 1] = -np.sin(angle)
    return turns


def _draw(
    centres: NDArray[np.float64],
    axes: NDArray[np.float64],
    turns: NDArray[np.float64],
    shape: tuple[int, int, int],
    spacing: float,
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Labels, how far out in its nucleus each pixel lies (0 to 1), and where two overlap."""
    labels = np.zeros(shape, np.int32)
    depth = np.full(shape, np.inf, np.float32)
    both = np.zeros(shape, np.float32)
    scale = np.array([spacing, 1.0, 1.0])
    for centre, axis, turn in zip(centres, axes, turns, strict=True):
        reach = axis.max() + 1
        low = np.maximum(np.floor((centre - reach) / scale), 0).astype(int)
        high = np.minimum(np.ceil((centre + reach) / scale) + 1, shape).astype(int)
        if (high <= low).any():
            continue
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.mgrid[window], axis=-1) * scale - centre  # (z, y, x, 3)
        out = np.sqrt((((grid @ turn.T) / axis) ** 2).sum(-1))
        both[window] += (out < 1) & (labels[window] > 0)
        mine = (out < 1) & (out < depth[window])
        depth[window][mine] = out[mine]
        labels[window][mine] = labels.max() + 1
    # what is left of hidden ones is none
    numbers = np.bincount(labels.ravel())
    keep = numbers > 0.25 * np.median(numbers[1:]) if len(numbers) > 1 else numbers > 0
    keep[0] = False
    renamed = np.cumsum(keep) * keep
    return renamed[labels].astype(np.int32), depth, both


def _bodies(
    labels: NDArray[np.int32],
    depth: NDArray[np.float32],
    level: NDArray[np.float64],
    diameter: float,
    spacing: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Light of the nuclei: domed or flat, with chromatin."""
    out = np.where(labels > 0, depth, 1)
    body = (1 - out**2 * rng.uniform(0, 0.95)) ** 0.5
    texture = _blur(rng.normal(size=labels.shape), rng.uniform(0.05, 0.15) * diameter, spacing)
    body = body * np.exp(rng.choice([0.0, 0.1, 0.3]) * texture / texture.std())
    return np.where(labels > 0, body * level[labels], 0).astype(np.float32)


def _ghosts(
    shape: tuple[int, int, int], diameter: float, spacing: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Specks, and nuclei far out of focus."""
    light = np.zeros(shape, np.float32)
    for size, bright in ((rng.uniform(0.03, 0.1), 1.0), (rng.uniform(0.3, 0.45), 0.3)):
        points = np.zeros(shape, np.float32)
        for _ in range(rng.poisson(rng.choice([0, 3, 12]))):
            place = tuple(rng.integers(0, n) for n in shape)
            points[place] += rng.uniform(0.1, 1)
        if points.any():
            blurred = _blur(points, size * diameter, spacing)
            light += bright * blurred / blurred.max()
    return light


def _tilt(shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    return 1 + np.cos(angle) * y + np.sin(angle) * x


def _blur(image: NDArray, sigma: float, spacing: float) -> NDArray[np.float32]:
    along = sigma / spacing if image.shape[0] > 1 else 0
    return ndi.gaussian_filter(np.asarray(image, np.float32), (along, sigma, sigma))


def _camera(light: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.integer]:
    """Photons, then 8 or 16 bit; some images were smoothed or stretched before they were stored."""
    photons = float(np.exp(rng.uniform(np.log(20), np.log(2000))))
    top = max(float(np.percentile(light, 99.5)), 1e-6)
    counts = rng.poisson(np.maximum(light, 0) / top * photons) + rng.normal(0, 1, light.shape)
    if rng.random() < 0.3:
        counts = ndi.gaussian_filter(counts, (0, 0.8, 0.8))
    share = np.clip(counts / photons, 0, None) ** rng.choice([0.7, 1, 1, 1.4])
    if rng.random() < 0.6:
        return np.clip(np.round(share * rng.uniform(40, 200) + rng.uniform(0, 15)), 0, 255).astype(np.uint8)
    return np.clip(np.round(share * rng.uniform(500, 20000) + 100), 0, 65535).astype(np.uint16)
