"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from rgbtrack.dynamics.params import DynamicsParams
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes

__all__ = ["SAMPLE", "DynamicsParams", "binomial_interval", "clone_sizes"]
