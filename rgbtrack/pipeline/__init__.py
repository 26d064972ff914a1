"""From experiment.toml to a results folder: the stages, wired."""

from rgbtrack.pipeline.called import called_cells, replay
from rgbtrack.pipeline.check import Problems, check_experiment
from rgbtrack.pipeline.controls import make_bleed_through
from rgbtrack.pipeline.experiment import Experiment, read_experiment
from rgbtrack.pipeline.init import init_experiment
from rgbtrack.pipeline.run import Outcome, run

__all__ = [
    "Experiment",
    "Outcome",
    "Problems",
    "called_cells",
    "check_experiment",
    "init_experiment",
    "make_bleed_through",
    "read_experiment",
    "replay",
    "run",
]
