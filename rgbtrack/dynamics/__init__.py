"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from rgbtrack.dynamics.growth import clone_growth, growth_by_treatment
from rgbtrack.dynamics.params import DynamicsParams, GrowthParams, ResponseParams
from rgbtrack.dynamics.response import clone_response, response_heterogeneity
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes
from rgbtrack.dynamics.times import clone_times

__all__ = [
    "CAUTION",
    "DiversityParams",
    "DynamicsParams",
    "GrowthParams",
    "ResponseParams",
    "SAMPLE",
    "binomial_interval",
    "clone_diversity",
    "clone_growth",
    "clone_response",
    "clone_sizes",
    "clone_times",
    "clone_turnover",
    "diversity_by_treatment",
    "growth_by_treatment",
    "rank_abundance",
    "response_heterogeneity",
    "size_departure",
    "size_spectrum",
    "sizes_from_counts",
    "subject_similarity",
    "turnover_by_treatment",
]
