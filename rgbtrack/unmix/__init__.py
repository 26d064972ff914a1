"""Bleed-through: the share of each protein's light in the detectors of the others, from controls or blind."""

from rgbtrack.unmix.blind import bleed_through_blind
from rgbtrack.unmix.controls import bleed_through_from_controls
from rgbtrack.unmix.result import BleedThrough

__all__ = ["BleedThrough", "bleed_through_blind", "bleed_through_from_controls"]
