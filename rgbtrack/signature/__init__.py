"""Signature: the colour of each cell, and how sure it is."""

from rgbtrack.signature.colour import colour_columns, unmix
from rgbtrack.signature.measure import measure_signatures
from rgbtrack.signature.params import SignatureParams

__all__ = [
    "SignatureParams",
    "colour_columns",
    "measure_signatures",
    "unmix",
]
