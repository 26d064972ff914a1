"""From tracked cells to napari's tracks layer and back, without Qt and without napari."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_rgbtrack.layers import LayerData
from rgbtrack.errors import DataError
from rgbtrack.tables import TRACKED, check_tracks, track_links, tracks_of_links

SHOWN = ("frame", "cell", "clone", "clone_probability", "link_probability")
"""Columns that napari shows beside a point of a track."""


def tracks_layer(
    cells: pd.DataFrame,
    *,
    pixel_size_um: float = 1.0,
    z_step_um: float | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LayerData:
    """Layer of the tracks of one image, coloured by clone.

    Parameters
    ----------
    cells
        Tracked cells of one image; see `rgbtrack.tables.TRACKED`, with ``y_um``, ``x_um``.
    pixel_size_um, z_step_um
        Of the image: the layer counts pixels and frames, as the image's layers do.
    settings
        Further settings, as the ``scale`` of the image's layers.

    Returns
    -------
    layer
        (data, settings, "tracks"): rows track, frame, (z,) y, x, as napari has them; ``graph`` tells the
        mother of each daughter, ``features`` clone and probabilities, -1 where missing: napari draws no
        blanks.

    Raises
    ------
    DataError
        If they cannot be tracks or are of several images.
    """
    tracked = check_tracks(cells)
    TRACKED.check(tracked, need=["y_um", "x_um"])
    images = tracked["image_id"].unique()
    if len(images) > 1:
        raise DataError(f"cells are of {len(images)} images: a layer shows one")
    columns = [tracked["track"].to_numpy(float), tracked["frame"].to_numpy(float)]
    if "z_um" in tracked and len(tracked) and np.ptp(tracked["z_um"].to_numpy(float)) > 0:
        columns.append(tracked["z_um"].to_numpy(float) / (z_step_um or pixel_size_um))
    columns += [tracked[name].to_numpy(float) / pixel_size_um for name in ("y_um", "x_um")]
    born = tracked[tracked["parent"].notna()].drop_duplicates("track")
    features = {
        name: tracked[name].to_numpy(float, na_value=np.nan) for name in SHOWN if name in tracked.columns
    }
    return (
        np.column_stack(columns),
        {
            "name": "tracks",
            "graph": {int(a): [int(b)] for a, b in zip(born["track"], born["parent"], strict=True)},
            "features": pd.DataFrame({name: np.nan_to_num(v, nan=-1.0) for name, v in features.items()}),
            "color_by": "clone" if "clone" in features else "track_id",
            **(settings or {}),
        },
        "tracks",
    )


def tracks_table(
    data: NDArray[Any],
    graph: Mapping[int, Any] | None = None,
    features: pd.DataFrame | None = None,
    *,
    image_id: str,
    pixel_size_um: float = 1.0,
    z_step_um: float | None = None,
) -> pd.DataFrame:
    """Tracks of a layer, as `rgbtrack.files.match_tracks` takes them.

    Parameters
    ----------
    data
        The layer's data: rows track, frame, (z,) y, x.
    graph
        Its graph: mother, or a list of one, of each daughter.
    features
        Its features: with ``cell``, cells are known by their number.
    image_id
        Image of the layer.
    pixel_size_um, z_step_um
        Of the image.

    Returns
    -------
    tracks
        One row per point: ``image_id, frame, track, parent, tree, link_probability``, ``z_um, y_um, x_um``,
        ``cell``.

    Raises
    ------
    DataError
        If data are no tracks, a track has several mothers, or frames are not whole.
    """
    data = np.asarray(data, float)
    if data.ndim != 2 or data.shape[1] not in (4, 5):
        raise DataError(f"data have shape {data.shape}: a tracks layer has rows track, frame, (z,) y, x")
    if (data[:, :2] != np.round(data[:, :2])).any():
        raise DataError("tracks and frames of the layer are not whole numbers: its frames count from 0")
    table = pd.DataFrame({"image_id": image_id, "frame": data[:, 1].astype(np.int64)})
    scales = (z_step_um or pixel_size_um, pixel_size_um, pixel_size_um)
    for k, (name, scale) in enumerate(zip(("z_um", "y_um", "x_um"), scales, strict=True)):
        if data.shape[1] == 5 or k:
            table[name] = data[:, k + data.shape[1] - 3] * scale
    known = (
        {} if features is None else {str(name): features[name].to_numpy(float) for name in features.columns}
    )
    if "cell" in known:
        table["cell"] = pd.Series(known["cell"]).where(known["cell"] >= 0).astype("Int64")
    mothers = {int(daughter): np.atleast_1d(mother).tolist() for daughter, mother in (graph or {}).items()}
    several = [daughter for daughter, mother in mothers.items() if len(mother) > 1]
    if several:
        raise DataError(
            f"track {several[0]} has {len(mothers[several[0]])} mothers: tracks divide, but do not merge"
        )
    number = data[:, 0].astype(np.int64)
    parent = (
        pd.Series(number).map({daughter: mother[0] for daughter, mother in mothers.items()}).astype("Int64")
    )
    # a row is its own cell here, so that tracks are judged before cells are known
    tracked = check_tracks(table.assign(cell=np.arange(len(table)), track=number, parent=parent))
    source, target = track_links(tracked)
    row = tracked["cell"].to_numpy(np.int64)
    links = tracks_of_links(table["frame"].to_numpy(), row[source], row[target], number=number)
    chance = known.get("link_probability", np.full(len(table), np.nan))
    return table.join(links).assign(link_probability=np.where(chance >= 0, chance, np.nan))
