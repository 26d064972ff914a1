from .called import called_cells, replay
from .check import Problems, check_experiment
from .controls import make_bleed_through
from .due import Due, find_due
from .experiment import Experiment, check_section, read_experiment
from .image import found_labels
from .init import init_experiment
from .remeasure import correct_frame, remeasure_cells
from .review import redrawn_in
from .runs import Outcome, run
from .task import voxel_um
from .verify import Verified, is_results, verify_results

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
