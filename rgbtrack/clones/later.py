"""Later images, called with clones that were found before: their detectors may read otherwise."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from rgbtrack.clones.detectors import Detectors, Drift, gain_errors
from rgbtrack.clones.gains import SHARERS, group_by
from rgbtrack.clones.mixture import Cells, Mixture, expect, expected_moments
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import Floats, Ints, Spread, noise_density
from rgbtrack.clones.signatures import read_signatures
from rgbtrack.errors import RgbtrackWarning

CELLS_OF_GROUP = 400
"""Cells of each image or batch that its gains are learnt from."""
N_STEPS = 8
STEP = 0.01


def learn_gains(
    model: CloneModel | SubjectModels,
    table: pd.DataFrame,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> CloneModel | SubjectModels:
    """Learn how the detectors of further images or batches read, the clones held as they are.

    Parameters
    ----------
    model
        Clones found before.
    table
        Cells of images, or batches, that the model may not know; columns as for `fit_clones`.
    params
        What shares gains, how far they drift, and the seed.

    Returns
    -------
    model
        The same clones with the gains of all groups of the table that it did not know.

    Notes
    -----
    Newton steps of the log-gains in the likelihood of the fixed mixture, under the prior of ``gain_drift``;
    the images that the clones were found in are the zero. A group whose cells are of no known clone keeps a
    gain of 1.
    """
    if isinstance(model, SubjectModels):
        learnt = {
            name: _learn(model.subjects[name], table.iloc[rows], params)
            for name, rows in subject_rows(table).items()
            if name in model.subjects
        }
        return replace(model, subjects={**model.subjects, **learnt})
    return _learn(model, table, params)


def _learn(model: CloneModel, table: pd.DataFrame, params: ClonesParams) -> CloneModel:
    column = model.gain_column or next((name for name in SHARERS[params.gains] if name in table.columns), "")
    if not column or column not in table.columns or model.covariances is not None or not model.n_clones:
        return model
    groups = group_by(table, column)
    new = [name for name in groups.names if name not in model.gains]
    signatures = read_signatures(table, model.markers)
    group = groups.index[signatures.measured]
    rows = _few_of_each(group, [groups.names.index(name) for name in new], params.seed)
    if not len(rows) or model.junk is None:
        return model
    x = np.ascontiguousarray(signatures.x[rows])
    s = np.ascontiguousarray(model.scaled(signatures.s[rows]))
    order = np.searchsorted(np.unique(group[rows]), group[rows]).astype(np.int64)
    names = [groups.names[g] for g in np.unique(group[rows])]
    cells = Cells(x, s, noise_density(x, s), model.junk.log_density(x), order)
    d = len(model.markers)
    drift = Drift(params.gain_drift, params.leak_drift)
    mixture = Mixture(
        model.colours,
        model.weights,
        model.unmarked_weight,
        model.junk_weight,
        Spread(model.spread_colour, model.spread_brightness),
        Detectors.steady(len(names), d),
    )
    for _ in range(N_STEPS):
        information = expected_moments(cells, mixture, expect(cells, mixture)).gain_information
        detectors = mixture.detectors.step_gains(information, _slope(cells, mixture), drift)
        mixture = replace(mixture, detectors=detectors)
    _warn_of_bounds(names, mixture.detectors.gains, drift.gain)
    se = gain_errors(information, drift)
    return replace(
        model,
        gain_column=column,
        gains={**model.gains, **dict(zip(names, mixture.detectors.gains, strict=True))},
        gains_se={**model.gains_se, **dict(zip(names, se, strict=True))},
        leaks={**model.leaks, **dict(zip(names, mixture.detectors.leaks, strict=True))},
    )


def _warn_of_bounds(names: list[str], gains: Floats, drift: float) -> None:
    far = [name for name, gain in zip(names, gains, strict=True) if np.abs(gain).max() > 3.9 * drift]
    if far:
        warnings.warn(
            f"gains of {', '.join(far[:5])}{' and others' if len(far) > 5 else ''} are further from those of "
            f"the clones' own images than 4 times gain_drift ({drift:g}): they were learnt up to there only; "
            f"raise gain_drift if the exposure was another",
            RgbtrackWarning,
            stacklevel=4,
        )


def _slope(cells: Cells, mixture: Mixture) -> Floats:
    """Slope of the log-likelihood in the log-gains, (groups, d), by central differences.

    What the fit itself steps along leaves out how the spread of colours grows with the gain. That is the same
    for all groups, and centring takes it away; here nothing is centred.
    """
    gains = mixture.detectors.gains
    slope = np.zeros_like(gains)
    for j in range(gains.shape[1]):
        for sign in (1, -1):
            moved = gains.copy()
            moved[:, j] += sign * STEP
            detectors = replace(mixture.detectors, gains=moved)
            told = expect(cells, replace(mixture, detectors=detectors)).log_density
            slope[:, j] += sign * np.bincount(cells.group, told, minlength=len(gains)) / (2 * STEP)
    return slope


def _few_of_each(group: Ints, wanted: list[int], seed: int) -> Ints:
    """Positions of at most `CELLS_OF_GROUP` cells of each wanted group, drawn at random, in their order."""
    rng = np.random.default_rng([seed, 8])
    few = [rng.permutation(np.flatnonzero(group == g))[:CELLS_OF_GROUP] for g in wanted]
    return np.sort(np.concatenate(few)) if few else np.empty(0, dtype=np.int64)
