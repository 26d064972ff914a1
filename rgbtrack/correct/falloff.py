"""Illumination that falls off from the centre of the field, from the cells themselves."""

from dataclasses import replace

import pandas as pd

from rgbtrack.correct.faded_cells import estimate_attenuation
from rgbtrack.correct.fading import Fading


def estimate_falloff(cells: pd.DataFrame) -> Fading:
    """Estimate how much light is lost towards the corners, from the cells of one image.

    Cells of one clone have one colour anywhere in the field. The light is taken to fall off as
    ``exp(-rate * r²)``, r the distance from the centre, 1 in the corners; rates are those that make cells
    look alike again, as in `estimate_attenuation`. Pool several images with `pool_fadings`: tissue that lies
    in the middle of one field does not in all.

    Parameters
    ----------
    cells
        ``corner`` (r², from 0 in the centre to 1 in the corners) and for each marker ``<marker>_raw`` and
        ``<marker>_se``.

    Returns
    -------
    falloff
        Rates by detector, of unit "corner".

    Raises
    ------
    DataError
        If columns are missing, or several images are in the table.
    """
    return replace(estimate_attenuation(cells.assign(z_um=cells["corner"])), unit="corner")
