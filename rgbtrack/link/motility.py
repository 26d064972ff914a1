"""How fast the cells of a clone move, keep their direction, divide and are lost."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import chi2
from scipy.stats import t as student

from rgbtrack.errors import ParamError
from rgbtrack.link.describe import SAMPLE, tracks_of_paths
from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.link.paths import Floats, Ints, Paths, paths_of
from rgbtrack.link.persistence import Furth, fit_furth, furth, jackknife_furth
from rgbtrack.link.squares import LagSums, lag_sums
from rgbtrack.tables import CLONE_MOTILITY, MSD

RATES = {
    "division": ("division", "n_divisions"),
    "loss": ("lost", "n_lost"),
    "exit": ("left image", "n_left"),
}
"""Rate, the fate that it counts, and the column of the count."""


def clone_motility(
    cells: pd.DataFrame,
    params: MotilityParams = MotilityParams(),  # noqa: B008
    *,
    by: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Measure how cells move, divide and are lost, clone by clone.

    Parameters
    ----------
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``.
    params
        How it is measured.
    by
        Columns whose values, together, make a pool of tracks; default: ``clone`` and those of ``subject,
        treatment, timepoint, site`` that are there. ``("clone", "treatment")`` pools subjects, ``()`` all.
        A track is of the clone of most of its cells.

    Returns
    -------
    motility
        One row per pool; see `rgbtrack.tables.CLONE_MOTILITY`. Intervals of rates are exact Poisson intervals
        (Garwood, Biometrika 28 (1936) 437): what counting leaves unsure. Those of persistence, motility and
        speed are over subjects where a pool has several, else over families of tracks of the one: then they
        hold for this subject and no other.

    Raises
    ------
    DataError
        If they cannot be tracks, or the time between frames is unknown.
    ParamError
        If a column of ``by`` is not there.
    """
    pools = _Pools.of(cells, params, by)
    rows = [_measure(pools, key, chosen, params) for key, chosen in pools]
    order = [
        c.name for c in CLONE_MOTILITY.columns if c.name in pools.by or c.required or c.name == "n_subjects"
    ]
    table = pd.DataFrame(
        rows, columns=[name for name in order if name != "n_subjects" or "subject" in pools.tracks]
    )
    return _typed(table)


