"""Correction: from detector counts to background-free counts whose noise is known."""

from rgbtrack.correct.background import estimate_background
from rgbtrack.correct.faded_cells import estimate_attenuation, estimate_bleaching
from rgbtrack.correct.fading import Fading, given_attenuation, pool_fadings
from rgbtrack.correct.falloff import estimate_falloff
from rgbtrack.correct.flat_field import even_out, flat_from_files
from rgbtrack.correct.illumination import Illumination, estimate_illumination
from rgbtrack.correct.noise import NoiseModel, estimate_noise
from rgbtrack.correct.params import CorrectParams
from rgbtrack.correct.registration import (
    Shift,
    apply_shift,
    estimate_drift,
    estimate_shift,
    noise_sd,
    pool_shifts,
)
from rgbtrack.correct.stack import Correction, apply_correction, correct_stack, find_correction

__all__ = [
    "CorrectParams",
    "Correction",
    "Fading",
    "Illumination",
    "NoiseModel",
    "Shift",
    "apply_correction",
    "apply_shift",
    "correct_stack",
    "estimate_attenuation",
    "estimate_background",
    "estimate_bleaching",
    "estimate_drift",
    "estimate_falloff",
    "estimate_illumination",
    "estimate_noise",
    "estimate_shift",
    "even_out",
    "find_correction",
    "flat_from_files",
    "given_attenuation",
    "noise_sd",
    "pool_fadings",
    "pool_shifts",
]
