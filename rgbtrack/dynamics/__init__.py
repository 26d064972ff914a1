"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from rgbtrack.dynamics.params import DynamicsParams, ResponseParams
from rgbtrack.dynamics.response import clone_response, response_heterogeneity
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes

__all__ = [
    "SAMPLE",
    "DynamicsParams",
    "ResponseParams",
    "binomial_interval",
    "clone_response",
    "clone_sizes",
    "response_heterogeneity",
]
