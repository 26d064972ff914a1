"""Bleed-through matrices, by channel name."""

from collections.abc import Mapping, Sequence
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.files.table_files import read_text


def read_bleed_through(path: str | Path, channels: Mapping[str, str | int]) -> pd.DataFrame:
    """Read a bleed-through matrix.

    Parameters
    ----------
    path
        CSV: first column the detectors, further columns the proteins, by channel or marker name, in any
        order.
    channels
        Marker to channel name.

    Returns
    -------
    matrix
        Rows detectors, columns markers, both by marker, in the order of `channels`.

    Raises
    ------
    DataError
        All that is wrong with it, at once.
    """
    path = Path(path)
    if not isfile(path):
        raise DataError(f"{path}: no such file: bleed_through names a CSV file, or is 'none'")
    raw = read_text(path)
    if raw.shape[1] < 3:
        raise DataError(
            f"{path}: found {raw.shape[1]} columns: one of detector names and one per protein are needed"
        )
    known = {str(name).strip().casefold(): marker for marker, name in channels.items()}
    known |= {marker.casefold(): marker for marker in channels}
    told = ", ".join(f"{marker} ({name})" for marker, name in channels.items())
    problems: list[str] = []

    def translate(names: Sequence[Any], what: str) -> list[str | None]:
        found = [known.get(str(name).strip().casefold()) for name in names]
        for name, marker in zip(names, found, strict=True):
            if marker is None:
                problems.append(f"{path}: {what} {str(name)!r} is no marker: the markers are {told}")
        for marker in channels:
            if found.count(marker) != 1:
                how = "missing" if found.count(marker) == 0 else "there more than once"
                problems.append(f"{path}: {what} {marker} ({channels[marker]}) is {how}")
        return found

    rows = translate(list(raw.iloc[:, 0]), "detector")
    columns = translate(list(raw.columns[1:]), "protein")
    values = raw.iloc[:, 1:].map(lambda text: pd.to_numeric(str(text).replace(",", "."), errors="coerce"))
    if problems:
        raise DataError("\n".join(problems))
    matrix = values.set_axis(pd.Index(rows), axis=0).set_axis(pd.Index(columns), axis=1)
    matrix = matrix.loc[list(channels), list(channels)].astype(float)
    array = matrix.to_numpy()
    if not np.isfinite(array).all():
        raise DataError(f"{path}: some entries are not numbers: every detector needs one for every protein")
    if (array < 0).any():
        problems.append(f"{path}: negative entry {array.min():g}: shares of light are 0 or more")
    for marker, own in zip(channels, array.diagonal(), strict=True):
        if own <= 0:
            problems.append(
                f"{path}: {marker} does not show in its own detector: the diagonal must be positive"
            )
    with np.errstate(all="ignore"):
        shares = array / array.diagonal()
        alike = not np.isfinite(shares).all() or np.linalg.cond(shares) > 100
    if not problems and alike:
        problems.append(
            f"{path}: the matrix is singular or nearly so: two proteins look the same to all detectors"
        )
    if problems:
        raise DataError("\n".join(problems))
    return matrix
