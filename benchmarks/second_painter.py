"""A second painter of RGB-marked cells: figures should not hang on the first, with which it shares no code.

Cells press on each other as growing discs with wavy outlines; bodies are domes, flat, or dim in the middle;
founders, detectors and optics follow the literature (see `paint`). Clones sit in patches.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

PIXEL_UM = 0.65
DIAMETER_UM = 14.0
BLEED = {
    "confocal": np.array([[1, 0.01, 0], [0.05, 1, 0.01], [0, 0.02, 1]]),
    "widefield": np.array([[1, 0.05, 0], [0.20, 1, 0.03], [0.01, 0.05, 1]]),
}


@dataclass(frozen=True)
class Kind:
    """Kind of image: share of the field covered, photons at the peak, optics, patchiness, how cells press."""

    packing: float
    photons: float
    optics: str
    patchiness: float
    growth: float


KINDS = {
    "sparse": Kind(0.25, 2500, "widefield", 0.6, 1.0),
    "typical": Kind(0.65, 1000, "widefield", 0.6, 1.06),
    "dim": Kind(0.80, 100, "confocal", 0.4, 1.15),
    "confluent": Kind(0.95, 1000, "widefield", 0.5, 1.6),
}


def paint(
    kind: str, seed: int, size: int = 512
) -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.int64]]:
    """Counts (c, y, x), labels (y, x) and the clone of each label (0: unmarked; index 0 is background)."""
    look = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind), 77])
    diameter = DIAMETER_UM / PIXEL_UM
    centres = _spread_out(look, size, diameter, rng)
    labels, depth, edge = _draw(centres, look, size, diameter, rng)
    founders = draw_founders(int(rng.integers(8, 31)), rng)
    share = rng.lognormal(0, 1, len(founders))
    share /= share.sum()
    places = rng.uniform(0, size, (4 * len(founders), 2))
    owner = rng.choice(len(founders), len(places), p=share)
    near = owner[cKDTree(places).query(centres)[1]]
    n = len(centres)
    clone = np.where(rng.random(n) < look.patchiness, near, rng.choice(len(founders), n, p=share)) + 1
    clone[rng.random(n) < 0.05] = 0
    expression = np.vstack([np.zeros(3), founders])[clone]
    expression *= np.exp(rng.normal(0, 0.4, (n, 1)) + rng.normal(0, 0.12, (n, 3)))
    light = np.moveaxis(np.vstack([np.zeros(3), expression])[labels], -1, 0) * _body(
        labels, depth / edge, rng
    )
    counts = _camera(0.8 * look.photons * light, look, n, rng)
    return counts, labels, np.concatenate([[0], clone])


def draw_founders(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Expression of n founders that carry half of the vectors each, Poisson copies, shape (n, 3)."""
    sd, found = rng.uniform(0.4, 0.8), []
    while len(found) < n:
        copies = rng.poisson(-np.log(0.5), 3)
        if copies.any():
            found.append([rng.lognormal(0, sd, k).sum() for k in copies])
    return np.array(found)


