"""Tracks as TrackMate's tables of spots and edges, which Fiji reads and writes."""

from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.files.messages import short
from rgbtrack.files.names import check_names
from rgbtrack.files.table_files import as_written, write_table
from rgbtrack.tables import check_tracks, track_links, tracks_of_links, whole_numbers

_PLACES = {"POSITION_Z": "z_um", "POSITION_Y": "y_um", "POSITION_X": "x_um"}
_NUMBERS = ("SPOT_SOURCE_ID", "SPOT_TARGET_ID", "PARENT_ID", "POSITION_Z", "CELL", "LINK_PROBABILITY")
_NEEDED = ("ID", "TRACK_ID", "FRAME", "POSITION_X", "POSITION_Y")


def write_trackmate(folder: str | Path, cells: pd.DataFrame) -> list[Path]:
    """Write tracked cells as TrackMate's tables: ``<image_id>-spots.csv`` and ``<image_id>-edges.csv``.

    Parameters
    ----------
    folder
        Made if it is not there.
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``. Cells without a track are left
        out.

    Returns
    -------
    paths
        Files written, two for each image.

    Raises
    ------
    DataError
        If they cannot be tracks.

    Notes
    -----
    In the spots, ``TRACK_ID`` is the track from birth to division, as TrackMate's CSV importer links the
    spots of one TRACK_ID in the order of frames; ``PARENT_ID`` tells the mother, which the importer leaves
    out. The edges hold every link, those of divisions too.
    """
    tracked = check_tracks(cells)
    check_names(tracked["image_id"].unique())
    folder, paths = Path(folder), []
    for image_id, movie in tracked.groupby("image_id"):
        movie = movie.reset_index(drop=True)
        spots = _spots(movie)
        source, target = track_links(movie)
        edges = pd.DataFrame(
            {
                "LABEL": [
                    f"ID{a} → ID{b}" for a, b in zip(spots["ID"][source], spots["ID"][target], strict=True)
                ],
                "TRACK_ID": movie["tree"].to_numpy()[target],
                "SPOT_SOURCE_ID": spots["ID"].to_numpy()[source],
                "SPOT_TARGET_ID": spots["ID"].to_numpy()[target],
            }
        )
        if "link_probability" in movie:
            edges["LINK_PROBABILITY"] = movie["link_probability"].to_numpy(float, na_value=np.nan)[target]
        for name, table in (("spots", spots), ("edges", edges)):
            path = folder / f"{image_id}-{name}.csv"
            write_table(path, table)
            paths.append(path)
    return paths


def read_trackmate(path: str | Path, *, pixel_size_um: float | None = None) -> pd.DataFrame:
    """Read TrackMate's table of spots, with the edges beside it.

    Parameters
    ----------
    path
        Spots, as ``write_trackmate`` or TrackMate's "Spots" table wrote them; edges are looked for under the
        same name with ``edges`` in place of ``spots``. Without edges the spots of a TRACK_ID are linked in
        the order of frames, as TrackMate's importer does.
    pixel_size_um
        For places in pixels.

    Returns
    -------
    tracks
        One row per spot: ``frame, track, parent, tree, link_probability, z_um, y_um, x_um``, and ``image_id,
        cell`` where they are there.

    Raises
    ------
    DataError
        If columns are missing, tracks branch without edges, or places are in pixels of unknown size.
    """
    path = Path(path)
    spots, units = _read(path, _NEEDED, "spots")
    edges_path = path.with_name(path.name.replace("spots", "edges"))
    if edges_path != path and edges_path.is_file():
        edges, _ = _read(edges_path, ("SPOT_SOURCE_ID", "SPOT_TARGET_ID"), "edges")
        source, target = (_places(spots, edges[f"SPOT_{end}_ID"], edges_path) for end in ("SOURCE", "TARGET"))
        chance = edges.get("LINK_PROBABILITY")
    else:
        source, target = _in_order(spots, path)
        chance = None
    table = pd.DataFrame({"frame": whole_numbers(spots["FRAME"], blanks=False).astype("int64")})
    factor = _factor(path, units, pixel_size_um)
    for name, column in _PLACES.items():
        if name in spots:
            table[column] = spots[name].astype(float) * factor
    for name, column in (("IMAGE_ID", "image_id"), ("CELL", "cell")):
        if name in spots:
            table[column] = spots[name].map(as_written, na_action="ignore")
    forward = (
        table["frame"].to_numpy()[source] <= table["frame"].to_numpy()[target]
    )  # TrackMate may turn edges
    source, target = np.where(forward, source, target), np.where(forward, target, source)
    number = pd.to_numeric(spots["TRACK_ID"], errors="coerce").to_numpy(float)
    images = table["image_id"].to_numpy() if "image_id" in table else None
    table = table.join(tracks_of_links(table["frame"].to_numpy(), source, target, images, number))
    table["link_probability"] = np.nan
    if chance is not None:
        table.loc[target, "link_probability"] = chance.to_numpy(float)
    return table


