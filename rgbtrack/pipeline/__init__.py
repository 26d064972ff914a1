"""From experiment.toml to a results folder: the stages, wired."""

from rgbtrack.pipeline.called import called_cells, replay
from rgbtrack.pipeline.check import Problems, check_experiment
from rgbtrack.pipeline.controls import make_bleed_through
from rgbtrack.pipeline.experiment import Experiment, check_section, read_experiment
from rgbtrack.pipeline.image import found_labels, voxel_um
from rgbtrack.pipeline.init import init_experiment
from rgbtrack.pipeline.remeasure import correct_frame, remeasure_cells
from rgbtrack.pipeline.review import redrawn_in
from rgbtrack.pipeline.run import Outcome, run

__all__ = [
    "Experiment",
    "Outcome",
    "Problems",
    "called_cells",
    "check_experiment",
    "check_section",
    "correct_frame",
    "found_labels",
    "init_experiment",
    "make_bleed_through",
    "read_experiment",
    "redrawn_in",
    "remeasure_cells",
    "replay",
    "run",
    "voxel_um",
]
