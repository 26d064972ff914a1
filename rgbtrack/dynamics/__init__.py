"""Dynamics: which clones grew, moved or seeded, and whether the treatment did it."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.dynamics.enrichment import Enrichment, site_enrichment
    from rgbtrack.dynamics.lesion_params import LesionParams
    from rgbtrack.dynamics.lesions import Lesions, find_lesions
    from rgbtrack.dynamics.overlap import site_overlap
    from rgbtrack.dynamics.params import DynamicsParams
    from rgbtrack.dynamics.polyclonality import Clonality, call_clonality
    from rgbtrack.dynamics.seeding import count_founders
    from rgbtrack.dynamics.seeding_effects import compare_seeding
    from rgbtrack.dynamics.seeds import count_seeds
    from rgbtrack.dynamics.sizes import SAMPLE, binomial_interval, clone_sizes

# settings are read by every command: they must not wait for the compiler and the statistics
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "enrichment": ["Enrichment", "site_enrichment"],
        "lesion_params": ["LesionParams"],
        "lesions": ["Lesions", "find_lesions"],
        "overlap": ["site_overlap"],
        "params": ["DynamicsParams"],
        "polyclonality": ["Clonality", "call_clonality"],
        "seeding": ["count_founders"],
        "seeding_effects": ["compare_seeding"],
        "seeds": ["count_seeds"],
        "sizes": ["SAMPLE", "binomial_interval", "clone_sizes"],
    },
)

__all__ = [
    "SAMPLE",
    "Clonality",
    "DynamicsParams",
    "Enrichment",
    "LesionParams",
    "Lesions",
    "binomial_interval",
    "call_clonality",
    "clone_sizes",
    "compare_seeding",
    "count_founders",
    "count_seeds",
    "find_lesions",
    "site_enrichment",
    "site_overlap",
]
