"""How many founders seeded each lesion, hidden ones of the same colour included."""

import warnings

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.linkage import Floats, Ints
from rgbtrack.dynamics.plain import plain
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CLONE_SIZES, LESIONS, SEEDING

_LEAST, _MOST = 1e-4, 200.0  # founders per lesion before those without are left out


def count_founders(
    lesions: pd.DataFrame,
    sizes: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    samples: pd.DataFrame | None = None,
    source: str = "primary",
) -> pd.DataFrame:
    """Tell of each subject how many lesions it has, how many are polyclonal, and by how many founders.

    Parameters
    ----------
    lesions
        With the calls of `call_clonality`.
    sizes
        Clone sizes: those at the source tell how often two founders share a colour.
    params
        Level of the intervals, and the power a lesion must have to count.
    samples
        The sample sheet: subjects and sites in which no lesion was found count as zero, and images are
        counted.
    source
        Site that lesions were seeded from; its first timepoint with cells.

    Returns
    -------
    seeding
        One row per subject, timepoint and site that has lesions; see `tables.SEEDING`.

    Raises
    ------
    DataError
        If columns are missing, or no subject has cells at the source.

    Notes
    -----
    A founder has colour c with the clone's share p_c at the source. With Poisson founders of mean m, those
    without a founder left out, clone c is in a lesion with probability ``1 - exp(-m p_c)``, clone by clone,
    so that the number of colours is a sum of such draws. m maximises the likelihood of the numbers of
    colours; the interval is that of the likelihood ratio; ``m / (1 - exp(-m))`` founders seeded a lesion on
    average. ``polyclonal_corrected`` divides the share of lesions of several colours by ``1 - sum p^2``, the
    chance that two founders differ in colour: right if no lesion has more than two. Only lesions large enough
    to tell (``power`` at least ``min_power``) count for both. All take it that clones seed by their shares.

    Examples
    --------
    >>> lesion = {"subject": "m1", "treatment": "vehicle", "timepoint": 28.0, "n_cells": 50, "power": 1.0}
    >>> lesions = pd.DataFrame([{**lesion, "n_colours": n, "clonality": "monoclonal"} for n in (1, 1, 1, 2)])
    >>> lesions = lesions.assign(image_id="a", lesion=range(1, 5), site="lung")
    >>> lesions.loc[3, "clonality"] = "polyclonal"
    >>> sizes = pd.DataFrame({"clone": [1, 2], "subject": "m1", "treatment": "vehicle", "timepoint": 0.0})
    >>> sizes = sizes.assign(site="primary", n_cells=[50, 50])
    >>> found = count_founders(lesions, sizes)
    >>> found[["n_lesions", "polyclonal_share", "polyclonal_corrected", "founders"]].round(2).values.tolist()
    [[4.0, 0.25, 0.5, 1.6]]
    """
    LESIONS.check(lesions, need=["n_cells", "n_colours", "power", "clonality"])
    lesions = plain(lesions if "site" in lesions.columns else lesions.assign(site="metastasis"))
    shares = source_shares(sizes, source)
    known = [table[SAMPLE].drop_duplicates() for table in (lesions, _plain(samples), _plain(sizes))]
    every = (
        pd.concat([table for table in known if len(table)] or known[:1])
        .drop_duplicates()
        .sort_values(SAMPLE, ignore_index=True)
    )
    sites = set(lesions["site"]) or set(every["site"])
    every = every[every["site"].isin(sites - {source})].reset_index(drop=True)
    if samples is None:
        every = _with_none_found(every, _plain(sizes))
    missing = sorted({str(name) for name in every["subject"]} - set(shares))
    if missing:
        warnings.warn(
            f"{len(missing)} subjects have no cells at the site {source!r} "
            f"({', '.join(map(str, missing[:5]))}): the mean of the others' shares stands for theirs",
            RgbtrackWarning,
            stacklevel=2,
        )
    average = _average(shares)
    images = (
        _plain(samples).groupby(SAMPLE).size()
        if samples is not None and "site" in samples.columns
        else pd.Series(dtype=int)
    )
    groups = dict(list(lesions[lesions["site"] != source].groupby(SAMPLE)))
    rows = []
    for row in every.itertuples(index=False):
        key = tuple(row)
        own = groups.get(key, lesions.iloc[:0])
        told = own[(own["power"] >= params.min_power).to_numpy(dtype=bool)]
        p = shares.get(str(row.subject), average)
        poly = int((told["clonality"] == "polyclonal").sum())
        rows.append(
            dict(zip(SAMPLE, key, strict=True))
            | {"n_images": images.get(key, pd.NA), "n_lesions": len(own), "n_told": len(told)}
            | {"n_polyclonal": poly, "n_cells": int(own["n_cells"].sum())}
            | _polyclonal(poly, len(told), p, params.level)
            | _founders(told["n_colours"].to_numpy(dtype=np.int64), p, params.level)
        )
    names = [column.name for column in SEEDING.columns]
    table = pd.DataFrame(rows, columns=names).astype({"n_images": "Int64"})
    return SEEDING.check(table)


