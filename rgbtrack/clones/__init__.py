"""Clonal identity: which cells share a founder, how probable that is, and what cannot be told."""

from rgbtrack.clones.fit import assign_clones, fit_clones
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.uniqueness import describe_clones

__all__ = ["CloneModel", "ClonesParams", "SubjectModels", "assign_clones", "describe_clones", "fit_clones"]
