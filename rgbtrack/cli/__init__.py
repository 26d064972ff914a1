"""The command line, over the public functions only.

Exit codes: 0 done; 1 a defect of rgbtrack; 2 the user can mend it; 3 done, but some images failed.
"""

from rgbtrack.cli import plans, prepare, results, runs  # each adds its commands
from rgbtrack.cli.entry import main
from rgbtrack.cli.program import app

__all__ = ["app", "main", "plans", "prepare", "results", "runs"]
