"""Tracks as GEFF, the graph exchange file format: a node a cell, an edge a link."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.atomic import write_folder_atomically
from rgbtrack.files.extras import need_extra
from rgbtrack.files.messages import short
from rgbtrack.files.sizes import check_claim
from rgbtrack.tables import check_tracks, track_links, tracks_of_links

_SPACE = {"z": "z_um", "y": "y_um", "x": "x_um"}
_MICROMETRES = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6, "angstrom": 1e-4}


def is_geff(path: Path) -> bool:
    """Whether a folder is a GEFF."""
    for name in (".zattrs", "zarr.json"):
        try:
            attributes = json.loads((path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if "geff" in attributes or "geff" in attributes.get("attributes", {}):
            return True
    return False


def write_geff(path: str | Path, cells: pd.DataFrame, *, frame_interval_h: float | None = None) -> None:
    """Write tracked cells as GEFF, all movies of the table in one graph.

    Parameters
    ----------
    path
        Folder to write, as ``tracks.geff``; a GEFF that is there is replaced.
    cells
        Tracked cells; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``. Every column of numbers, flags
        or text becomes a node property; cells without a track are left out.
    frame_interval_h
        Scale of the time axis; default: the column of this name where all movies share it.

    Raises
    ------
    DataError
        If they cannot be tracks, geff is not installed, or something else is at the path.

    Notes
    -----
    Axes ``t`` (frames, scaled to hours where the interval is known) and ``z, y, x`` (um, as in the image,
    stage drift not removed; z only where any cell is off the plane). ``tracklet`` and ``lineage`` number the
    tracks and families over all movies; ``image_id, frame, cell`` name the cell, and ``track`` its track.
    """
    geff, spec = need_extra("geff", "tracks"), need_extra("geff_spec", "tracks")
    tracked = check_tracks(cells)
    source, target = track_links(tracked)
    joined = tracks_of_links(tracked["frame"].to_numpy(), source, target)
    flat = "z_um" not in tracked or not len(tracked) or np.ptp(tracked["z_um"].to_numpy(float)) == 0
    space = {name: column for name, column in _SPACE.items() if not (flat and name == "z")}
    props = {
        "t": _prop(tracked["frame"]),
        **{name: _prop(tracked[column].astype(float)) for name, column in space.items()},
        "tracklet": _prop(joined["track"]),
        "lineage": _prop(joined["tree"]),
    }
    skipped = {"frame", "link_probability", "parent", "tree", *space.values()}
    for name in tracked.columns:
        if name not in skipped and str(name) not in props and tracked[name].notna().any():
            props[str(name)] = _prop(tracked[name])
    if "link_probability" in tracked:
        probability = tracked["link_probability"].to_numpy(float, na_value=np.nan)[target]
        edge_props = {"link_probability": {"values": probability, "missing": ~np.isfinite(probability)}}
        edge_props["link_probability"]["values"] = np.nan_to_num(probability)
    else:
        edge_props = {}
    metadata = geff.GeffMetadata(
        directed=True,
        axes=[_time_axis(spec.Axis, _shared_interval(tracked, frame_interval_h))]
        + [spec.Axis(name=name, type="space", unit="micrometer") for name in space],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "tracklet", "lineage": "lineage"},
        extra={"rgbtrack": {"key": ["image_id", "t", "cell"]}},
    )
    edges = np.stack([source, target], axis=1).astype(np.uint64).reshape(-1, 2)
    write_arrays = need_extra("geff.core_io._base_write", "tracks").write_arrays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "frame" is no OME-Zarr unit of time; strings are new to zarr 3
        write_folder_atomically(
            path,
            lambda new: write_arrays(
                str(new), np.arange(len(tracked), dtype=np.uint64), props, edges, edge_props, metadata
            ),
            is_geff,
        )


def read_geff(path: str | Path) -> pd.DataFrame:
    """Read the tracks of a GEFF, whoever wrote it.

    Parameters
    ----------
    path
        A GEFF folder. Its time axis counts frames; places are turned into um where their unit is known.

    Returns
    -------
    tracks
        One row per node: ``frame, track, parent, tree, link_probability``, ``z_um, y_um, x_um`` and
        ``image_id, cell`` where they are there. Tracks follow from the edges; a track keeps its number where
        the nodes have a property ``track``.

    Raises
    ------
    DataError
        If it is no GEFF, is not valid, undirected, or its time is no frame.
    """
    path = Path(path)
    if not path.is_dir() or not is_geff(path):
        raise DataError(f"{path} is no GEFF: give the folder whose .zattrs or zarr.json names geff")
    geff = need_extra("geff", "tracks")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays = (part for _, part in zarr.open_group(path, mode="r").members(max_depth=None))
            check_claim(path, sum(part.nbytes for part in arrays if isinstance(part, zarr.Array)), 33_000)
            reader = geff.GeffReader(str(path), validate=True)
            reader.read_node_props()
            reader.read_edge_props(set(reader.edge_prop_names) & {"link_probability"})
            graph = reader.build()
            props = {name: _series(prop) for name, prop in graph["node_props"].items()}
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: not a valid GEFF ({short(error)})") from error
    metadata = graph["metadata"]
    if not metadata.directed:
        raise DataError(
            f"{path}: its edges have no direction, so that mother and daughter are not told apart"
        )
    table = pd.DataFrame({"frame": _frames(path, metadata, props)})
    for axis in metadata.axes or []:
        factor = _micrometres(axis)
        if axis.type == "space" and axis.name in _SPACE and factor is not None:
            table[_SPACE[axis.name]] = props[axis.name].to_numpy(float) * factor
    for name in ("image_id", "cell"):
        if name in props:
            table[name] = props[name]
    place = pd.Series(np.arange(len(table)), index=graph["node_ids"])
    edges = np.asarray(graph["edge_ids"]).reshape(-1, 2)
    if place.index.has_duplicates or not np.isin(edges, place.index).all():
        raise DataError(f"{path}: its edges name nodes that are not there, or are there twice")
    source, target = (place[edges[:, k]].to_numpy(np.int64) for k in (0, 1))
    number = props["track"].to_numpy(float, na_value=np.nan) if "track" in props else None
    images = table["image_id"].to_numpy() if "image_id" in table else None
    table = table.join(tracks_of_links(table["frame"].to_numpy(), source, target, images, number))
    table["link_probability"] = np.nan
    if "link_probability" in graph["edge_props"]:
        table.loc[target, "link_probability"] = _series(graph["edge_props"]["link_probability"]).to_numpy(
            float, na_value=np.nan
        )
    return table


def _prop(values: pd.Series) -> dict[str, Any]:
    """Values and what is missing of them, as GEFF has it."""
    missing = values.isna().to_numpy()
    filled: NDArray
    if pd.api.types.is_bool_dtype(values):
        filled = values.fillna(value=False).to_numpy(bool)
    elif pd.api.types.is_integer_dtype(values):
        filled = values.fillna(0).to_numpy(np.int64)
    elif pd.api.types.is_numeric_dtype(values):
        filled = np.nan_to_num(values.to_numpy(np.float64, na_value=np.nan))
    else:
        filled = values.astype("str").where(~missing, "").to_numpy(np.str_)
    return {"values": filled, "missing": missing if missing.any() else None}


def _series(prop: dict[str, Any]) -> pd.Series:
    values = pd.Series(np.asarray(prop["values"]))
    if values.dtype.kind in "iu":
        values = values.astype("Int64")
    return values if prop["missing"] is None else values.mask(np.asarray(prop["missing"]))


def _time_axis(axis: Any, interval_h: float | None) -> Any:
    if interval_h is None:
        return axis(name="t", type="time", unit="frame")
    return axis(name="t", type="time", unit="frame", scale=interval_h, scaled_unit="hour")


def _shared_interval(tracked: pd.DataFrame, given: float | None) -> float | None:
    if given is not None or "frame_interval_h" not in tracked:
        return given
    found = tracked["frame_interval_h"].dropna().unique()
    return float(found[0]) if len(found) == 1 else None


def _frames(path: Path, metadata: Any, props: dict[str, pd.Series]) -> NDArray[np.int64]:
    names = [axis.name for axis in metadata.axes or [] if axis.type == "time"]
    if len(names) != 1:
        raise DataError(f"{path}: has {len(names)} axes of time: one must count the frames")
    time = props[names[0]].to_numpy(float)
    if (time != np.round(time)).any() or (time < 0).any() or (time >= 2**63).any():
        raise DataError(
            f"{path}: its time axis {names[0]} holds "
            f"{time[time != np.round(time)][:1].tolist() or time.min()}, "
            f"not frames counted from 0"
        )
    return time.astype(np.int64)


def _micrometres(axis: Any) -> float | None:
    """Factor that turns an axis into um; None where its unit is not known."""
    if axis.unit in _MICROMETRES:
        return _MICROMETRES[axis.unit]
    if axis.scale is not None and axis.scaled_unit in _MICROMETRES:
        return float(axis.scale) * _MICROMETRES[axis.scaled_unit]
    return None
