"""What only opening the images shows: headers only, so that it takes seconds."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from rgbtrack.errors import DataError, ParamError, RgbtrackWarning
from rgbtrack.files import OUTLINE_ENDINGS, find_doubts, read_labels, read_stack
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.masks import refuse_mask_volume
from rgbtrack.segment import check_method
from rgbtrack.stack import NUCLEUS, Stack


@dataclass(frozen=True)
class Problems:
    """What would go wrong in a run.

    Attributes
    ----------
    fatal
        What stops the run.
    images
        Image id to what is wrong with it: these images would fail, the others would not.
    doubts
        What files tell of themselves that is probably not so, to the ids of these images. They stop nothing.
    """

    fatal: tuple[str, ...]
    images: dict[str, str]
    doubts: dict[str, list[str]]

    def __bool__(self) -> bool:
        return bool(self.fatal or self.images)


def check_experiment(experiment: Experiment) -> Problems:
    """Open every image's header and tell what would stop or spoil a run.

    Parameters
    ----------
    experiment
        As `read_experiment` returns it.

    Returns
    -------
    problems
        Empty, and false, where all is well.
    """
    fatal: list[str] = []
    try:
        experiment.read_bleed_through()
    except DataError as error:
        fatal += str(error).splitlines()
    if any(labels is None for labels in experiment.labels):
        try:
            check_method(experiment.segment)
        except ParamError as error:
            fatal += [f"{experiment.path.name}: {problem}" for problem in error.problems]
    images: dict[str, str] = {}
    doubts: dict[str, list[str]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        for i, image_id in enumerate(experiment.samples["image_id"]):
            try:
                found, doubtful = _check_image(experiment, i)
            except DataError as error:
                found, doubtful = [str(error)], []
            if found:
                images[str(image_id)] = "; ".join(found)
            for doubt in doubtful:
                doubts.setdefault(doubt, []).append(str(image_id))
    return Problems(tuple(fatal), images, doubts)


def _check_image(experiment: Experiment, i: int) -> tuple[list[str], list[str]]:
    """What is wrong with an image, and what is doubtful of it."""
    read = read_stack(experiment.images[i], **experiment.reading(i))
    stack = read.project(experiment.segment.projection)
    problems = []
    wanted = dict(experiment.channels.markers)
    if experiment.channels.nucleus is not None:
        wanted[NUCLEUS] = experiment.channels.nucleus
    if len(stack.channels) < len(wanted):
        problems.append(f"{stack.source} has {len(stack.channels)} channels, {len(wanted)} are asked for")
    for channel in wanted.values():
        try:
            stack.channel_index(channel)
        except DataError as error:
            problems.append(str(error))
    if stack.pixel_size_um is None:
        problems.append(
            f"{stack.source} does not tell its pixel size: give it in the sheet's column pixel_size_um"
        )
    if stack.pixels.shape[2] > 1 and stack.z_step_um is None:
        problems.append(
            f"{stack.source} is a z-stack without z step: give it in the sheet's column z_step_um"
        )
    mask = experiment.labels[i]
    problems += _check_labels(mask, stack) if mask is not None else []
    return problems, find_doubts(read)


def _check_labels(mask: Path, stack: Stack) -> list[str]:
    refuse_mask_volume(mask, stack)
    shape = (stack.n_frames, *stack.pixels.shape[2:])
    if mask.suffix.lower() in (*OUTLINE_ENDINGS, ".npy"):
        read_labels(mask, shape)
        return []
    found = [n for n in read_stack(mask).pixels.shape if n > 1]
    if found != [n for n in shape if n > 1]:
        return [
            f"labels {mask.name} have shape {tuple(found)}, the image has (t, z, y, x) = {shape}: "
            "they must agree"
        ]
    return []
