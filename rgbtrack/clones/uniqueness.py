"""Is a clone one founder? The clones table, with its honest doubts."""

import numpy as np
import pandas as pd

from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.ray import TYPICAL, Floats
from rgbtrack.clones.signatures import read_signatures
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONES, MARKER

_HALF_MERGED = 1.97  # distance at which two colours are merged half of the time
_MERGE_WIDTH = 0.41
_MOST_FOUNDERS = 4.0  # a clone: beyond it the colours tell nothing, and the number has no meaning
_NEAR = 3.0  # distance below which a few percent of cells are confused
_ONE_COLOUR = 0.03  # share of brightness that all other markers together may hold


def merge_probability(distance: Floats) -> Floats:
    """Chance that two colours so many standard deviations apart are taken for one clone."""
    return np.asarray(1 / (1 + np.exp(np.clip((distance - _HALF_MERGED) / _MERGE_WIDTH, -50, 50))))


def colour_distances(
    colours: Floats, noise: Floats, spread_colour: float, spread_brightness: float
) -> Floats:
    """Mahalanobis distance of every two clone colours, in the mean of their cells' covariances.

    A cell of a clone scatters by the spread of each marker, the spread of brightness along the ray, and its
    noise (``noise`` (k, d): median variance of the clone's cells).
    """
    along = colours[:, :, None] * colours[:, None, :] * np.expm1(spread_brightness**2)
    own = np.zeros_like(along)
    d = colours.shape[1]
    own[:, range(d), range(d)] = colours**2 * spread_colour**2 + noise
    cov = along + own
    pooled = (cov[:, None] + cov[None, :]) / 2
    difference = colours[:, None] - colours[None, :]
    solved = np.linalg.solve(pooled, difference[..., None])[..., 0]
    return np.sqrt(np.maximum((difference * solved).sum(axis=-1), 0))


def expected_founders(merging: Floats, n_called: int) -> Floats:
    """Return the expected founders behind each called clone, by fixed point on the number of all founders.

    Parameters
    ----------
    merging
        Chance of every two called colours to be merged, shape (k, k); its diagonal is not used.
    n_called
        Number of called clones.

    Notes
    -----
    The called clones stand for the founder population. Another founder is merged with clone i with chance
    ``c_i``, the mean of row i (the clone itself counts as told apart), so N founders in all leave
    ``1 + (N - 1) c_i`` behind clone i; these sum to N.
    """
    if n_called < 2:
        return np.ones(n_called)
    collision = (merging.sum(axis=1) - np.diag(merging)) / n_called
    founders = float(n_called)
    for _ in range(200):
        updated = float((1 + (founders - 1) * collision).sum())
        updated = min(updated, _MOST_FOUNDERS * n_called)
        if abs(updated - founders) < 1e-9 * founders:
            break
        founders = updated
    return np.asarray(1 + (founders - 1) * collision)


def describe_clones(table: pd.DataFrame, model: CloneModel | SubjectModels | None = None) -> pd.DataFrame:
    """Describe the called clones, and how sure it is that each is one founder.

    Parameters
    ----------
    table
        Cells with ``clone``, as `assign_clones` returns them.
    model
        The model that called them; without it, spreads are taken as typical.

    Returns
    -------
    clones
        One row per clone; see `rgbtrack.tables.CLONES`.

    Raises
    ------
    DataError
        If the table has no column ``clone`` or too few markers.
    """
    if "clone" not in table.columns:
        raise DataError("the table has no column clone: call assign_clones on it first")
    if not isinstance(model, SubjectModels):
        return _describe(table, model)
    parts = [
        _describe(table.iloc[rows], model.subjects[name])
        for name, rows in subject_rows(table).items()
        if name in model.subjects
    ]
    parts = [part for part in parts if len(part)] or [_describe(table.iloc[:0], None)]
    return pd.concat(parts, ignore_index=True).sort_values("clone", ignore_index=True)


def _describe(table: pd.DataFrame, model: CloneModel | None) -> pd.DataFrame:
    """Describe the clones of one palette."""
    signatures = read_signatures(table, model.markers if model else None)
    order = [marker for marker in map(str, table.columns) if marker in signatures.markers]
    column = [signatures.markers.index(marker) for marker in order]
    clone = table["clone"][signatures.measured].to_numpy(dtype=np.float64, na_value=np.nan)
    numbers = np.unique(clone[np.isfinite(clone)]).astype(np.int64)
    k, d = len(numbers), len(order)
    mean, noise, count = np.zeros((k, d)), np.zeros((k, d)), np.zeros(k, dtype=np.int64)
    variance = np.diagonal(signatures.s, axis1=1, axis2=2)
    for row, number in enumerate(numbers):
        members = clone == number
        count[row] = members.sum()
        mean[row] = signatures.x[members].mean(axis=0)
        noise[row] = np.median(variance[members], axis=0)
    spread = (model.spread_colour, model.spread_brightness) if model else TYPICAL
    distance = colour_distances(mean, noise, *spread) if k else np.zeros((0, 0))
    founders = expected_founders(merge_probability(distance), k)
    np.fill_diagonal(distance, np.inf)
    positive = np.maximum(mean, 0)
    largest = positive.max(axis=1, initial=0)
    total = positive.sum(axis=1)
    values = {
        "clone": numbers,
        "n_cells": count,
        **{marker: mean[:, column[q]] for q, marker in enumerate(order)},
        "unique_probability": np.exp(-(founders - 1)),
        "expected_founders": founders,
        "one_colour": total - largest <= _ONE_COLOUR * total,
        "near_pair": distance.min(axis=1, initial=np.inf) < _NEAR,
    }
    names = [name for c in CLONES.columns if c.required for name in (order if c.name == MARKER else [c.name])]
    return pd.DataFrame({name: values[name] for name in names})
