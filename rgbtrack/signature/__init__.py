"""Signature: the colour of each cell, and how sure it is."""

from rgbtrack.signature.colour import colour_columns, unmix, unmix_nonnegative
from rgbtrack.signature.measure import measure_signatures
from rgbtrack.signature.params import SignatureParams
from rgbtrack.signature.unmixing import restore_light, unmix_cells

__all__ = [
    "SignatureParams",
    "colour_columns",
    "measure_signatures",
    "restore_light",
    "unmix",
    "unmix_cells",
    "unmix_nonnegative",
]
