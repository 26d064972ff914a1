"""Scenes and experiments with planted truth, to test with and to plan with."""

from rgbtrack.simulate.experiment import simulate_experiment
from rgbtrack.simulate.founders import simulate_founders
from rgbtrack.simulate.lesions import LesionScene, simulate_lesions
from rgbtrack.simulate.movies import MovieParams, simulate_tracks
from rgbtrack.simulate.params import CASES, PRESETS, SimulateParams
from rgbtrack.simulate.scene import Scene, simulate_scene
from rgbtrack.simulate.sizes import simulate_sizes

__all__ = [
    "CASES",
    "PRESETS",
    "LesionScene",
    "MovieParams",
    "Scene",
    "SimulateParams",
    "simulate_experiment",
    "simulate_founders",
    "simulate_lesions",
    "simulate_scene",
    "simulate_sizes",
    "simulate_tracks",
]
