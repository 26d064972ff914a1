"""Signature: the colour of each cell, and how sure it is."""

from rgbtrack.signature.colour import colour_columns, unmix
from rgbtrack.signature.measure import measure_signatures
from rgbtrack.signature.params import SignatureParams
from rgbtrack.signature.surroundings import background_variance, neighbouring_light, surrounding_light

__all__ = [
    "SignatureParams",
    "background_variance",
    "colour_columns",
    "measure_signatures",
    "neighbouring_light",
    "surrounding_light",
    "unmix",
]
