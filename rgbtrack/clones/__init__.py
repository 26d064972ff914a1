"""Clonal identity: which cells share a founder, how probable that is, and what cannot be told."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.clones.fit import assign_clones, fit_clones
    from rgbtrack.clones.flow import call_events, events_as_cells
    from rgbtrack.clones.founders import founder_rows
    from rgbtrack.clones.gains import gains_seen
    from rgbtrack.clones.later import learn_gains
    from rgbtrack.clones.matches import match_subjects, matches_in_words
    from rgbtrack.clones.model import CloneModel
    from rgbtrack.clones.palettes import SubjectModels
    from rgbtrack.clones.params import ClonesParams
    from rgbtrack.clones.rehearsal import rehearse_calls
    from rgbtrack.clones.resolution import Resolution, clone_resolution, resolve_palettes
    from rgbtrack.clones.saved import load_clones, save_clones
    from rgbtrack.clones.uniqueness import describe_clones

# settings are read by every command: they must not wait for the compiler and the clustering library
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fit": ["assign_clones", "fit_clones"],
        "flow": ["call_events", "events_as_cells"],
        "founders": ["founder_rows"],
        "gains": ["gains_seen"],
        "later": ["learn_gains"],
        "matches": ["match_subjects", "matches_in_words"],
        "model": ["CloneModel"],
        "palettes": ["SubjectModels"],
        "params": ["ClonesParams"],
        "rehearsal": ["rehearse_calls"],
        "resolution": ["Resolution", "clone_resolution", "resolve_palettes"],
        "saved": ["load_clones", "save_clones"],
        "uniqueness": ["describe_clones"],
    },
)

__all__ = [
    "CloneModel",
    "ClonesParams",
    "Resolution",
    "SubjectModels",
    "assign_clones",
    "call_events",
    "clone_resolution",
    "describe_clones",
    "events_as_cells",
    "fit_clones",
    "founder_rows",
    "gains_seen",
    "learn_gains",
    "load_clones",
    "match_subjects",
    "matches_in_words",
    "rehearse_calls",
    "resolve_palettes",
    "save_clones",
]
