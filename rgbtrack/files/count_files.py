"""Count tables from elsewhere: clones in rows, samples in columns."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.files.messages import short


def read_counts(path: str | Path) -> pd.DataFrame:
    """Read a table of counts, such as reads of DNA barcodes, or its sheet of samples.

    Text separated by tabs, commas or semicolons (compressed where the name says so). The first column names
    the rows if its heading is blank or missing, as R leaves it, or if it alone holds text.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    counts
        Clones in rows, samples in columns.

    Raises
    ------
    DataError
        If there is no such file, or it is not a table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        head = pd.read_csv(path, header=None, nrows=1, sep="\x01", quoting=csv.QUOTE_NONE, dtype=str)
        first = str(head.iloc[0, 0])
        separator = max("\t,;", key=first.count)
        table = pd.read_csv(path, sep=separator)
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({short(error)}): is the file whole?") from error
    if not isinstance(table.index, pd.RangeIndex):
        return table  # one heading fewer than columns: pandas has taken the first for names
    text = [not pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    blank = str(table.columns[0]).startswith("Unnamed: 0")
    if len(text) > 1 and (blank or (text[0] and not np.any(text[1:]))):
        table = table.set_index(table.columns[0])
        table.index.name = None if blank else table.index.name
    return table
