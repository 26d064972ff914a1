"""Signature: the colour of each cell, and how sure it is."""

from rgbtrack.signature.colour import colour_columns, unmix, unmix_nonnegative
from rgbtrack.signature.measure import measure_signatures, survey_surroundings
from rgbtrack.signature.params import SignatureParams
from rgbtrack.signature.surroundings import Surroundings
from rgbtrack.signature.unfade import unfade_cells
from rgbtrack.signature.unmixing import no_colours, unmix_cells

__all__ = [
    "SignatureParams",
    "Surroundings",
    "colour_columns",
    "measure_signatures",
    "no_colours",
    "survey_surroundings",
    "unfade_cells",
    "unmix",
    "unmix_cells",
    "unmix_nonnegative",
]
