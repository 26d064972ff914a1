"""Fit clones to a table of cells, and call its cells."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import chdtri

from rgbtrack.clones.alternatives import gaussians_of
from rgbtrack.clones.gains import gain_groups
from rgbtrack.clones.junk import Junk, fit_junk
from rgbtrack.clones.mixture import Cells
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import TYPICAL, Floats, Ints, noise_density
from rgbtrack.clones.search import gains_se, search_mixture
from rgbtrack.clones.signatures import lacking, noise_scale, read_signatures
from rgbtrack.clones.uniqueness import main_shares

Model = CloneModel | SubjectModels
_DESCRIBED = 50_000  # cells that tell how large clones are and how noisy


def fit_clones(table: pd.DataFrame, params: ClonesParams = ClonesParams()) -> Model:  # noqa: B008
    """Find the clones of a table of cells; their number is found too.

    Parameters
    ----------
    table
        One row per cell: for each marker its intensity and standard error (``red``, ``red_se``); optionally
        the covariances of the errors (``cov_red_green``), ``doublet``, ``batch`` or ``image_id``, which share
        detector gains, and ``subject``, which ``palette="subject"`` needs.
    params
        How clones are found.

    Returns
    -------
    model
        Clones, the largest first; one model per subject where ``palette="subject"``.

    Raises
    ------
    DataError
        If the table has not 2 to 7 markers with their standard errors, or no subjects where asked for.

    Notes
    -----
    A mixture of rays through the origin, each cell with its own noise (see `rgbtrack.clones.ray`), of
    unmarked cells and of junk. The number of clones maximises the likelihood less a price for each clone.
    Detector gains of images or batches are fitted in the same mixture; they see no treatment. Colour alone
    is used.

    Examples
    --------
    >>> cells = pd.DataFrame({"red": [90.0, 110] * 9, "red_se": 4.0, "green": [5.0, -2] * 9, "green_se": 4.0})
    >>> fit_clones(cells).n_clones
    1
    """
    model = _fit_one(table, params) if params.palette == "experiment" else _fit_each(table, params)
    few = table.iloc[_sample(len(table), _DESCRIBED, params.seed)]
    return main_shares(model.assign(few), model, params)


def _fit_each(table: pd.DataFrame, params: ClonesParams) -> SubjectModels:
    """Find the clones of each subject."""
    markers = read_signatures(table).markers
    models = {}
    sizes: list[tuple[int, str, int]] = []
    for name, positions in subject_rows(table).items():
        part = table.iloc[positions]
        models[name] = _fit_one(part, params)
        called = models[name].assign(part)["clone"].value_counts()
        sizes += [(-int(called.get(k + 1, 0)), name, k) for k in range(models[name].n_clones)]
    rank = {(name, k): number for number, (_, name, k) in enumerate(sorted(sizes), start=1)}
    return SubjectModels(
        markers,
        {
            name: replace(
                model, numbers=np.array([rank[name, k] for k in range(model.n_clones)], dtype=np.int64)
            )
            for name, model in models.items()
        },
    )


def _fit_one(table: pd.DataFrame, params: ClonesParams) -> CloneModel:
    """Find the clones of one palette."""
    signatures = read_signatures(table)
    groups = gain_groups(table, params.gains)
    single = ~signatures.doublet[signatures.measured]
    x, s = np.ascontiguousarray(signatures.x[single]), np.ascontiguousarray(signatures.s[single])
    group = groups.index[signatures.measured][single]
    if len(x) == 0:
        return _no_clones(signatures.markers, params)
    error_scale = noise_scale(x, s)
    s = s * error_scale[:, None] * error_scale
    # every marker is brought to its own scale, so that a dim detector counts as much as a bright one
    unit = np.maximum(
        np.quantile(x, 0.95, axis=0), 3 * np.sqrt(np.median(np.diagonal(s, axis1=1, axis2=2), axis=0))
    )
    x, s = x / unit, s / unit[:, None] / unit
    junk = fit_junk(x, s, params.seed)
    rows = _sample(len(x), params.max_fit_cells, params.seed)
    x, s, group = x[rows], s[rows], group[rows]
    cells = Cells(x, s, noise_density(x, s), junk.log_density(x), group)
    if params.method != "ray":
        model = _fit_alternative(cells, signatures.markers, unit, error_scale, junk, params)
        return _largest_first(model, table)
    mixture = search_mixture(cells, len(groups.names), params)
    detectors = mixture.detectors.in_units(unit)
    model = CloneModel(
        markers=signatures.markers,
        colours=mixture.mu * unit,
        weights=mixture.weight,
        spread_colour=mixture.spread.colour,
        spread_brightness=mixture.spread.brightness,
        unmarked_weight=mixture.unmarked,
        junk_weight=mixture.junk,
        gain_column=groups.column,
        gains=dict(zip(groups.names, detectors.gains, strict=True)) if groups.column else {},
        gains_se=dict(zip(groups.names, gains_se(cells, mixture, params), strict=True))
        if groups.column
        else {},
        leaks=dict(zip(groups.names, detectors.leaks, strict=True)) if groups.column else {},
        error_scale=error_scale,
        min_probability=params.min_probability,
        junk=_in_units(junk, unit),
    )
    return _largest_first(model, table)


def _sample(n: int, most: int, seed: int) -> Ints:
    """Positions of at most so many of n cells, drawn at random, in their order."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, 1]).choice(n, most, replace=False))


