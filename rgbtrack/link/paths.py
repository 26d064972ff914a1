"""Where tracked cells were, and when: stage drift removed, frames turned into hours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.tables import TRACKED, check_tracks

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Paths:
    """Tracked cells in order of image, track and frame."""

    cells: pd.DataFrame
    """The rows, from `check_tracks`."""
    track: Ints
    """Number of each row's track over all images, from 0, shape (n,)."""
    time_h: Floats
    """Shape (n,)."""
    place_um: Floats
    """Stage drift removed, shape (n, 2), y and x, or (n, 3), z first, where any cell is off the plane."""
    interval_h: Floats
    """Median time between frames of each row's image, shape (n,)."""

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.place_um.shape[1]

    @property
    def first(self) -> Ints:
        """Row of the first cell of each track."""
        return np.flatnonzero(np.diff(self.track, prepend=-1))

    @property
    def last(self) -> Ints:
        """Row of the last cell of each track."""
        return np.flatnonzero(np.diff(self.track, append=-1))


def paths_of(cells: pd.DataFrame, params: MotilityParams) -> Paths:
    """Order tracked cells along their tracks, in um and h.

    Raises
    ------
    DataError
        If they cannot be tracks, have no place, or the time of their frames is unknown.
    """
    tracked = check_tracks(cells)
    TRACKED.check(tracked, need=["y_um", "x_um"])
    axes = ["y_um", "x_um"]
    if "z_um" in tracked and np.ptp(tracked["z_um"].to_numpy(float)) > 0:
        axes = ["z_um", *axes]
    place = tracked[axes].to_numpy(float).copy()
    if not np.isfinite(place).all():
        raise DataError(
            f"{int((~np.isfinite(place).all(axis=1)).sum())} tracked cells have no place "
            f"({', '.join(axes)}): "
            f"leave their track blank"
        )
    for name in ("drift_y_um", "drift_x_um"):
        if name in tracked:
            place[:, axes.index(name.removeprefix("drift_"))] -= tracked[name].fillna(0).to_numpy(float)
    times = frame_times(cells.assign(image_id=cells["image_id"].astype("str")), params)
    here = tracked[["image_id", "frame"]].merge(times, on=["image_id", "frame"], how="left")
    track = tracked.groupby(["image_id", "track"], sort=False).ngroup().to_numpy(np.int64)
    return Paths(tracked, track, here["time_h"].to_numpy(float), place, here["interval_h"].to_numpy(float))


def frame_times(cells: pd.DataFrame, params: MotilityParams) -> pd.DataFrame:
    """When each frame was taken.

    Parameters
    ----------
    cells
        All cells of the movies, tracked or not.
    params
        With ``frame_interval_h``, which a column ``time_h`` overrides.

    Returns
    -------
    times
        One row per ``image_id`` and ``frame`` that holds a cell: ``time_h``, and ``interval_h``, the median
        time from one frame to the next in this image.

    Raises
    ------
    DataError
        If the time between frames is unknown, or frames do not follow each other in time.
    """
    frames = cells.drop_duplicates(["image_id", "frame"]).sort_values(["image_id", "frame"])
    frames = frames.reset_index(drop=True).astype({"frame": "int64"})
    if "time_h" in frames and frames["time_h"].notna().all() and len(frames):
        time = frames["time_h"].to_numpy(float)
        _refuse_two_times(cells)
    else:
        time = frames["frame"].to_numpy() * _interval(frames, params)
    same = frames["image_id"].eq(frames["image_id"].shift()).to_numpy()
    step = np.diff(time, prepend=np.nan)
    if (step[same] <= 0).any():
        row = frames[same & (step <= 0)].iloc[0]
        raise DataError(
            f"time_h of image {row['image_id']} does not grow from the frame before to frame {row['frame']}: "
            f"give the time of each frame in hours"
        )
    per_frame = np.where(same, step / np.diff(frames["frame"], prepend=-1), np.nan)
    median = pd.Series(per_frame).groupby(frames["image_id"]).transform("median")
    return frames[["image_id", "frame"]].assign(time_h=time, interval_h=median.to_numpy(float))


def _interval(frames: pd.DataFrame, params: MotilityParams) -> Floats:
    """Hours between frames, of each row."""
    interval = np.full(len(frames), np.nan if params.frame_interval_h is None else params.frame_interval_h)
    if "frame_interval_h" in frames and params.frame_interval_h is None:
        interval = frames["frame_interval_h"].to_numpy(float)
    # a single frame holds no movement, whatever its time
    several = frames.groupby("image_id")["frame"].transform("size").to_numpy() > 1
    unknown = frames.loc[~(interval > 0) & several, "image_id"].unique()
    if len(unknown):
        raise DataError(
            f"time between frames is unknown in {len(unknown)} images ({', '.join(map(str, unknown[:3]))}): "
            f"give frame_interval_h in the sample sheet, or a column time_h"
        )
    return np.nan_to_num(interval)


def _refuse_two_times(cells: pd.DataFrame) -> None:
    times = cells.groupby(["image_id", "frame"])["time_h"]
    several = times.max() > times.min()
    if several.any():
        image_id, frame = several.index[several][0]
        raise DataError(
            f"frame {frame} of image {image_id} has several times in time_h: cells of one frame were "
            "imaged at "
            f"one time"
        )
