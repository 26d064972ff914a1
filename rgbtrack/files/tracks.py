"""Tracks from elsewhere: whatever wrote them, read and laid onto the cells of an experiment."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.ctc import is_ctc, read_ctc
from rgbtrack.files.geff import is_geff, read_geff
from rgbtrack.files.table_files import read_table
from rgbtrack.files.trackmate import read_trackmate
from rgbtrack.tables import CELLS, TRACKED, check_tracks, track_links, tracks_of_links

_COLUMNS = ("track", "parent", "tree", "link_probability")
_PLACE = ("z_um", "y_um", "x_um")


def read_tracks(
    path: str | Path, *, pixel_size_um: float | None = None, z_step_um: float | None = None
) -> pd.DataFrame:
    """Read tracks: GEFF, Cell Tracking Challenge, TrackMate's CSV, or a table of rgbtrack.

    Parameters
    ----------
    path
        A GEFF; a folder of the challenge, or one of several that are named by image; TrackMate's spots, or a
        folder of ``<image_id>-spots.csv``; or a table of `rgbtrack.tables.TRACKED`, CSV or Parquet.
    pixel_size_um, z_step_um
        Of formats that count pixels.

    Returns
    -------
    tracks
        One row per cell of a track: ``frame, track, parent, tree, link_probability``, ``z_um, y_um, x_um``,
        ``image_id`` and ``cell`` as far as the file tells; for `match_tracks`.

    Raises
    ------
    DataError
        If it is none of these, or cannot be tracks.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        if is_geff(path):
            return read_geff(path)
        if is_ctc(path):
            return read_ctc(path, pixel_size_um=pixel_size_um, z_step_um=z_step_um)
        movies = {
            folder.name: folder for folder in sorted(path.iterdir()) if folder.is_dir() and is_ctc(folder)
        }
        parts = [
            read_ctc(folder, pixel_size_um=pixel_size_um, z_step_um=z_step_um).assign(image_id=name)
            for name, folder in movies.items()
        ]
        for file in sorted(path.glob("*spots.csv")):
            table = read_trackmate(file, pixel_size_um=pixel_size_um)
            name = file.name.removesuffix("spots.csv").rstrip("-_ ")
            parts.append(table if "image_id" in table else table.assign(image_id=name))
        if not parts:
            raise DataError(
                f"{path} holds no tracks: give a GEFF, a Cell Tracking Challenge folder (res_track.txt "
                "and masks) or "
                f"TrackMate's <image>-spots.csv"
            )
        return pd.concat(parts, ignore_index=True)
    if path.suffix == ".csv" and "TRACK_ID" in _columns(path):
        return read_trackmate(path, pixel_size_um=pixel_size_um)
    table = read_table(path)
    TRACKED.check(table, need=["image_id", "frame", "cell", "track"])
    kept = ["image_id", "frame", "cell", *(name for name in (*_PLACE, *_COLUMNS) if name in table)]
    tracked = check_tracks(table[kept])
    return tracked if "link_probability" in tracked else tracked.assign(link_probability=np.nan)


def match_tracks(
    tracks: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    image_id: str | None = None,
    radius_um: float | None = None,
    max_unmatched: float = 0.05,
) -> pd.DataFrame:
    """Lay tracks onto the cells of an experiment.

    Parameters
    ----------
    tracks
        From `read_tracks`.
    cells
        Cells of the experiment; see `rgbtrack.tables.CELLS`.
    image_id
        Image of the tracks, where they do not name theirs and cells are of several.
    radius_um
        How far apart a track's place and a cell's may lie; default: the cell's own radius, from its area or
        volume.
    max_unmatched
        Share of the tracks' cells that may find none; they leave gaps, and a warning.

    Returns
    -------
    tracked
        The cells with ``track, parent, tree, link_probability`` of the tracks, in place of those that they
        had. A cell is found by image, frame and number where the tracks tell it, else by place: the nearest
        cell of the frame, of which it must be the nearest too.

    Raises
    ------
    DataError
        If more cells of the tracks find none, or there is neither number nor place to go by.
    """
    CELLS.check(cells, need=["image_id", "frame", "cell"])
    tracks = _with_image(tracks, cells, image_id).reset_index(drop=True)
    cells = cells.assign(image_id=cells["image_id"].astype("str")).reset_index(drop=True)
    place = _by_number(tracks, cells)
    rest = np.flatnonzero(place < 0)
    if len(rest):
        if "y_um" not in tracks or "y_um" not in cells:
            if len(rest) == len(tracks):
                raise DataError(
                    "tracks name no cells of the experiment (image_id, frame, cell), and have no place in "
                    "um: give "
                    "the pixel size, or keep the numbers"
                )
        else:
            place[rest] = _by_place(
                tracks.iloc[rest], cells, np.setdiff1d(np.arange(len(cells)), place), radius_um
            )
    n_missing = int((place < 0).sum())
    if n_missing > max_unmatched * len(tracks):
        raise DataError(
            f"{n_missing} of {len(tracks)} cells of the tracks are no cell of the experiment: are they "
            "tracks of these "
            f"images, in um and frames from 0? With radius_um or max_unmatched more may differ"
        )
    if n_missing:
        warnings.warn(
            f"{n_missing} of {len(tracks)} cells of the tracks are no cell of the experiment, and were "
            "left out",
            RgbtrackWarning,
            stacklevel=2,
        )
    return _laid_on(tracks, cells, place)


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as file:
        return [name.strip(' "\r\n') for name in file.readline().split(",")]