def mean_squared_displacement(
    cells: pd.DataFrame,
    params: MotilityParams = MotilityParams(),  # noqa: B008
    *,
    by: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Mean squared displacement by lag, with Fürth's formula fitted.

    Parameters
    ----------
    cells, params, by
        As for `clone_motility`.

    Returns
    -------
    msd
        One row per pool and lag; see `rgbtrack.tables.MSD`.

    Raises
    ------
    DataError, ParamError
        As `clone_motility`.
    """
    pools = _Pools.of(cells, params, by)
    parts = [_curve(pools, key, chosen, params) for key, chosen in pools]
    columns = [c.name for c in MSD.columns if c.name in pools.by or c.required]
    return _typed(pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns))


def poisson_interval(count: Any, exposure: Any, level: float = 0.95) -> tuple[Floats, Floats]:
    """Exact interval of a rate from a count, Garwood's; missing where nothing was observed.

    >>> [round(float(end), 3) for end in poisson_interval(10, 100.0)]
    [0.048, 0.184]
    """
    count, exposure = np.asarray(count, float), np.asarray(exposure, float)
    seen = np.where(exposure > 0, exposure, np.nan)
    tail = (1 - level) / 2
    low = np.where(count > 0, chi2.ppf(tail, 2 * np.maximum(count, 1)) / 2, 0.0)
    return low / seen, chi2.ppf(1 - tail, 2 * count + 2) / 2 / seen


class _Pools:
    """Tracks divided into pools, and the units that vary in each."""

    def __init__(self, paths: Paths, tracks: pd.DataFrame, sums: LagSums, by: list[str]) -> None:
        self.paths, self.tracks, self.sums, self.by = paths, tracks, sums, by

    @classmethod
    def of(cls, cells: pd.DataFrame, params: MotilityParams, by: Sequence[str] | None) -> "_Pools":
        paths = paths_of(cells, params)
        sums = lag_sums(paths, params.max_lags)
        tracks = tracks_of_paths(paths, sums, cells, params)
        known = [name for name in ("clone", *SAMPLE) if name in tracks]
        missing = [name for name in by or () if name not in known]
        if missing:
            raise ParamError(
                f"tracks cannot be pooled by {', '.join(missing)}: there are "
                f"{', '.join(known) or 'no columns'}"
            )
        return cls(paths, tracks, sums, list(known if by is None else by))

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Ints]]:
        """Values that a pool shares, and its tracks."""
        if not self.by:
            if len(self.tracks):
                yield {}, np.arange(len(self.tracks))
            return
        for key, index in self.tracks.groupby(self.by, dropna=False, sort=True).indices.items():
            values = key if isinstance(key, tuple) else (key,)
            yield dict(zip(self.by, values, strict=True)), np.asarray(index, np.int64)

    def units(self, chosen: Ints) -> tuple[LagSums, str]:
        """Sums of each unit: subjects, or families where there is one subject or none is known."""
        tracks = self.tracks.iloc[chosen]
        if "subject" in tracks and len(tracks["subject"].unique()) > 1:
            unit, columns = "subject", ["subject"]
        else:
            unit, columns = "family", ["image_id", "tree"]
        codes = tracks.groupby(columns, sort=False).ngroup().to_numpy()
        member = np.zeros((codes.max() + 1, len(self.tracks)))
        member[codes, chosen] = 1
        parts = self.sums.pool(member)
        some = parts.pairs.sum(axis=1) > 0
        return LagSums(parts.squares[some], parts.times[some], parts.pairs[some], parts.longest[some]), unit


def _measure(pools: _Pools, key: dict[str, Any], chosen: Ints, params: MotilityParams) -> dict[str, Any]:
    tracks = pools.tracks.iloc[chosen]
    parts, unit = pools.units(chosen)
    hours = float(tracks["observed_h"].sum())
    row: dict[str, Any] = {**key, "n_tracks": len(tracks), "observed_h": hours}
    if "subject" in tracks:
        row["n_subjects"] = tracks["subject"].nunique()
    for rate, (fate, count) in RATES.items():
        n = int((tracks["fate"] == fate).sum())
        low, high = poisson_interval(n, hours, params.level)
        row[count] = n
        row[f"{rate}_rate_per_h"] = n / hours if hours else np.nan
        row[f"{rate}_rate_low"], row[f"{rate}_rate_high"] = float(low), float(high)
    for name, source in (("h", "per_h"), ("low", "high"), ("high", "low")):
        value = row[f"division_rate_{source}"]
        row[f"doubling_{name}"] = np.log(2) / value if value > 0 else np.nan
    moving = tracks["duration_h"].sum()
    row["speed_um_h"] = tracks["path_um"].sum() / moving if moving else np.nan
    row["straightness"] = tracks["straightness"].mean()
    row |= {"interval_unit": unit, "n_units": len(parts.longest)}
    fitted = (tracks["n_cells"] >= 3).sum() >= params.min_tracks
    values = jackknife_furth(parts, pools.paths.dimensions, params) if fitted else {}
    for name in ("persistence_h", "motility_um2_h", "rms_speed_um_h"):
        stem = {"persistence_h": "persistence", "motility_um2_h": "motility", "rms_speed_um_h": "rms_speed"}[
            name
        ]
        row[name], row[f"{stem}_low"], row[f"{stem}_high"] = values.get(name, (np.nan,) * 3)
    error = values.get("localisation_um", (np.nan,))[0]
    row["localisation_um"] = error
    row["speed_corrected_um_h"] = _corrected_speed(pools, chosen, error)
    return row


def _corrected_speed(pools: _Pools, chosen: Ints, error_um: float) -> float:
    """Root mean square speed over steps of one interval, without localisation error."""
    squares, pairs = pools.sums.squares[chosen, 0].sum(), pools.sums.pairs[chosen, 0].sum()
    if not pairs or not np.isfinite(error_um):
        return float("nan")
    lag = pools.sums.times[chosen, 0].sum() / pairs
    return float(np.sqrt(max(squares / pairs - 2 * pools.paths.dimensions * error_um**2, 0)) / lag)


def _curve(pools: _Pools, key: dict[str, Any], chosen: Ints, params: MotilityParams) -> pd.DataFrame:
    member = np.zeros(len(pools.tracks))
    member[chosen] = 1
    whole = pools.sums.pool(member)
    parts, unit = pools.units(chosen)
    fit = fit_furth(whole, pools.paths.dimensions, params)
    used = (whole.pairs > 0) & (np.arange(1, len(whole.pairs) + 1) <= whole.longest)
    low, high = _log_interval(parts, whole, params.level)
    table = pd.DataFrame(
        {
            "lag_h": whole.lag_h,
            "msd_um2": whole.msd,
            "msd_low": low,
            "msd_high": high,
            "n_pairs": whole.pairs.astype(np.int64),
            "n_tracks": (pools.sums.pairs[chosen] > 0).sum(axis=0),
            "interval_unit": unit,
            "fit_um2": _fitted(fit, whole, pools.paths.dimensions, params),
        }
    )
    return table[used].assign(**key)


def _fitted(fit: Furth, sums: LagSums, dimensions: int, params: MotilityParams) -> Floats:
    if not np.isfinite(fit.persistence_h):
        return np.full(len(sums.pairs), np.nan)
    curve = furth(sums.lag_h, fit.persistence_h, fit.rms_speed_um_h) + 2 * dimensions * fit.localisation_um**2
    last = max(float(sums.longest) * params.longest_lag, 4)
    return np.where(np.arange(1, len(curve) + 1) <= last, curve, np.nan)


def _log_interval(parts: LagSums, whole: LagSums, level: float) -> tuple[Floats, Floats]:
    """Interval of each lag's mean, a ratio of sums over units, on the scale of its logarithm."""
    residual = parts.squares - whole.msd * parts.pairs
    n = (parts.pairs > 0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt((residual**2).sum(axis=0) * n / (n - 1)) / whole.squares
        width = np.where(n > 1, student.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * error, np.nan)
        return whole.msd * np.exp(-width), whole.msd * np.exp(width)


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    whole = {name: "Int64" for name in ("clone",) if name in table}
    whole |= {n: "int64" for n in table.columns if str(n).startswith("n_")}
    return table.astype(whole)
