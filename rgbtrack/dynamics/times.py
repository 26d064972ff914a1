"""When clones become dominant, and when they are lost."""

import numpy as np
import pandas as pd
from scipy.special import logit

from rgbtrack.dynamics.inputs import read_sizes
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.errors import ParamError
from rgbtrack.tables import CLONE_TIMES


def clone_times(sizes: pd.DataFrame, *, dominance: float = 0.5, level: float = 0.95) -> pd.DataFrame:
    """Find when each clone passed a share of its sample, and since when it is not seen.

    Parameters
    ----------
    sizes
        Clone sizes; see `clone_sizes`. Samples without cells are left out: they tell nothing.
    dominance
        The share.
    level
        How surely a clone of the share ``detection_limit`` would have been seen.

    Returns
    -------
    times
        See `tables.CLONE_TIMES`.

    Raises
    ------
    ParamError
        If the share is not between 0 and 1.

    Notes
    -----
    A clone that is not seen is not gone: a clone of the share 3 / N is missed by N cells in one case of
    twenty (``1 - 0.05^(1/N)``; N are the cells of all samples from ``lost_d`` on). Between timepoints the
    logit of a share is taken to be a straight line, as that of a clone that grows at its own rate.

    Examples
    --------
    >>> sizes = pd.DataFrame({"clone": [1, 2, 1, 2], "subject": "m1", "treatment": "vehicle"})
    >>> sizes = sizes.assign(timepoint=[0, 0, 10, 10], n_cells=[20, 80, 80, 20])
    >>> clone_times(sizes)[["clone", "dominant_d", "dominant_low_d", "dominant_high_d"]]
       clone  dominant_d  dominant_low_d  dominant_high_d
    0      1         5.0             0.0             10.0
    1      2         0.0             NaN              0.0
    """
    if not 0 < dominance < 1:
        raise ParamError(f"dominance is {dominance:g}: give a share between 0 and 1")
    sizes = read_sizes(sizes)
    sizes = sizes.assign(total=sizes.groupby(SAMPLE)["n_cells"].transform("sum"))
    sizes = sizes[sizes["total"] > 0].sort_values("timepoint", kind="stable")
    rows = []
    for key, of in sizes.groupby(list(CLONE_TIMES.key), sort=True):
        time, n = of["timepoint"].to_numpy(float), of["n_cells"].to_numpy()
        seen = np.flatnonzero(n > 0)
        row = dict(zip(CLONE_TIMES.key, key, strict=True))
        if len(seen):
            row |= {"first_seen_d": time[seen[0]], "last_seen_d": time[seen[-1]]}
            after = of["total"].to_numpy()[seen[-1] + 1 :].sum()
            if after:
                row |= {
                    "lost_d": time[seen[-1] + 1],
                    "detection_limit": -np.expm1(np.log1p(-level) / after),
                }
        rows.append(row | _dominant(time, n / of["total"].to_numpy(), of["total"].to_numpy(), dominance))
    names = [column.name for column in CLONE_TIMES.columns]
    return pd.DataFrame(rows).reindex(columns=names)


def _dominant(time: np.ndarray, share: np.ndarray, total: np.ndarray, least: float) -> dict[str, float]:
    """When a share was first passed, and the timepoints before and after."""
    above = np.flatnonzero(share >= least)
    if not len(above):
        return {}
    at = int(above[0])
    if at == 0:
        return {"dominant_d": time[0], "dominant_high_d": time[0]}
    kept = np.clip(share, 0.5 / total, 1 - 0.5 / total)
    before, after = logit(kept[at - 1]), logit(kept[at])
    part = np.clip((logit(least) - before) / (after - before), 0, 1) if after > before else 1.0
    return {
        "dominant_d": time[at - 1] + part * (time[at] - time[at - 1]),
        "dominant_low_d": time[at - 1],
        "dominant_high_d": time[at],
    }