def _spots(movie: pd.DataFrame) -> pd.DataFrame:
    n = np.arange(len(movie))
    radius = np.full(len(movie), np.nan)
    if "volume_um3" in movie:
        radius = np.cbrt(3 * movie["volume_um3"].to_numpy(float) / (4 * np.pi))
    elif "area_um2" in movie:
        radius = np.sqrt(movie["area_um2"].to_numpy(float) / np.pi)
    table = pd.DataFrame(
        {
            "LABEL": [f"ID{k}" for k in n],
            "ID": n,
            "TRACK_ID": movie["track"].to_numpy(np.int64),
            "PARENT_ID": movie["parent"].array,
            "QUALITY": movie["cell_probability"].to_numpy(float) if "cell_probability" in movie else 1.0,
            "POSITION_X": movie["x_um"].to_numpy(float),
            "POSITION_Y": movie["y_um"].to_numpy(float),
            "POSITION_Z": movie["z_um"].to_numpy(float) if "z_um" in movie else 0.0,
            "FRAME": movie["frame"].to_numpy(),
            "RADIUS": np.where(np.isfinite(radius), radius, 5.0),
            "VISIBILITY": 1,
            "IMAGE_ID": movie["image_id"].to_numpy(),
            "CELL": movie["cell"].to_numpy(),
        }
    )
    if "clone" in movie:
        table["CLONE"] = movie["clone"].array
    return table


def _read(path: Path, needed: tuple[str, ...], what: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows of one of TrackMate's tables, and the units that a second to fourth line of headings tell."""
    try:
        table = pd.read_csv(path, dtype="str")
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({short(error)})") from error
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(
            f"{path} is no table of TrackMate's {what}: it lacks {', '.join(missing)}; found "
            f"{', '.join(map(str, table.columns[:12]))}"
        )
    key = next(name for name in needed if name.endswith("ID"))
    heading = pd.to_numeric(table[key], errors="coerce").isna().to_numpy()
    n = int(heading.cumprod().sum())
    units = {name: str(table[name].iloc[n - 1]) for name in table.columns} if n else {}
    body = table.iloc[n:].reset_index(drop=True)
    for name in (*needed, *_NUMBERS):
        if name in body.columns:
            numbers = pd.to_numeric(body[name], errors="coerce")
            bad = numbers.isna() & body[name].notna() & (name != "TRACK_ID")
            if bad.any():
                raise DataError(
                    f"{path}: column {name} should hold numbers, found {body.loc[bad, name].iloc[0]!r}"
                )
            body[name] = numbers
    return body, units


def _places(spots: pd.DataFrame, ids: pd.Series, path: Path) -> np.ndarray:
    if spots["ID"].duplicated().any():
        raise DataError(
            f"spots repeat ID {spots.loc[spots['ID'].duplicated(), 'ID'].iloc[0]:g}: each has its own"
        )
    place = pd.Series(np.arange(len(spots)), index=spots["ID"]).reindex(ids)
    if place.isna().any():
        raise DataError(
            f"{path}: {int(place.isna().sum())} edges name a spot that is not in the table of spots"
        )
    return place.to_numpy(np.int64)


def _in_order(spots: pd.DataFrame, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Spots of each TRACK_ID one after the other, the mother's last before the daughter's first."""
    known = spots[spots["TRACK_ID"].notna()].sort_values(["TRACK_ID", "FRAME"], kind="stable")
    twice = known.duplicated(["TRACK_ID", "FRAME"])
    if twice.any():
        raise DataError(
            f"{path}: {known.loc[twice, 'TRACK_ID'].nunique()} tracks have several spots in a frame, so "
            "that they "
            f"branch: put TrackMate's edges beside it, as {path.name.replace('spots', 'edges')!r}"
        )
    index, track = known.index.to_numpy(), known["TRACK_ID"].to_numpy()
    same = np.flatnonzero(track[1:] == track[:-1])
    source, target = index[same], index[same + 1]
    if "PARENT_ID" in known:
        ends = known.drop_duplicates("TRACK_ID", keep="last").set_index("TRACK_ID")
        born = known.drop_duplicates("TRACK_ID")
        born = born[born["PARENT_ID"].notna()]
        place = pd.Series(ends.index, index=ends.index)
        last = pd.Series(known.drop_duplicates("TRACK_ID", keep="last").index, index=place.index)
        mother = last.reindex(pd.to_numeric(born["PARENT_ID"]))
        good = mother.notna().to_numpy()
        source = np.concatenate([source, mother.to_numpy()[good].astype(np.int64)])
        target = np.concatenate([target, born.index.to_numpy()[good]])
    return source, target


def _factor(path: Path, units: dict[str, str], pixel_size_um: float | None) -> float:
    unit = units.get("POSITION_X", "").strip("()").lower()
    if not unit.startswith("pix"):
        return 1.0
    if pixel_size_um is None:
        raise DataError(f"{path}: places are in pixels: give pixel_size_um")
    return pixel_size_um
