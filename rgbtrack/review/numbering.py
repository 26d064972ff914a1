"""Labels that were drawn elsewhere, numbered as the cells that they were drawn from."""

import numpy as np
import pandas as pd

from rgbtrack.review.masks import Labels


def number_as_before(before: Labels, after: Labels) -> Labels:
    """Give outlines the numbers of the cells that they were drawn from.

    Parameters
    ----------
    before
        Labels with the numbers of the table, (z, y, x).
    after
        Outlines as another program left them, same shape; it may have numbered them anew.

    Returns
    -------
    after
        Numbered so that a label that shares pixels with the former cell of its own number keeps it; of the
        others, the one that shares the most pixels with a former cell takes that cell's number; the rest are
        new cells, and count on from the largest number.
    """
    inside = after > 0
    pairs = pd.DataFrame({"now": after[inside], "was": before[inside]}).astype("int64")
    shared = pairs.value_counts().rename("n").reset_index()
    known = shared[shared["was"] > 0].assign(kept=shared["now"] == shared["was"])
    known = known.sort_values(["kept", "n", "was", "now"], ascending=[False, False, True, True])
    number: dict[int, int] = {}
    taken = set[int]()
    for now, was in known[["now", "was"]].itertuples(index=False):
        if now not in number and was not in taken:
            number[now] = was
            taken.add(was)
    free = int(before.max(initial=0)) + 1
    new = [now for now in np.unique(pairs["now"]).tolist() if now not in number]
    number |= {now: free + k for k, now in enumerate(new)}
    drawn = np.zeros_like(before)
    if number:
        numbers = pd.Series(number)
        drawn[inside] = numbers.loc[pairs["now"]].to_numpy(before.dtype)
    return drawn