def _with_image(tracks: pd.DataFrame, cells: pd.DataFrame, image_id: str | None) -> pd.DataFrame:
    known = cells["image_id"].astype("str").unique()
    if "image_id" not in tracks or tracks["image_id"].isna().any():
        if image_id is None and len(known) > 1:
            raise DataError(f"tracks do not name their image, and there are {len(known)}: give image_id")
        tracks = tracks.assign(image_id=image_id if image_id is not None else next(iter(known), ""))
    elif image_id is not None:
        tracks = tracks.assign(image_id=image_id)
    tracks = tracks.astype({"image_id": "str"})
    strange = sorted(set(tracks["image_id"]) - set(known))
    if strange:
        raise DataError(
            f"tracks are of images that the experiment lacks: {', '.join(strange[:5])}; it has "
            f"{', '.join(known[:5])}"
        )
    return tracks


def _by_number(tracks: pd.DataFrame, cells: pd.DataFrame) -> np.ndarray:
    """Row of the cell that each row of the tracks names; -1 where none."""
    if "cell" not in tracks:
        return np.full(len(tracks), -1)
    key = ["image_id", "frame", "cell"]
    index = pd.MultiIndex.from_frame(cells[key].astype({"cell": "Int64", "frame": "int64"}))
    wanted = pd.MultiIndex.from_frame(tracks[key].astype({"cell": "Int64", "frame": "int64"}))
    place = pd.Series(np.arange(len(cells)), index=index).reindex(wanted).fillna(-1).to_numpy(np.int64)
    if (np.unique(place[place >= 0], return_counts=True)[1] > 1).any():
        raise DataError("tracks name a cell twice: a cell is in one track")
    return place


def _by_place(
    tracks: pd.DataFrame, cells: pd.DataFrame, free: np.ndarray, radius_um: float | None
) -> np.ndarray:
    """Row of the cell nearest to each row of the tracks, if each is nearest to the other."""
    result = np.full(len(tracks), -1)
    reach = _radius(cells) if radius_um is None else np.full(len(cells), radius_um)
    axes = [name for name in _PLACE if name in tracks and name in cells]
    available = cells.iloc[free].groupby(["image_id", "frame"]).indices
    for key, rows in tracks.groupby(["image_id", "frame"]).indices.items():
        here = free[available.get(key, np.empty(0, np.int64))]
        if not len(here):
            continue
        there, mine = cells[axes].to_numpy(float)[here], tracks[axes].to_numpy(float)[rows]
        distance, nearest = KDTree(there).query(mine)
        back = KDTree(mine).query(there)[1]
        good = (back[nearest] == np.arange(len(rows))) & (distance <= reach[here[nearest]])
        result[np.asarray(rows)[good]] = here[nearest[good]]
    return result


def _radius(cells: pd.DataFrame) -> np.ndarray:
    if "volume_um3" in cells:
        return np.asarray(np.cbrt(3 * cells["volume_um3"].to_numpy(float) / (4 * np.pi)))
    if "area_um2" in cells:
        return np.asarray(np.sqrt(cells["area_um2"].to_numpy(float) / np.pi))
    raise DataError("cells have neither area_um2 nor volume_um3: give radius_um, how far a place may be off")


def _laid_on(tracks: pd.DataFrame, cells: pd.DataFrame, place: np.ndarray) -> pd.DataFrame:
    """Cells with the tracks' columns; links that led over a cell that was not found lead past it."""
    tracked = check_tracks(tracks.assign(_cell=place, cell=np.arange(len(tracks))))
    source, target = track_links(tracked)
    before = np.full(len(tracked), -1)
    before[target] = source
    found = tracked["_cell"].to_numpy() >= 0
    while (skip := (before >= 0) & ~found[before]).any():
        before[skip] = before[before[skip]]
    rows = np.flatnonzero(found & (before >= 0))
    number = np.full(len(tracked), -1)
    number[found] = np.arange(int(found.sum()))
    kept = tracked[found].reset_index(drop=True)
    links = tracks_of_links(
        kept["frame"].to_numpy(),
        number[before[rows]],
        number[rows],
        kept["image_id"].to_numpy(),
        kept["track"].to_numpy(float),
    )
    at = kept["_cell"].to_numpy()
    result = cells.drop(columns=[name for name in _COLUMNS if name in cells])
    for name in ("track", "parent", "tree"):
        values = pd.array([pd.NA] * len(cells), dtype="Int64")
        values[at] = links[name].astype("Int64").array
        result[name] = values
    chance = np.full(len(cells), np.nan)
    if "link_probability" in kept:
        chance[at] = kept["link_probability"].to_numpy(float, na_value=np.nan)
    return result.assign(link_probability=chance)
