"""Where to look first: the cells whose call would change the result most, were it wrong."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import ParamError
from rgbtrack.review.outcomes import count_cells
from rgbtrack.review.places import Ints
from rgbtrack.tables import CELLS, DOUBTS, markers_of

SAMPLE = ("subject", "treatment", "timepoint", "site")
BETWEEN = "ambiguous"
"""How `unassigned_reason` begins for a cell that lies between clones."""
HALF = 0.5
"""Added to counts before logarithms, which nothing has of zero."""
Floats = NDArray[np.float64]


def doubtful_cells(cells: pd.DataFrame, *, n: int | None = 100) -> pd.DataFrame:
    """Rank cells by how much a wrong call would change the sizes of clones.

    Parameters
    ----------
    cells
        Called cells with ``clone, clone_probability, unassigned_reason`` and the markers; samples are told by
        ``subject, treatment, timepoint, site``, as far as they are there, else by image.
    n
        How many; None for all that are in doubt.

    Returns
    -------
    doubtful
        One row per cell, the most worth a look first; see `rgbtrack.tables.DOUBTS`.

    Raises
    ------
    ParamError
        If n is less than 1.
    DataError
        If a column is missing.

    Notes
    -----
    The result is the share of each clone in each sample, on the log scale on which it is compared. A call of
    probability ``p`` is wrong with the chance ``1 - p / p_max``, where ``p_max`` is that of the clone's
    surest cell: what keeps even that below 1 is that founders share colours, which no look at a cell settles.
    A wrong call takes the cell from a clone of ``a`` cells in this sample and gives it to one of ``b``: the
    clone by colour alone where neighbours changed the call, else the nearest in colour of those in the
    subject. ``influence = chance * (ln((a + 1/2) / (a - 1/2)) + ln((b + 3/2) / (b + 1/2)))``, so that a cell
    of a small clone counts more than one of thousands. A cell between clones would be added to the nearest,
    with the chance ``p``. Cells that a person decided on have no probability, and no doubt left. In time
    series each frame is a sample.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": 0, "cell": range(1, 8), "clone": [1] * 5 + [2] * 2})
    >>> cells = cells.assign(clone_probability=[0.9] * 4 + [0.6] + [0.6, 0.9], unassigned_reason=None)
    >>> doubtful_cells(cells.assign(red=1.0, red_se=0.1))[["cell", "clone", "other_clone", "influence"]]
       cell  clone  other_clone  influence
    0     6      2            1   0.225960
    1     5      1            2   0.179048
    """
    if n is not None and n < 1:
        raise ParamError(f"n is {n}: ask for 1 cell or more")
    CELLS.check(cells, need=[*CELLS.key, "clone", "clone_probability", "unassigned_reason"])
    numbers, clone = np.unique(cells["clone"].to_numpy(float, na_value=0.0), return_inverse=True)
    called = numbers[clone] > 0
    probability = cells["clone_probability"].to_numpy(float, na_value=np.nan)
    between = ~called & cells["unassigned_reason"].astype("string").str.startswith(BETWEEN).fillna(
        value=False
    ).to_numpy(bool)
    sample, n_samples = _samples(cells)
    counts = np.zeros((n_samples, len(numbers)))
    np.add.at(counts, (sample[called], clone[called]), 1)

    other = _others(cells, numbers, clone, called, between)
    here = np.where(called, counts[sample, clone], 0)
    there = np.where(other >= 0, counts[sample, other], 0)
    gained = np.where(other >= 0, np.log((there + 1 + HALF) / (there + HALF)), 0)
    lost = np.log((here + HALF) / np.where(called, here - HALF, HALF))
    top = np.full(len(numbers), 1e-12)
    np.fmax.at(top, clone[called], probability[called])
    wrong = np.where(called, 1 - probability / top[clone], np.where(between, probability, 0))
    influence = np.nan_to_num(wrong * np.where(called, lost + gained, gained)).round(9)

    image = pd.factorize(cells["image_id"], sort=True)[0]
    rows = np.flatnonzero(influence > 0)
    frame, cell = (cells[name].to_numpy(np.int64)[rows] for name in ("frame", "cell"))
    rows = rows[np.lexsort((cell, frame, image[rows], -influence[rows]))][:n]
    table = cells[[*CELLS.key]].iloc[rows].reset_index(drop=True)
    other_clone = np.where(other[rows] >= 0, numbers[other[rows]], np.nan)
    table = table.assign(
        clone=pd.array(np.where(called, numbers[clone], np.nan)[rows], dtype="Int64"),
        probability=probability[rows],
        other_clone=pd.array(other_clone, dtype="Int64"),
        influence=influence[rows],
    )
    why = [
        _why(*row)
        for row in zip(
            table["clone"], table["other_clone"], wrong[rows], here[rows], there[rows], strict=True
        )
    ]
    return DOUBTS.check(table.assign(why=pd.array(why, dtype="string")))


def _samples(cells: pd.DataFrame) -> tuple[Ints, int]:
    """Number of each cell's sample, and how many there are."""
    names = [name for name in SAMPLE if name in cells] or ["image_id"]
    number = np.zeros(len(cells), dtype=np.int64)
    for name in [*names, "frame"]:
        values, distinct = pd.factorize(cells[name], use_na_sentinel=False)
        number = pd.factorize(number * len(distinct) + values)[0]
    return number, int(number.max(initial=-1)) + 1


