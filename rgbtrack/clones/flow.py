"""Events of a cytometer, called with the clones of images: each detector has a gain of its own."""

import warnings
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.clones.fit import assign_clones
from rgbtrack.clones.gains import CARRIED
from rgbtrack.clones.later import learn_gains
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.params import ClonesParams
from rgbtrack.errors import RgbtrackWarning

CV = 0.05
"""Spread of one cell's readings, as a share of it: optics and electronics of a cytometer."""
LEARNT = 2000
"""Events that the gains are learnt from."""
STEPS = (-0.7, 0.0, 0.7)
ROUNDS = 4
HOPEFUL = 3
CARRIES = 0.1
"""A clone carries a marker of which it has this share of the brightest clone's."""
DRIFT = 0.5
GROUP = "flow"


def events_as_cells(events: pd.DataFrame, cv: float = CV) -> pd.DataFrame:
    """Events with their standard errors, as tables of cells have them.

    Parameters
    ----------
    events
        One column per marker.
    cv
        Spread of one cell's readings, as a share of it.

    Returns
    -------
    cells
        The markers and ``<marker>_se``: what events without the marker scatter about 0, and the share `cv` of
        what is read.
    """
    cells = events.astype(float).copy()
    for marker in events.columns:
        read = cells[marker].to_numpy()
        floor = _scatter(read)
        cells[f"{marker}_se"] = np.hypot(floor, cv * np.maximum(read, 0))
    return cells


def _scatter(read: NDArray[np.float64]) -> float:
    """Standard deviation of events without a marker: of those below 0, which are half of them."""
    below = read[read < 0]
    if len(below) >= max(20, 0.005 * len(read)):
        return float(1.4826 * np.median(-below))
    return float(max(np.quantile(np.abs(read), 0.05), 1e-6)) if len(read) else 1.0


def call_events(
    model: CloneModel,
    events: pd.DataFrame,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Call the clone of every event of one file.

    Parameters
    ----------
    model
        Clones that were found in images.
    events
        Of one file, as `events_as_cells` returns them.
    params
        As for the images; ``min_probability`` counts.

    Returns
    -------
    cells, factors
        The events in the units of the images with the calls of `assign_clones`; and ``marker, factor``,
        counts of the images by units of the file, and ``factor_se``, its relative standard error: near 0.5
        nothing in the file tells the factor, which is blank where no event was called.

    Notes
    -----
    The search begins where the events that carry a marker lie against the clones that do, and at twice and
    half of that in each marker. From each, gains are learnt by `learn_gains`, the clones held as they
    are, their shares learnt in turn. The likeliest is kept: gains are told by the pattern of the
    clones, which takes several of them in the file.
    """
    markers = model.markers
    settings = params.model_copy(update={"gain_drift": DRIFT, "spatial": False})
    steady = replace(model, gain_column="", gains={}, gains_se={}, leaks={})
    few = events.iloc[_spread_out(len(events), LEARNT)]
    begin = np.array(
        [_typical_colour(model, i) / _typical_reading(few, marker) for i, marker in enumerate(markers)]
    )
    unknown = np.full(len(markers), DRIFT)
    starts = [
        _Fit(begin * np.exp(offset), unknown, steady, -np.inf)
        for offset in product(STEPS, repeat=len(markers))
    ]
    fits = [_improve(start, few, settings, 1) for start in starts]
    hopeful = sorted(fits, key=lambda fit: fit.likelihood, reverse=True)[:HOPEFUL]
    best = max((_improve(fit, few, settings, ROUNDS) for fit in hopeful), key=lambda fit: fit.likelihood)
    result = assign_clones(scaled(events, markers, best.factors), settings, model=best.model)
    told = bool(result["clone"].notna().any())
    factors = {"marker": markers, "factor": best.factors if told else np.nan, "factor_se": best.se}
    return result, pd.DataFrame(factors)


class _Fit(NamedTuple):
    """Factors of the markers, their relative errors, clones with their shares here, mean ln density."""

    factors: NDArray[np.float64]
    se: NDArray[np.float64]
    model: CloneModel
    likelihood: float


def _improve(fit: _Fit, events: pd.DataFrame, params: ClonesParams, rounds: int) -> _Fit:
    """Factors and shares by which the events are likelier, in turn."""
    factors, se, model = fit.factors, fit.se, fit.model
    if not len(events):
        return fit
    for _ in range(rounds):
        model = _with_shares(model, scaled(events, model.markers, factors))
        gain, se = _gain(model, scaled(events, model.markers, factors), params)
        factors = factors * np.exp(-gain)
    read = scaled(events, model.markers, factors)
    model = _with_shares(model, read)
    density = model.log_density(read).mean() + np.log(factors).sum()  # per unit of the file
    return _Fit(factors, se, model, float(density))


def _with_shares(model: CloneModel, events: pd.DataFrame) -> CloneModel:
    """The model with the shares that clones, unmarked and junk have among the events; none of them is 0."""
    for _ in range(ROUNDS):
        share = np.nanmean(model.probabilities(events), axis=0) + 1 / len(events)
        share = share / share.sum()
        model = replace(model, weights=share[:-2], unmarked_weight=share[-2], junk_weight=share[-1])
    return model


def _gain(
    model: CloneModel, events: pd.DataFrame, params: ClonesParams
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithm of how much too large the events read in each marker, and its standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)  # of gains at their bounds: there are more rounds
        learnt = learn_gains(model, events.assign(batch=GROUP), params)
    assert isinstance(learnt, CloneModel)  # noqa: S101 - what went in
    if GROUP not in learnt.gains:
        return np.zeros(len(model.markers)), np.full(len(model.markers), DRIFT)
    return np.asarray(learnt.gains[GROUP]), np.asarray(learnt.gains_se[GROUP])


def scaled(events: pd.DataFrame, markers: tuple[str, ...], factors: NDArray[np.float64]) -> pd.DataFrame:
    """Events in other units."""
    both = {
        name: events[name] * factor
        for marker, factor in zip(markers, factors, strict=True)
        for name in (marker, f"{marker}_se")
    }
    return events.assign(**both)


def _spread_out(n: int, most: int) -> NDArray[np.int64]:
    """Rows at even distances."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, most)).astype(np.int64)) if n else np.arange(0)


def _typical_colour(model: CloneModel, i: int) -> float:
    """What a cell reads in a marker, of the clones that carry it: the middle one, by their weights."""
    colour = model.colours[:, i] if model.n_clones else np.ones(1)
    weight = model.weights if model.n_clones else np.ones(1)
    carries = colour > CARRIES * colour.max()
    if not carries.any():
        return 1.0
    order = np.argsort(colour[carries])
    share = np.cumsum(weight[carries][order])
    return float(colour[carries][order][np.searchsorted(share, share[-1] / 2)])


def _typical_reading(events: pd.DataFrame, marker: str) -> float:
    """What an event reads in a marker, of those that carry it; of the brightest where hardly any does."""
    read = events[marker].to_numpy()
    carries = read[read > CARRIED * events[f"{marker}_se"].to_numpy()]
    if len(carries) < max(20, 0.005 * len(read)):
        carries = np.sort(read)[-20:]
    return max(float(np.median(carries)), 1e-9) if len(carries) else 1.0
