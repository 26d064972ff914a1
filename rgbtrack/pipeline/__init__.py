"""From experiment.toml to a results folder: the stages, wired."""

from rgbtrack.pipeline.called import called_cells, replay
from rgbtrack.pipeline.check import Problems, check_experiment
from rgbtrack.pipeline.controls import make_bleed_through
from rgbtrack.pipeline.due import Due, find_due
from rgbtrack.pipeline.experiment import Experiment, check_section, read_experiment
from rgbtrack.pipeline.image import found_labels
from rgbtrack.pipeline.init import init_experiment
from rgbtrack.pipeline.remeasure import correct_frame, remeasure_cells
from rgbtrack.pipeline.review import redrawn_in
from rgbtrack.pipeline.run import Outcome, run
from rgbtrack.pipeline.task import voxel_um
from rgbtrack.pipeline.verify import Verified, is_results, verify_results

__all__ = [
    "Due",
    "Experiment",
    "Outcome",
    "Problems",
    "Verified",
    "called_cells",
    "check_experiment",
    "check_section",
    "correct_frame",
    "find_due",
    "found_labels",
    "init_experiment",
    "is_results",
    "make_bleed_through",
    "read_experiment",
    "redrawn_in",
    "remeasure_cells",
    "replay",
    "run",
    "verify_results",
    "voxel_um",
]
