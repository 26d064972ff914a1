"""Scene: one simulated image with its truth."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage as ndi

from rgbtrack.simulate.cells import (
    Bodies,
    divide_cells,
    draw_clones,
    draw_expression,
    draw_labels,
    place_cells,
    push_apart,
    shape_cells,
)
from rgbtrack.simulate.founders import simulate_founders
from rgbtrack.simulate.optics import bleed_through_matrix, detect, photons_of
from rgbtrack.simulate.params import SimulateParams, preset_params
from rgbtrack.stack import Stack


@dataclass(frozen=True, eq=False)
class Scene:
    """A simulated image and everything that is true of it.

    Attributes
    ----------
    stack
        As a microscope would record it; channels carry the names of the proteins.
    labels
        True cells, shape (t, z, y, x), uint32, 0 is background. A cell keeps its number from frame to frame.
    cells
        One row per cell and frame: ``frame, cell, clone`` (missing for an unmarked cell), ``z_um, y_um,
        x_um``, and for each protein the expected photons a pixel at the cell's peak; in time series ``track``
        and ``parent``, the mother's track.
    founders
        One row per clone; see `simulate_founders`.
    bleed_through
        Rows detectors, columns proteins.
    """

    stack: Stack
    labels: NDArray[np.uint32]
    cells: pd.DataFrame
    founders: pd.DataFrame
    bleed_through: pd.DataFrame


def simulate_scene(
    preset: str | SimulateParams = "sparse",
    *,
    n_clones: int | None = None,
    seed: int = 0,
    founders: pd.DataFrame | None = None,
    noise_seed: int | None = None,
) -> Scene:
    """Simulate an image of RGB-marked cells.

    Parameters
    ----------
    preset
        Name of a preset or case (`PRESETS`, `CASES`), or settings.
    n_clones
        Number of founders, instead of the preset's.
    seed
        The same seed gives the same scene.
    founders
        Founders to use, from `simulate_founders`: for several images of one experiment.
    noise_seed
        Of the detector's noise alone: the same cells in the same light, seen once more.

    Returns
    -------
    scene
        Image and truth.

    Raises
    ------
    ParamError
        If there is no such preset.

    Examples
    --------
    >>> scene = simulate_scene("sparse", n_clones=5, seed=1)
    >>> scene.stack.channels, scene.stack.pixels.shape
    (('mCherry', 'Venus', 'Cerulean'), (1, 3, 1, 512, 512))
    """
    params = preset_params(preset)
    if n_clones is not None:
        params = params.model_copy(update={"n_clones": n_clones})
    rng = np.random.default_rng(seed)
    noise = rng if noise_seed is None else np.random.default_rng((seed, noise_seed))
    if founders is None:
        founders = simulate_founders(params, rng)
    centres = place_cells(params, rng)
    bodies = shape_cells(len(centres), params, rng)
    clone = draw_clones(centres, founders["share"].to_numpy(), params, rng)
    expression = draw_expression(clone, founders, params, rng)  # (n, m)
    matrix = bleed_through_matrix(params)
    limit = np.array([params.n_slices * params.z_step_um, *[params.size_px * params.pixel_size_um] * 2])
    steps = np.zeros(3)
    number = np.arange(1, len(centres) + 1)  # of each cell that lives
    parent = np.zeros(len(centres), np.int64)  # of each cell that ever lived
    pixels, labels, tables = [], [], []
    for frame in range(params.n_frames):
        if frame:
            # cells keep about two thirds of their step: a persistent walk
            steps = 0.65 * steps + 0.75 * rng.normal(0, params.step_um, centres.shape)
            moved = centres + steps * (limit > params.z_step_um)
            centres = np.clip(moved, 0, limit)
            if params.contact:
                centres = np.clip(push_apart(centres, params.contact * params.diameter_um), 0, limit)
            if params.division_rate:
                born = divide_cells(centres, bodies, expression, params, rng)
                centres, bodies, expression = born.centres, born.bodies, born.expression
                clone, steps = clone[born.origin], np.where(born.new[:, None], 0.0, steps[born.origin])
                parent = np.append(parent, number[born.origin[born.new]])
                number = number[born.origin]
                number[born.new] = len(parent) - born.new.sum() + 1 + np.arange(born.new.sum())
        mask, depth = draw_labels(centres, bodies, params)
        image = _paint(mask, depth, expression, bodies, params, rng)
        channels = detect(photons_of(image, matrix.to_numpy(), frame, params, rng), params, noise)
        if params.nucleus:
            channels = np.concatenate([channels, detect(_nuclei(mask, depth, params), params, noise)[None]])
        pixels.append(channels)
        tables.append(_truth(frame, mask, clone, centres, expression, number, parent, params))
        labels.append(np.append(0, number).astype(np.uint32)[mask] if params.division_rate else mask)
    stack = Stack(
        np.stack(pixels),
        (*params.markers, *(("DAPI",) if params.nucleus else ())),
        pixel_size_um=params.pixel_size_um,
        z_step_um=params.z_step_um if params.n_slices > 1 else None,
        frame_interval_h=params.frame_interval_h if params.n_frames > 1 else None,
        source=f"simulated image (seed {seed})",
    )
    return Scene(stack, np.stack(labels), pd.concat(tables, ignore_index=True), founders, matrix)


def _paint(
    labels: NDArray[np.uint32],
    depth: NDArray[np.float32],
    expression: NDArray[np.float64],
    bodies: Bodies,
    params: SimulateParams,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Expression (m, z, y, x): cells are thickest in the middle and a little uneven inside."""
    profile = np.sqrt(np.maximum(1 - 0.75 * depth**2, 0)).astype(np.float32)
    grain = rng.normal(0, 1, labels.shape).astype(np.float32)
    sigma = 1.5 / params.pixel_size_um
    grain = ndi.gaussian_filter(grain, (0, sigma, sigma)) * (2 * sigma * np.sqrt(np.pi))
    profile *= np.exp(0.12 * grain)
    table = np.vstack([np.zeros(expression.shape[1]), expression]).astype(np.float32)
    return np.moveaxis(table[labels], -1, 0) * profile


