"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.lesions import Lesions, find_lesions
from rgbtrack.dynamics.params import DynamicsParams
from rgbtrack.dynamics.polyclonality import Clonality, call_clonality
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes

__all__ = [
    "SAMPLE",
    "Clonality",
    "DynamicsParams",
    "LesionParams",
    "Lesions",
    "binomial_interval",
    "call_clonality",
    "clone_sizes",
    "find_lesions",
]