def _others(
    cells: pd.DataFrame, numbers: Floats, clone: Ints, called: NDArray[np.bool_], between: NDArray[np.bool_]
) -> Ints:
    """Position in `numbers` of the clone that each cell may be of instead; -1 where there is none."""
    shares = _shares(cells)
    size = np.maximum(np.bincount(clone[called], minlength=len(numbers)), 1)
    sums = [np.bincount(clone[called], share[called], len(numbers)) for share in shares.T]
    means = np.array(sums).reshape(shares.shape[1], len(numbers)).T / size[:, None]
    one = np.zeros(len(cells), dtype=np.int64)
    subject = pd.factorize(cells["subject"])[0] if "subject" in cells else one
    lives = np.zeros((len(numbers), int(subject.max(initial=0)) + 1), dtype=bool)
    lives[clone[called], subject[called]] = True
    apart = ~(lives.astype(float) @ lives.T.astype(float) > 0)
    np.fill_diagonal(apart, val=True)
    other = _nearest(means, means, apart)[clone]
    by_colour = (
        cells["colour_clone"].to_numpy(float, na_value=0.0) if "colour_clone" in cells else numbers[clone]
    )
    changed = called & (by_colour != numbers[clone]) & np.isin(by_colour, numbers[numbers > 0])
    other[changed] = np.searchsorted(numbers, by_colour[changed])
    rows = np.flatnonzero(between)
    other[rows] = _nearest(shares[rows], means, ~lives[:, subject[rows]].T)
    return other


def _nearest(points: Floats, means: Floats, barred: NDArray[np.bool_]) -> Ints:
    """Position of the mean nearest to each point; -1 where all are barred."""
    if not len(points) or not len(means):
        return np.full(len(points), -1)
    apart = (points**2).sum(axis=1)[:, None] - 2 * points @ means.T + (means**2).sum(axis=1)
    apart[barred] = np.inf
    return np.where(np.isfinite(apart.min(axis=1)), apart.argmin(axis=1), -1)


def _shares(cells: pd.DataFrame) -> Floats:
    """Share of each marker in a cell's colour, shape (n, markers)."""
    light = np.maximum(np.nan_to_num(cells[list(markers_of(cells))].to_numpy(float, na_value=np.nan)), 0)
    return np.asarray(light / np.maximum(light.sum(axis=1, keepdims=True), 1e-12))


def _why(clone: Any, other: Any, wrong: float, here: float, there: float) -> str:
    """Say why a cell is worth a look."""
    if pd.isna(clone):
        cells = count_cells(int(there))
        return f"{_percent(wrong)} that it is of a clone, most likely clone {other} ({cells} here)"
    text = f"{_percent(wrong)} that it is not of clone {clone} ({count_cells(int(here))} here)"
    return text if pd.isna(other) else f"{text}, rather of clone {other} ({there:,.0f})"


def _percent(chance: float) -> str:
    return f"{100 * chance:.0f} %" if chance >= 0.01 else "less than 1 %"
