"""Calls rehearsed on cells drawn from the fitted clones, whose founder is known."""

import numpy as np
import pandas as pd

from rgbtrack.clones.mixture import likelihood
from rgbtrack.clones.model import UNLIKE, UNMARKED, CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.ray import Floats, Ints, Spread
from rgbtrack.clones.signatures import read_signatures


def rehearse_calls(
    table: pd.DataFrame, model: CloneModel | SubjectModels, n: int = 20_000, seed: int = 0
) -> pd.DataFrame:
    """Draw cells from the fitted clones, call them by colour, and put call and truth side by side.

    Parameters
    ----------
    table
        The cells that the clones were found in: they lend their noise, brightness and detectors.
    model
        The clones.
    n
        Cells to draw, of all subjects together.
    seed
        The same seed draws the same cells.

    Returns
    -------
    rehearsed
        One row per drawn cell: ``subject`` where each has clones of its own; the markers, as read;
        ``true_clone``, missing for what is no clone, and then ``true_reason``; ``main_founder``, whether the
        cell descends from the main founder of its clone; and ``clone, clone_probability, unassigned_reason``
        as `CloneModel.assign` calls it.

    Raises
    ------
    DataError
        If the table lacks a marker of the model, or the column subject where each has clones of its own.

    Notes
    -----
    A cell is drawn as the model says that such cells arise. A real cell is taken at random, and a clone for
    it (or none) by its probabilities; its brightness is drawn from what its clone and colour leave open; then
    colour spread and noise are drawn afresh, and read by the detector of its image. A cell that is drawn as
    unlike any clone keeps its own colour: the model does not say how those arise. Whether a cell is of its
    clone's main founder is drawn with that founder's expected share, cell by cell: what is seen is the mean
    over what the clones may turn out to be.

    What this can tell: which clones are taken for each other, how many cells stay unassigned, and whether
    the stated probabilities are right, if the clones and their spread are as fitted. What it cannot: whether
    they are. A clone that was missed, two founders fitted as one, errors that are larger than stated, and a
    wrong estimate of further founders are drawn as wrongly as they were fitted. Neighbours and links are not
    heard, so real calls that hear them are somewhat surer.
    """
    if isinstance(model, CloneModel):
        parts = [("", model, table)]
    else:
        rows = subject_rows(table)
        parts = [(name, own, table.iloc[rows[name]]) for name, own in model.subjects.items() if name in rows]
    singles = [_singles(part, own) for _, own, part in parts]
    total = max(sum(map(len, singles)), 1)
    rehearsed = []
    for at, ((name, own, _), cells) in enumerate(zip(parts, singles, strict=True)):
        rng = np.random.default_rng([seed, 4, at])
        told = _rehearse(cells, own, round(n * len(cells) / total), rng)
        if isinstance(model, SubjectModels):
            told.insert(0, "subject", name)
        rehearsed.append(told)
    return pd.concat(rehearsed, ignore_index=True) if len(rehearsed) > 1 else rehearsed[0]


def _singles(table: pd.DataFrame, model: CloneModel) -> pd.DataFrame:
    """Cells that can be drawn: measured, and no doublets."""
    signatures = read_signatures(table, model.markers)
    kept = table[signatures.measured & ~signatures.doublet & (model.junk is not None)]
    return kept.drop(columns="doublet", errors="ignore")


def _rehearse(singles: pd.DataFrame, model: CloneModel, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw and call n cells of one palette."""
    drawn = singles.iloc[rng.integers(len(singles), size=n)] if n else singles.iloc[:0]
    drawn = drawn.reset_index(drop=True)
    likely = model.probabilities(drawn).cumsum(axis=1)
    component = (rng.random((len(drawn), 1)) > likely[:, :-1]).sum(axis=1)
    x = _fresh(drawn, model, component, rng)
    drawn = drawn.assign(**{marker: x[:, j] for j, marker in enumerate(model.markers)})
    called = model.assign(drawn)
    marked = component < model.n_clones
    reasons = pd.Series([pd.NA] * model.n_clones + [UNMARKED, UNLIKE], dtype="string")
    return pd.DataFrame(
        {
            **{marker: called[marker] for marker in model.markers},
            "true_clone": pd.Series(np.append(model.clone_numbers, [0, 0])[component], dtype="Int64").where(
                pd.Series(marked, dtype=bool)
            ),
            "true_reason": reasons.iloc[component].array,
            "main_founder": rng.random(len(drawn)) < np.append(model.main_shares, [0, 0])[component],
            **{name: called[name] for name in ("clone", "clone_probability", "unassigned_reason")},
        }
    )


def _fresh(table: pd.DataFrame, model: CloneModel, component: Ints, rng: np.random.Generator) -> Floats:
    """Colours of cells like those of the table, drawn anew for the clone that each is of; (n, d)."""
    signatures = read_signatures(table, model.markers)
    noise = model.scaled(signatures.s)
    x = signatures.x.copy()
    marked, unmarked = np.flatnonzero(component < model.n_clones), component == model.n_clones
    x[unmarked] = 0
    if model.covariances is None:
        x[marked] = _light(table.iloc[marked], model, (x[marked], noise[marked]), component[marked], rng)
        noisy = component <= model.n_clones
    else:
        assert model.junk is not None  # noqa: S101 - some cells were measured
        means = np.arcsinh(model.colours / model.junk.softness)[component[marked]]
        x[marked] = np.sinh(means + _normal(model.covariances[component[marked]], rng)) * model.junk.softness
        noisy = unmarked  # the plain methods hold the noise in the clone's own spread
    x[noisy] += _normal(noise[noisy], rng)
    return x


def _light(
    table: pd.DataFrame,
    model: CloneModel,
    read: tuple[Floats, Floats],
    component: Ints,
    rng: np.random.Generator,
) -> Floats:
    """What detectors read of cells of some clones without noise, each as bright as its real cell."""
    detectors, group = model.detectors(table)
    x, s = map(np.ascontiguousarray, detectors.undo(*read, group))
    spread = Spread(model.spread_colour, model.spread_brightness)
    _, mode, variance = likelihood(x, s, model.colours, component[:, None], spread, steps=3)
    bright = mode + np.sqrt(variance) * rng.normal(size=mode.shape)
    light = model.colours[component] * np.exp(bright + spread.colour * rng.normal(size=x.shape))
    return np.asarray(np.linalg.solve(detectors.matrices[group], light[:, :, None])[:, :, 0])


def _normal(covariance: Floats, rng: np.random.Generator) -> Floats:
    """One draw of each centred normal, (n, d)."""
    values, vectors = np.linalg.eigh(covariance)
    scaled = np.sqrt(np.maximum(values, 0)) * rng.normal(size=values.shape)
    return np.asarray((vectors @ scaled[:, :, None])[:, :, 0])
