"""Correction: from detector counts to background-free counts whose noise is known."""

from rgbtrack.correct.background import estimate_background
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
from rgbtrack.correct.stack import correct_stack

__all__ = [
    "CorrectParams",
    "NoiseModel",
    "Shift",
    "apply_shift",
    "correct_stack",
    "estimate_background",
    "estimate_drift",
    "estimate_noise",
    "estimate_shift",
    "noise_sd",
    "pool_shifts",
]
