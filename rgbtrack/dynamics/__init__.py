"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from rgbtrack.dynamics.growth import clone_growth, growth_by_treatment
from rgbtrack.dynamics.params import DynamicsParams, GrowthParams, ResponseParams
from rgbtrack.dynamics.response import clone_response, response_heterogeneity
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes
from rgbtrack.dynamics.times import clone_times

__all__ = [
    "DynamicsParams",
    "GrowthParams",
    "ResponseParams",
    "SAMPLE",
    "binomial_interval",
    "clone_growth",
    "clone_response",
    "clone_sizes",
    "clone_times",
    "growth_by_treatment",
    "response_heterogeneity",
from rgbtrack.dynamics.counts import sizes_from_counts
from rgbtrack.dynamics.diversity import clone_diversity, diversity_by_treatment
from rgbtrack.dynamics.params import DiversityParams, DynamicsParams
from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes
from rgbtrack.dynamics.spectrum import CAUTION, rank_abundance, size_departure, size_spectrum
from rgbtrack.dynamics.turnover import clone_turnover, subject_similarity, turnover_by_treatment

__all__ = [
    "CAUTION",
    "SAMPLE",
    "DiversityParams",
    "DynamicsParams",
    "binomial_interval",
    "clone_diversity",
    "clone_sizes",
    "clone_turnover",
    "diversity_by_treatment",
    "rank_abundance",
    "size_departure",
    "size_spectrum",
    "sizes_from_counts",
    "subject_similarity",
    "turnover_by_treatment",
]