def _no_clones(markers: tuple[str, ...], params: ClonesParams) -> CloneModel:
    """Return the model of a table without a measured cell."""
    return CloneModel(
        markers=markers,
        colours=np.empty((0, len(markers))),
        weights=np.empty(0),
        spread_colour=TYPICAL.colour,
        spread_brightness=TYPICAL.brightness,
        unmarked_weight=0.5,
        junk_weight=0.5,
        gain_column="",
        gains={},
        gains_se={},
        leaks={},
        error_scale=np.ones(len(markers)),
        min_probability=params.min_probability,
        junk=None,
    )


def _fit_alternative(
    cells: Cells,
    markers: tuple[str, ...],
    unit: Floats,
    error_scale: Floats,
    junk: Junk,
    params: ClonesParams,
) -> CloneModel:
    """Fit one of the plain methods."""
    solved = np.linalg.solve(cells.s, cells.x[:, :, None])[:, :, 0]
    marked = (cells.x * solved).sum(axis=1) > chdtri(cells.x.shape[1], 0.01)
    x = cells.x[marked]
    means, covariances, weights = gaussians_of(x, junk.softness, params)
    share = max(float(marked.mean()), 1e-6)
    return CloneModel(
        markers=markers,
        colours=np.sinh(means) * junk.softness * unit,
        weights=weights * share,
        spread_colour=TYPICAL.colour,
        spread_brightness=TYPICAL.brightness,
        unmarked_weight=max(1 - share, 0.5 / len(cells)),
        junk_weight=0.005,
        gain_column="",
        gains={},
        gains_se={},
        leaks={},
        error_scale=error_scale,
        min_probability=params.min_probability,
        junk=_in_units(junk, unit),
        covariances=covariances,
    )


def _largest_first(model: CloneModel, table: pd.DataFrame) -> CloneModel:
    """Order clones by the cells called for them, and drop those that are no cell's best."""
    while True:
        best = replace(model, min_probability=0.0).assign(table)
        best = best.loc[best["clone"].notna(), ["clone", "clone_probability"]]
        index = best["clone"].to_numpy(dtype=np.int64) - 1
        if len(np.unique(index)) == model.n_clones:
            break
        model = model.ordered(np.unique(index))
    sure = best["clone_probability"].to_numpy() >= model.min_probability
    size = np.bincount(index[sure], minlength=model.n_clones)
    return model.ordered(np.lexsort((-model.weights, -size)))


def _in_units(junk: Junk, unit: Floats) -> Junk:
    """Return the density of junk in the units of the table."""
    return replace(junk, softness=junk.softness * unit)


def assign_clones(
    table: pd.DataFrame,
    params: ClonesParams = ClonesParams(),  # noqa: B008
    *,
    model: Model | None = None,
) -> pd.DataFrame:
    """Call the clone of every cell.

    Parameters
    ----------
    table
        See `fit_clones`.
    params
        How clones are found.
    model
        Clones that `fit_clones` found; without it they are found in this table.

    Returns
    -------
    table
        A copy with ``clone`` (missing where unassigned; 1 is the largest), ``clone_probability`` and
        ``unassigned_reason`` (missing where assigned); and with ``colour_clone`` and ``colour_probability``,
        the same by colour alone. A probability is that the cell descends from the main founder of its most
        probable clone: how sure the call is, times the share of that founder, as a clone may hold the cells
        of another founder of its colour. What neighbours and links told, or what was lacking to hear them,
        stands in ``table.attrs["neighbours"]``, what else was lacking in ``table.attrs["without"]``.

    Raises
    ------
    DataError
        As `fit_clones`; if the table lacks a marker or a subject of the model; or, where ``spatial`` is asked
        for, if coordinates or tracks are no numbers.
    """
    model = fit_clones(table, params) if model is None else model
    result = model.assign(table, spatial=params.spatial)
    result.attrs["without"] = lacking(table, model.markers, params.gains)
    return result
