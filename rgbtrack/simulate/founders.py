"""Founders: the colour each integrates by chance, and how large its clone grows."""

import numpy as np
import pandas as pd

from rgbtrack.simulate.params import SimulateParams


def simulate_founders(params: SimulateParams, rng: np.random.Generator) -> pd.DataFrame:
    """Draw founders.

    Each vector is integrated a Poisson number of times, with the mean that leaves ``share_marked`` of cells
    with it; each copy is expressed lognormally. A founder without any vector is not seen, and drawn again.

    Returns
    -------
    founders
        One row per founder: ``clone`` from 1, one column per marker (the brightest marker of a typical
        founder is 1) and ``share`` of the marked cells.
    """
    n, m = params.number_of_clones, len(params.markers)
    if params.founders is not None:
        colours = np.array(params.founders, float)  # (n, m)
    else:
        mean_copies = -np.log1p(-params.share_marked)
        colours = np.zeros((n, m))
        for k in range(n):
            while not colours[k].any():
                copies = rng.poisson(mean_copies, m)
                colours[k] = [rng.lognormal(0, params.copy_sd, c).sum() for c in copies]
        colours /= np.median(colours.max(1))
    shares = np.array(params.shares) if params.shares is not None else rng.lognormal(0, params.size_sd, n)
    table = pd.DataFrame(colours, columns=list(params.markers))
    table.insert(0, "clone", np.arange(1, n + 1))
    return table.assign(share=shares / shares.sum())
