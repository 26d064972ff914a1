"""AnnData: what scanpy and squidpy open; cells are observations, markers are variables."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.export.results import Results
from rgbtrack.files import write_atomically
from rgbtrack.files.extras import need_extra
from rgbtrack.plot.colours import hex_of

NUMBERED = ("clone", "colour_clone")
"""Columns whose numbers are names."""


def write_anndata(results: Results, out: Path) -> list[Path]:
    """Write one .h5ad with all cells; see `anndata_of`."""
    table = anndata_of(results, results.cells)
    write_atomically(out, lambda file: table.write_h5ad(file, compression="gzip"))
    return [out]


def anndata_of(results: Results, cells: pd.DataFrame) -> Any:
    """Cells as AnnData.

    Parameters
    ----------
    results
        Where the clones, their colours and the markers are.
    cells
        Rows of its cells.

    Returns
    -------
    adata
        ``X`` and the layer ``se`` hold the intensity of each marker and its standard error (n, markers);
        ``obs`` all other columns, ``clone`` as a category; ``obsm["spatial"]`` is (x, y) in um, or
        (x, y, z); ``uns["clone_colors"]`` the colours that scanpy draws, ``uns["clones"]`` the clone table.
    """
    anndata = need_extra("anndata", "export")
    markers = results.markers
    obs = cells.drop(columns=[name for marker in markers for name in (marker, f"{marker}_se")])
    key = obs[["image_id", "frame", "cell"]].to_numpy(object)
    obs.index = pd.Index([f"{image}_{frame}_{cell}" for image, frame, cell in key])
    obs = obs.apply(_column)
    deep = "volume_um3" in cells
    return anndata.AnnData(
        X=cells[markers].to_numpy(np.float32),
        obs=obs,
        var=pd.DataFrame(index=pd.Index(markers)),
        layers={"se": cells[[f"{marker}_se" for marker in markers]].to_numpy(np.float32)},
        obsm={"spatial": cells[["x_um", "y_um", "z_um"] if deep else ["x_um", "y_um"]].to_numpy(float)},
        uns={
            "clone_colors": [hex_of(results.colour(int(clone))) for clone in obs["clone"].cat.categories],
            "clones": results.clones.apply(_column).set_axis(results.clones.index.astype(str)),
            "rgbtrack": results.about,
        },
    )


def _column(column: pd.Series) -> pd.Series:
    """A column as HDF5 and scanpy have it: names are categories, numbers numbers."""
    if column.name in NUMBERED:
        numbers = sorted(column.dropna().unique())
        names = pd.Categorical(
            column.map(lambda number: None if pd.isna(number) else str(int(number))),
            categories=[str(int(number)) for number in numbers],
        )
        return pd.Series(names, index=column.index, name=column.name)
    if pd.api.types.is_bool_dtype(column.dtype) and not column.isna().any():
        return column.astype(bool)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float) if column.isna().any() else pd.Series(column.to_numpy(), column.index)
    return column.astype(object).where(column.notna(), None).astype("category")