def _nuclei(
    labels: NDArray[np.uint32], depth: NDArray[np.float32], params: SimulateParams
) -> NDArray[np.float32]:
    """Expected photons (z, y, x) of a nuclear stain: every cell, marked or not, has one."""
    inside = (labels > 0) & (depth < 0.55)
    light = ndi.gaussian_filter(
        inside.astype(np.float32), (0, 0.6 / params.pixel_size_um, 0.6 / params.pixel_size_um)
    )
    return params.background + 0.5 * params.photons * light


def _truth(
    frame: int,
    labels: NDArray[np.uint32],
    clone: NDArray[np.int64],
    centres: NDArray[np.float64],
    expression: NDArray[np.float64],
    number: NDArray[np.int64],
    parent: NDArray[np.int64],
    params: SimulateParams,
) -> pd.DataFrame:
    """Rows of the cells that are in this frame."""
    seen = np.unique(labels)
    seen = seen[seen > 0].astype(np.int64)
    table = pd.DataFrame({"frame": frame, "cell": number[seen - 1]})
    table["clone"] = pd.array(clone[seen - 1], dtype="Int64")
    table.loc[table["clone"] == 0, "clone"] = pd.NA
    for axis, name in enumerate(("z_um", "y_um", "x_um")):
        table[name] = centres[seen - 1, axis]
    for j, marker in enumerate(params.markers):
        table[marker] = expression[seen - 1, j] * params.photons
    if params.n_frames > 1:
        mother = pd.Series(parent[number[seen - 1] - 1], dtype="Int64")
        table["track"], table["parent"] = table["cell"], mother.mask(mother == 0)
    return table.sort_values("cell", ignore_index=True)
