"""Light: from what cells express to what the detectors count."""

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.simulate.params import SimulateParams

Array = NDArray[np.float64]

FWHM_UM = 0.4
Z_FWHM_UM = {"confocal": 2.5, "widefield": 5.0}
HAZE = {"confocal": 0.0, "widefield": 0.06}
HAZE_UM = 12.0


def bleed_through_matrix(params: SimulateParams) -> pd.DataFrame:
    """Share of each protein's light in each detector, rows detectors, columns proteins.

    Markers are taken to be in order of falling wavelength: light leaks mostly into the next longer detector.
    """
    long, short, far = (0.20, 0.05, 0.01) if params.optics == "widefield" else (0.05, 0.01, 0.0)
    m = len(params.markers)
    matrix = np.eye(m)
    for protein in range(m):
        for detector in range(m):
            if detector == protein - 1:
                matrix[detector, protein] = long / (1 if protein == m - 1 else 4)
            elif detector == protein + 1:
                matrix[detector, protein] = short * (1 if protein else 0.6)
            elif detector == protein - 2:
                matrix[detector, protein] = far
    return pd.DataFrame(matrix, index=list(params.markers), columns=list(params.markers))


def photons_of(
    expression: NDArray[np.float32],
    matrix: Array,
    frame: int,
    params: SimulateParams,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Expected photons in each detector, shape (m, z, y, x), from expression of the same shape."""
    m, depth = expression.shape[:2]
    if params.marker_bleaching is not None:
        left = (1 - np.array(params.marker_bleaching, np.float32)) ** frame
        expression = expression * left[:, None, None, None]
    light = np.einsum("dm,mzyx->dzyx", matrix, expression) * params.photons
    light *= (1 - params.bleaching) ** frame
    sigma = FWHM_UM / 2.355 / params.pixel_size_um
    haze = HAZE[params.optics]
    z = np.arange(depth) * params.z_step_um
    background = params.background * np.linspace(1, 3, m)  # the bluest detector sees most
    for d in range(m):
        planes = light[d]
        if depth > 1:
            planes = ndi.gaussian_filter1d(
                planes, Z_FWHM_UM[params.optics] / 2.355 / params.z_step_um, axis=0
            )
        if params.attenuation_um is not None:
            fade = params.attenuation_um * (2 - d / max(1, m - 1))
            planes = planes * np.exp(-z / fade)[:, None, None]
        for k in range(depth):
            plane = _blur(planes[k], sigma)
            if haze:
                plane = (1 - haze) * plane + haze * _blur(planes[k], HAZE_UM / params.pixel_size_um)
            light[d, k] = plane
        light[d] += background[d] * _gradient(params, rng)
    light += _debris(light.shape[1:], m, params, rng) if params.debris else 0
    gains = np.ones(m) if params.gains is None else np.array(params.gains)
    return (light * illumination_of(params) * gains[:, None, None, None]).astype(np.float32)


def detect(
    photons: NDArray[np.float32], params: SimulateParams, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Counts: shot noise, the detector's own noise, its offset and its limit."""
    excess = params.excess_noise**2
    electrons = rng.poisson(photons / excess).astype(np.float32) * excess
    electrons += rng.normal(0, params.read_noise, photons.shape).astype(np.float32)
    counts = np.round(params.offset + params.counts_per_photon * electrons)
    return np.clip(counts, 0, 2**params.bits - 1).astype(np.uint8 if params.bits == 8 else np.uint16)


def _blur(plane: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return cv2.GaussianBlur(np.ascontiguousarray(plane, np.float32), (0, 0), max(sigma, 0.1))


def _gradient(params: SimulateParams, rng: np.random.Generator) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-0.5 : 0.5 : params.size_px * 1j, -0.5 : 0.5 : params.size_px * 1j]
    return 1 + params.gradient * (np.cos(angle) * y + np.sin(angle) * x)


def illumination_of(params: SimulateParams) -> NDArray[np.float64]:
    """Share of the light at each pixel, shape (y, x) for all markers or, with lamps, (m, 1, y, x)."""
    y, x = np.mgrid[-1 : 1 : params.size_px * 1j, -1 : 1 : params.size_px * 1j]
    if params.lamps is not None:
        fields = [1 - v * ((y - at_y) ** 2 + (x - at_x) ** 2) / 2 for v, at_y, at_x in params.lamps]
        return np.stack(fields)[:, None]
    return 1 - params.vignetting * (x**2 + y**2) / 2


def _debris(
    shape: tuple[int, ...], m: int, params: SimulateParams, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Autofluorescent specks, smaller than cells and greyish, shape (m, z, y, x)."""
    light = np.zeros((m, *shape), np.float32)
    field = (params.size_px * params.pixel_size_um) ** 2
    cells = params.packing * field / (np.pi / 4 * params.diameter_um**2)
    for _ in range(rng.poisson(params.debris * cells)):
        z, y, x = (int(rng.integers(n)) for n in shape)
        spot = np.zeros(shape[1:], np.float32)
        spot[y, x] = 1
        sigma = rng.uniform(0.6, 1.4) / params.pixel_size_um
        spot = _blur(spot, sigma)
        colour = np.linspace(1, 3, m) / 3 * rng.uniform(0.6, 1.4, m)
        light[:, z] += params.photons * rng.uniform(0.5, 2) * colour[:, None, None] * (spot / spot.max())
    return light