def _spread_out(look: Kind, size: int, diameter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    n = look.packing * size**2 / (np.pi / 4 * diameter**2 * 1.04)
    margin = 0.75 * diameter
    n *= (1 + 2 * margin / size) ** 2
    centres = rng.uniform(-margin, size + margin, (int(n), 2))
    for _ in range(60):
        pairs = cKDTree(centres).query_pairs(0.95 * diameter, output_type="ndarray")
        if not len(pairs):
            break
        between = centres[pairs[:, 0]] - centres[pairs[:, 1]]
        length = np.linalg.norm(between, axis=1, keepdims=True) + 1e-6
        push = (0.95 * diameter - length) * 0.25 / length * between
        np.add.at(centres, pairs[:, 0], push)
        np.add.at(centres, pairs[:, 1], -push)
    return centres


def _draw(
    centres: NDArray[np.float64], look: Kind, size: int, diameter: float, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.float32], float]:
    radius = diameter / 2 * np.exp(rng.normal(-0.02, 0.2, len(centres)))
    labels = np.zeros((size, size), np.int32)
    depth = np.full((size, size), np.inf, np.float32)
    for i, (cy, cx) in enumerate(centres):
        reach = radius[i] * look.growth * 1.35
        y0, y1 = max(0, int(cy - reach)), min(size, int(cy + reach + 1))
        x0, x1 = max(0, int(cx - reach)), min(size, int(cx + reach + 1))
        amplitude, phase = rng.normal(0, 0.1, 4), rng.uniform(0, 2 * np.pi, 4)
        if y1 <= y0 or x1 <= x0:
            continue
        y, x = np.mgrid[y0:y1, x0:x1]
        angle = np.arctan2(y - cy, x - cx)
        waves = [amplitude[k] * np.cos((k + 2) * angle + phase[k]) / (1 + k / 2) for k in range(4)]
        out = np.hypot(y - cy, x - cx) / (radius[i] * (1 + sum(waves)))
        window = depth[y0:y1, x0:x1]
        mine = (out < look.growth) & (out < window)
        window[mine] = out[mine]
        labels[y0:y1, x0:x1][mine] = i + 1
    edge = 1.0
    if look.growth > 1:
        covered = np.where(np.isfinite(depth), depth, 9)
        edge = float(np.clip(np.quantile(covered, look.packing), 0.7, look.growth))
        labels[depth > edge] = 0
    for i, window in enumerate(ndi.find_objects(labels), 1):
        if window is None:
            continue
        pieces, _ = ndi.label(labels[window] == i)
        sizes = np.bincount(pieces.ravel())[1:]
        drop = (pieces > 0) & ((pieces != sizes.argmax() + 1) | (sizes.max() < 15))
        labels[window][drop] = 0
    return labels, depth, edge


def _body(
    labels: NDArray[np.int32], depth: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float64]:
    form = rng.integers(3)
    depth = np.where(labels > 0, depth, 1)
    if form == 0:
        body = np.sqrt(np.clip(1 - (0.9 * depth) ** 2, 0.05, 1))
    elif form == 1:
        body = np.full(depth.shape, 0.8)
    else:
        body = 0.55 + 0.45 * depth**2
    texture = ndi.gaussian_filter(rng.normal(size=labels.shape), 1.4 / PIXEL_UM)
    return np.where(labels > 0, body * np.exp(0.15 * texture / texture.std()), 0)


def _camera(photons: NDArray[np.float64], look: Kind, n: int, rng: np.random.Generator) -> NDArray[np.uint16]:
    size = photons.shape[-1]
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    background = np.array([1, 2, 3]) * rng.uniform(1, 3)
    planes = []
    for c, plane in enumerate(np.einsum("dc,cyx->dyx", BLEED[look.optics], photons).astype(np.float32)):
        seen = cv2.GaussianBlur(plane, (0, 0), rng.uniform(0.6, 1.2))
        if look.optics == "widefield":
            seen = 0.93 * seen + 0.07 * cv2.GaussianBlur(seen, (0, 0), 12 / PIXEL_UM)
        seen = ndi.shift(seen, rng.uniform(-1, 1, 2), order=1, mode="nearest")  # chromatic shift
        angle = rng.uniform(0, 2 * np.pi)
        planes.append(seen + background[c] * (1 + 0.2 * (np.cos(angle) * y + np.sin(angle) * x)))
    light = np.stack(planes)
    for _ in range(rng.poisson(0.015 * n)):
        speck = np.zeros((size, size), np.float32)
        speck[tuple(rng.integers(0, size, 2))] = 1
        speck = cv2.GaussianBlur(speck, (0, 0), rng.uniform(1, 2.2))
        colour = np.array([1, 2, 3]) / 3 * rng.uniform(0.7, 1.3, 3)
        light += look.photons * rng.uniform(0.5, 2) * colour[:, None, None] * speck / speck.max()
    light *= 1 - rng.uniform(0.1, 0.3) * (y**2 + x**2) / 2
    if look.optics == "widefield":
        counts = 100 + 2 * (rng.poisson(light) + rng.normal(0, 1.5, light.shape))
        top = 65535
    else:  # a photomultiplier with an excess noise of 1.3
        counts = 40 + 10 * (rng.poisson(light / 1.69) * 1.69 + rng.normal(0, 0.5, light.shape))
        top = 4095
    return np.clip(np.round(counts), 0, top).astype(np.uint16)
