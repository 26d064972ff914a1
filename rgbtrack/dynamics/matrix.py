"""Clone sizes as a matrix: samples in rows, clones in columns."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from rgbtrack.dynamics.plain import plain
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CLONE_SIZES

TIME_ORDER = SAMPLE[1:] + SAMPLE[:1]
"""Samples in order: by treatment, timepoint, site, subject."""


@dataclass(frozen=True)
class CountMatrix:
    """Counts of every sample, shape (samples, clones), sparse; ``samples`` and ``clones`` name the axes.

    Where they are not ``whole`` they are no counts of anything, and what counting leaves unsure is unknown.
    """

    samples: pd.DataFrame
    clones: pd.Index
    counts: sparse.csr_array
    whole: bool

    def of(self, sample: int) -> tuple[np.ndarray, np.ndarray]:
        """Places and counts of the clones that a sample holds."""
        start, stop = self.counts.indptr[sample : sample + 2]
        return self.counts.indices[start:stop], self.counts.data[start:stop]


def count_matrix(sizes: pd.DataFrame, column: str = "n_cells") -> CountMatrix:
    """Arrange clone sizes as a matrix.

    Parameters
    ----------
    sizes
        Clone sizes: any labels of clones; a clone without a row in a sample has none of its cells; ``site``
        is "primary" where absent.
    column
        The column that holds the counts. ``expected_cells`` are rounded: a clone expected to hold less than
        half a cell is not there.

    Raises
    ------
    DataError
        If a column is missing, a count is missing or negative, a sample is not named in full, or rows repeat
        a clone of a sample.
    """
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=[*SAMPLE, column])
    if "clone" not in sizes.columns:
        raise DataError(f"clone sizes table lacks column clone; found {', '.join(map(str, sizes.columns))}")
    n = sizes[column].to_numpy(float, na_value=np.nan)
    n = np.round(n) if column == "expected_cells" else n
    problems = []
    if not np.isfinite(n).all():
        problems.append(f"{int((~np.isfinite(n)).sum())} rows have no {column}: drop them, or write 0")
    if (n < 0).any():
        problems.append(f"{int((n < 0).sum())} rows have a negative {column}, the least is {np.nanmin(n):g}")
    unnamed = [name for name in ["clone", *SAMPLE] if sizes[name].isna().any()]
    if unnamed:
        problems.append(f"some rows have no {', '.join(unnamed)}: fill in every sample's columns")
    if problems:
        raise DataError("clone sizes table: " + "\n".join(problems))
    groups = sizes.groupby(TIME_ORDER, sort=True, observed=True)
    row = groups.ngroup().to_numpy()
    first = np.unique(row, return_index=True)[1]
    column_of, clones = pd.factorize(sizes["clone"], sort=True)
    some = n > 0
    shape = (len(first), len(clones))
    matrix = sparse.coo_array((n[some], (row[some], column_of[some])), shape=shape).tocsr()
    matrix.sum_duplicates()
    if matrix.nnz < some.sum():
        raise DataError(
            f"clone sizes table: {int(some.sum()) - matrix.nnz} rows repeat a clone of a sample; "
            f"clone, {', '.join(SAMPLE)} must name one row"
        )
    whole = bool((matrix.data == np.round(matrix.data)).all())
    if not whole:
        warnings.warn(
            f"{column} holds fractions, such as {matrix.data[matrix.data % 1 != 0][0]:.4g}: not counts, so "
            f"what counting leaves unsure is not known, and what follows from it is missing",
            RgbtrackWarning,
            stacklevel=3,
        )
    return CountMatrix(sizes[SAMPLE].iloc[first].reset_index(drop=True), pd.Index(clones), matrix, whole)
