"""One row a track: how long, how far, how fast, and how it ended."""

import numpy as np
import pandas as pd

from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.link.paths import Floats, Ints, Paths, paths_of
from rgbtrack.link.persistence import fit_furth
from rgbtrack.link.squares import LagSums, lag_sums
from rgbtrack.tables import TRACKS

SAMPLE = ("subject", "treatment", "timepoint", "site")


def describe_tracks(
    cells: pd.DataFrame,
    params: MotilityParams = MotilityParams(),  # noqa: B008
) -> pd.DataFrame:
    """Measure every track.

    Parameters
    ----------
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``. Cells without a track tell
        how long a movie is, and no more.
    params
        How it is measured.

    Returns
    -------
    tracks
        One row per track; see `rgbtrack.tables.TRACKS`.

    Raises
    ------
    DataError
        If they cannot be tracks, or the time between frames is unknown.

    Notes
    -----
    Error of a place adds to every step: a cell that rests seems to move. The error is that of its image, from
    the mean squared displacement at lag 0 (`fit_furth`), and is taken from the mean squared step of each
    track; of single slow tracks what is left may be nothing. A path, too, is shorter the longer the frame
    interval: compare speeds of movies of one interval, or Fürth's.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": [0, 1, 2], "cell": 1, "track": 1})
    >>> cells = cells.assign(y_um=0.0, x_um=[0.0, 3.0, 6.0], frame_interval_h=0.5)
    >>> describe_tracks(cells)[["track", "path_um", "speed_um_h", "straightness", "fate"]]
       track  path_um  speed_um_h  straightness          fate
    0      1      6.0         6.0           1.0  end of movie
    """
    paths = paths_of(cells, params)
    return tracks_of_paths(paths, lag_sums(paths, params.max_lags), cells, params)


def tracks_of_paths(paths: Paths, sums: LagSums, cells: pd.DataFrame, params: MotilityParams) -> pd.DataFrame:
    """Rows of `describe_tracks`, of paths that are in order already."""
    rows, first, last = paths.cells, paths.first, paths.last
    n, size = len(first), last - first + 1
    squared, time, owner = steps_of(paths)
    duration = paths.time_h[last] - paths.time_h[first]
    path = np.bincount(owner, np.sqrt(squared), n)
    net = np.linalg.norm(paths.place_um[last] - paths.place_um[first], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        speed = np.where(size > 1, path / duration, np.nan)
        straight = np.where((size > 2) & (path > 0), net / path, np.nan)
    table = rows.iloc[first][["image_id", "track", "parent", "tree"]].reset_index(drop=True)
    if "clone" in rows:
        table["clone"] = _most_common(rows, paths.track, "clone")
    for name in SAMPLE:
        if name in rows:
            table[name] = rows[name].to_numpy()[first]
    frame = rows["frame"].to_numpy()
    mothers = rows.iloc[first].groupby(["image_id", "parent"]).size() if n else pd.Series(dtype=int)
    index = pd.MultiIndex.from_frame(table[["image_id", "track"]], names=["image_id", "parent"])
    table = table.assign(
        first_frame=frame[first],
        last_frame=frame[last],
        n_cells=size,
        n_daughters=mothers.reindex(index).fillna(0).to_numpy(np.int64),
        start_h=paths.time_h[first],
        end_h=paths.time_h[last],
        duration_h=duration,
        path_um=path,
        displacement_um=net,
        straightness=straight,
        speed_um_h=speed,
        speed_median_um_h=pd.Series(np.sqrt(squared) / time)
        .groupby(owner)
        .median()
        .reindex(range(n))
        .to_numpy(),
        speed_corrected_um_h=_corrected(paths, sums, squared, time, owner, params),
    )
    table["fate"] = _fates(table, paths, cells, first, last, params, np.sqrt(squared))
    # events lie between two frames: on average half an interval from either
    half = np.nan_to_num(paths.interval_h[first]) / 2
    open_ends = (table["parent"].notna().to_numpy().astype(int)) + (
        table["fate"] != "end of movie"
    ).to_numpy()
    table["observed_h"] = duration + half * open_ends
    order = [column.name for column in TRACKS.columns if column.name in table.columns]
    return table[order]


def steps_of(paths: Paths) -> tuple[Floats, Floats, Ints]:
    """Steps along tracks.

    Returns
    -------
    squared, time, track
        Squared length, um²; duration, h; number of the track; shape (steps,).
    """
    row = np.flatnonzero(np.diff(paths.track, prepend=-1) == 0)
    move = paths.place_um[row] - paths.place_um[row - 1]
    return (move**2).sum(axis=1), paths.time_h[row] - paths.time_h[row - 1], paths.track[row]


def _corrected(
    paths: Paths, sums: LagSums, squared: Floats, time: Floats, owner: Ints, params: MotilityParams
) -> Floats:
    """Root mean square speed of each track without the localisation error of its image, um/h."""
    n = len(paths.first)
    image = paths.cells.iloc[paths.first].groupby("image_id", sort=False).ngroup().to_numpy()
    member = image == np.arange(int(image.max(initial=-1)) + 1)[:, None]
    fit = fit_furth(sums.pool(member), paths.dimensions, params)
    variance = np.nan_to_num(fit.localisation_um**2)[image]  # none where too few tracks tell
    true = squared - 2 * paths.dimensions * variance[owner]
    steps = np.bincount(owner, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.bincount(owner, true / time**2, n) / steps
    return np.where(steps > 0, np.sqrt(np.clip(mean, 0, None)), np.nan)


def _fates(
    tracks: pd.DataFrame,
    paths: Paths,
    cells: pd.DataFrame,
    first: Ints,
    last: Ints,
    params: MotilityParams,
    steps: Floats,
) -> np.ndarray:
    """How each track ended."""
    rows = paths.cells
    ends = cells.assign(image_id=cells["image_id"].astype("str")).groupby("image_id")["frame"].max()
    fate = np.full(len(first), "lost", dtype=object)
    if not len(first):
        return fate
    axes = ["y_um", "x_um"] + ["z_um"] * (paths.dimensions == 3)
    raw, images = rows[axes].to_numpy(float), rows.groupby("image_id")[axes]
    low, high = (images.transform(end).to_numpy(float) for end in ("min", "max"))
    reach = params.border_um
    if reach is None:
        reach = float(np.quantile(steps, 0.95)) if len(steps) else 0.0
    near = ((raw - low <= reach) | (high - raw <= reach)).any(axis=1)[last]
    if "touches_border" in rows:
        near |= rows["touches_border"].fillna(value=False).to_numpy(bool)[last]
    fate[near] = "left image"
    fate[tracks["last_frame"].to_numpy() >= tracks["image_id"].map(ends).to_numpy()] = "end of movie"
    fate[tracks["n_daughters"].to_numpy() > 0] = "division"
    return fate


def _most_common(rows: pd.DataFrame, track: Ints, name: str) -> pd.Series:
    """Value that most rows of a track have, the smaller of equals; missing where none has one."""
    counts = pd.DataFrame({"track": track, "value": rows[name].array}).dropna()
    counts = counts.groupby(["track", "value"]).size().rename("n").reset_index()
    best = counts.sort_values(["track", "n", "value"], ascending=[True, False, True]).drop_duplicates("track")
    n = int(track.max(initial=-1)) + 1
    return pd.Series(best.set_index("track")["value"].reindex(range(n)).astype("Int64").array)