def source_shares(sizes: pd.DataFrame, source: str) -> dict[str, pd.Series]:
    """Share of each clone at the source, by subject: its first timepoint that has cells there."""
    CLONE_SIZES.check(sizes, need=["clone", "subject", "timepoint", "n_cells"])
    sizes = _plain(sizes)
    there = sizes[sizes["site"] == source]
    there = there[there.groupby(["subject", "timepoint"])["n_cells"].transform("sum") > 0]
    if there.empty:
        sites = ", ".join(map(str, sorted(sizes["site"].unique())))
        raise DataError(
            f"no subject has cells at the site {source!r}; found {sites or 'no sites'}: name the site that "
            f"lesions were seeded from (source), or image it"
        )
    first = there[there["timepoint"] == there.groupby("subject")["timepoint"].transform("min")]
    n = first.groupby(["subject", "clone"])["n_cells"].sum()
    return {
        str(subject): (own / own.sum()).droplevel("subject") for subject, own in n.groupby(level="subject")
    }


def colour_likelihood(n_colours: Ints, share: Floats, mean: float) -> Floats:
    """Log probability of each number of colours, if founders are Poisson of a mean and not zero.

    The number is a sum of independent draws, one per clone; its law is built up clone by clone.
    """
    top = int(n_colours.max(initial=1))
    law = np.zeros(top + 2)  # the last holds all that is more
    law[0] = 1.0
    for p in -np.expm1(-mean * share):
        law[1:-1], law[-1] = law[1:-1] * (1 - p) + law[:-2] * p, law[-1] + law[-2] * p
        law[0] *= 1 - p
    return np.asarray(np.log(np.maximum(law[n_colours] / -np.expm1(-mean), 1e-300)))


def _founders(n_colours: Ints, shares: pd.Series, level: float) -> dict[str, float]:
    """Founders per lesion with the interval of the likelihood ratio."""
    nothing = dict.fromkeys(["founders", "founders_low", "founders_high"], np.nan)
    share = shares.to_numpy(dtype=float)
    share = share[share > 0]
    if not len(n_colours) or len(share) < 2:
        return nothing
    seen = np.minimum(n_colours, len(share))

    def loss(log_mean: float) -> float:
        return -float(colour_likelihood(seen, share, float(np.exp(log_mean))).sum())

    ends = (np.log(_LEAST), np.log(_MOST))
    best = minimize_scalar(loss, bounds=ends, method="bounded")
    at, least = (best.x, best.fun) if best.fun < loss(ends[0]) else (ends[0], loss(ends[0]))
    limit = least + chi2.ppf(level, 1) / 2
    low = brentq(lambda x: loss(x) - limit, ends[0], at) if loss(ends[0]) > limit else ends[0]
    high = brentq(lambda x: loss(x) - limit, at, ends[1]) if loss(ends[1]) > limit else np.inf
    mean, low, high = (float(m / -np.expm1(-m)) for m in (np.exp(at), np.exp(low), np.exp(high)))
    return {"founders": mean, "founders_low": low, "founders_high": high}


def _polyclonal(n: int, told: int, shares: pd.Series, level: float) -> dict[str, float]:
    """Share of polyclonal lesions, seen and corrected for two founders of one colour."""
    names = ["polyclonal_share", "polyclonal_low", "polyclonal_high"]
    corrected = ["polyclonal_corrected", "polyclonal_corrected_low", "polyclonal_corrected_high"]
    same = float(np.square(shares.to_numpy(dtype=float)).sum())
    if not told:
        return dict.fromkeys([*names, *corrected], np.nan) | {"same_colour": same}
    low, high = binomial_interval(np.array(n), np.array(told), level)
    seen = [n / told, float(low), float(high)]
    true = [min(share / (1 - same), 1.0) if same < 1 else np.nan for share in seen]
    return dict(zip([*names, *corrected], [*seen, *true], strict=True)) | {"same_colour": same}


def _average(shares: dict[str, pd.Series]) -> pd.Series:
    return pd.concat(list(shares.values()), axis=1).fillna(0).mean(axis=1)


def _with_none_found(every: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """Add subjects in which nothing was found at a site of others: without a sheet they count as zero."""
    subjects = sizes[["subject", "treatment"]].drop_duplicates()
    added = []
    for site, there in every.groupby("site"):
        lacking = subjects[~subjects["subject"].isin(there["subject"])]
        added.append(lacking.assign(site=site, timepoint=there["timepoint"].mode().iloc[0]))
    zero = pd.concat(added) if added else every.iloc[:0]
    if len(zero):
        names = ", ".join(map(str, sorted(zero["subject"].unique())[:5]))
        warnings.warn(
            f"{zero['subject'].nunique()} subjects ({names}) have nothing at a site where others have "
            f"lesions: counted as zero lesions; give the sample sheet to tell who was looked at",
            RgbtrackWarning,
            stacklevel=3,
        )
    return pd.concat([every, zero[SAMPLE]]).sort_values(SAMPLE, ignore_index=True)


def _plain(table: pd.DataFrame | None) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame(columns=SAMPLE)
    return plain(table)
