"""What a run would do, and why, without doing it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rgbtrack.files import read_json
from rgbtrack.pipeline.batches import batches_due, judge_batches, knowing
from rgbtrack.pipeline.call_clones import clones_step
from rgbtrack.pipeline.dynamics import dynamics_step
from rgbtrack.pipeline.experiment import Experiment, read_experiment
from rgbtrack.pipeline.image import why_image_due
from rgbtrack.pipeline.runs import image_tasks, report_step
from rgbtrack.pipeline.steps import Step, why_due
from rgbtrack.pipeline.tracks import link_step

Records = dict[str, dict[str, Any]]
STEPS: dict[str, Callable[[Experiment, Path, Records], Step]] = {
    "clones": clones_step,
    "link": link_step,
    "dynamics": dynamics_step,
    "report": report_step,
}
"""Stages after the images, in their order; each rests on the tables of those before."""


@dataclass(frozen=True)
class Due:
    """Something that a run would do.

    Attributes
    ----------
    what
        "batches", an image by ``image <image_id>``, or a stage.
    why
        What changed since it was done.
    """

    what: str
    why: tuple[str, ...]


def find_due(experiment: Experiment | str | Path, out: str | Path | None = None) -> list[Due]:
    """Find what a run would do, and why; nothing is written.

    Parameters
    ----------
    experiment, out
        As for `rgbtrack.run`.

    Returns
    -------
    due
        In the order in which it would be done; empty where everything is up to date.

    Raises
    ------
    ParamError, DataError
        As `rgbtrack.run` of the same.
    """
    if not isinstance(experiment, Experiment):
        experiment = read_experiment(experiment)
    results = Path(out) if out is not None else experiment.folder / "results"
    tasks = image_tasks(experiment, results)
    found = []
    if batches_due(tasks, results):
        found.append(Due("batches", ("images, or their settings, changed: what they share is looked for",)))
    tasks = knowing(tasks, judge_batches(tasks, results))
    for task in tasks:
        why = why_image_due(task)
        if why:
            found.append(Due(f"image {task.image_id}", tuple(why)))
    records = {} if found else {task.image_id: dict(read_json(task.record_file)) for task in tasks}
    for name, step_of in STEPS.items():
        why = ["follows"] if found else why_due(results, step_of(experiment, results, records))
        if why:
            found.append(Due(name, tuple(why)))
    return found
