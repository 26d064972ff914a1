"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.dynamics.counts import sizes_from_counts
    from rgbtrack.dynamics.diversity import clone_diversity, diversity_by_treatment
    from rgbtrack.dynamics.enrichment import Enrichment, site_enrichment
    from rgbtrack.dynamics.growth import clone_growth, growth_by_treatment
    from rgbtrack.dynamics.lesion_params import LesionParams
    from rgbtrack.dynamics.lesions import Lesions, find_lesions
    from rgbtrack.dynamics.overlap import site_overlap
    from rgbtrack.dynamics.params import DiversityParams, DynamicsParams, GrowthParams, ResponseParams
    from rgbtrack.dynamics.polyclonality import Clonality, call_clonality
    from rgbtrack.dynamics.response import clone_response, response_heterogeneity
    from rgbtrack.dynamics.seeding import count_founders
    from rgbtrack.dynamics.seeding_effects import compare_seeding
    from rgbtrack.dynamics.seeds import count_seeds
    from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes
    from rgbtrack.dynamics.spectrum import CAUTION, rank_abundance, size_departure, size_spectrum
    from rgbtrack.dynamics.times import clone_times
    from rgbtrack.dynamics.turnover import clone_turnover, subject_similarity, turnover_by_treatment
    from rgbtrack.dynamics.wide import wide_table

# settings are read by every command: they must not wait for the compiler and the statistics
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "counts": ["sizes_from_counts"],
        "diversity": ["clone_diversity", "diversity_by_treatment"],
        "enrichment": ["Enrichment", "site_enrichment"],
        "growth": ["clone_growth", "growth_by_treatment"],
        "lesion_params": ["LesionParams"],
        "lesions": ["Lesions", "find_lesions"],
        "overlap": ["site_overlap"],
        "params": ["DiversityParams", "DynamicsParams", "GrowthParams", "ResponseParams"],
        "polyclonality": ["Clonality", "call_clonality"],
        "response": ["clone_response", "response_heterogeneity"],
        "seeding": ["count_founders"],
        "seeding_effects": ["compare_seeding"],
        "seeds": ["count_seeds"],
        "sizes": ["SAMPLE", "binomial_interval", "clone_sizes"],
        "spectrum": ["CAUTION", "rank_abundance", "size_departure", "size_spectrum"],
        "times": ["clone_times"],
        "turnover": ["clone_turnover", "subject_similarity", "turnover_by_treatment"],
        "wide": ["wide_table"],
    },
)

__all__ = [
    "CAUTION",
    "SAMPLE",
    "Clonality",
    "DiversityParams",
    "DynamicsParams",
    "Enrichment",
    "GrowthParams",
    "LesionParams",
    "Lesions",
    "ResponseParams",
    "binomial_interval",
    "call_clonality",
    "clone_diversity",
    "clone_growth",
    "clone_response",
    "clone_sizes",
    "clone_times",
    "clone_turnover",
    "compare_seeding",
    "count_founders",
    "count_seeds",
    "diversity_by_treatment",
    "find_lesions",
    "growth_by_treatment",
    "rank_abundance",
    "response_heterogeneity",
    "site_enrichment",
    "site_overlap",
    "size_departure",
    "size_spectrum",
    "sizes_from_counts",
    "subject_similarity",
    "turnover_by_treatment",
    "wide_table",
]
