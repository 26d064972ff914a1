"""What the images of a batch share, found in a few of them before any is worked on."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

import rgbtrack
from rgbtrack.correct import Illumination, Shift, pool_shifts
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.files import fingerprint, read_json, write_json
from rgbtrack.pipeline.findings import Finding
from rgbtrack.pipeline.image import UNREADABLE, content_key
from rgbtrack.pipeline.lamps import Glimpse, flat_of, light_findings, light_of, pool_glimpses, take_glimpse
from rgbtrack.pipeline.pool import Crew, map_all, map_tasks
from rgbtrack.pipeline.shifts import judge_shift, look_for_shift
from rgbtrack.pipeline.task import PARTS, ImageTask, is_large

T = TypeVar("T")
SAMPLE = 12
"""Images of a batch that are looked at."""
NOTE = "batches.step"


class Look(NamedTuple):
    """What one image tells; None for what was not asked, or cannot be read (which is told later)."""

    shift: Shift | None
    light: Glimpse | None


class Shared(NamedTuple):
    """What is to be undone in all images of a batch.

    Attributes
    ----------
    shift_px
        How far each channel lies beside where it should, (c, 3); None for nothing.
    light
        Coefficients of the illumination of each channel, (c, k), see `rgbtrack.correct.light`; None for even.
    findings
        What was found, and whether it is undone.
    illumination
        What was seen of the light, by channel.
    """

    shift_px: NDArray[np.float64] | None
    light: NDArray[np.float64] | None
    findings: list[Finding]
    illumination: dict[str, Illumination]


def look_at_batches(
    tasks: Sequence[ImageTask], out: Path, crew: Crew, say: Callable[[int, int], None]
) -> None:
    """Look for what the images of each batch share, and note it; `judge_batches` reads it.

    A few images of each batch are looked at, evenly spaced in the sheet. What a former run found in the same
    images is taken over.
    """
    if not tasks[0].overwrite and not batches_due(tasks, out):
        return
    chosen, note = _chosen(tasks), out / PARTS / NOTE
    key = _key(chosen)
    note.unlink(missing_ok=True)
    found: dict[int, Look] = {}
    say(0, len(chosen))
    nothing = Look(None, None)
    for index, look in map_tasks(_look, chosen, crew, lambda _: nothing):
        found[index] = look
        say(len(found), len(chosen))
    seen = {
        batch: [found[i] for i, task in enumerate(chosen) if task.batch == batch] for batch in by_batch(tasks)
    }
    glimpses = [[look.light for look in looks if look.light is not None] for looks in seen.values()]
    pooled = {}
    for (batch, looks), light in zip(seen.items(), map_all(pool_glimpses, glimpses, crew), strict=True):
        pooled[batch] = {"light": light}
        shifts = [look.shift for look in looks if look.shift is not None]
        if shifts:
            one = pool_shifts(shifts)
            pooled[batch]["shift"] = {"zyx_px": one.zyx_px, "se": one.se}
    whole = all(look != nothing for look in found.values())  # else they are looked at again
    write_json(note, {"key": key if whole else None, "batches": pooled})


def batches_due(tasks: Sequence[ImageTask], out: Path) -> bool:
    """Whether what the images of a batch share is to be looked for."""
    if not any(_asked(task) for task in tasks):
        return False
    note = out / PARTS / NOTE
    return not note.exists() or read_json(note).get("key") != _key(_chosen(tasks))


def _chosen(tasks: Sequence[ImageTask]) -> list[ImageTask]:
    return [task for batch in by_batch(tasks).values() for task in spaced(batch)]


def _key(chosen: Sequence[ImageTask]) -> str:
    looks = [(t.batch, list(t.channels.items()), t.correct.model_dump(), _known(t)) for t in chosen]
    return content_key([rgbtrack.__version__, looks])


def knowing(tasks: Sequence[ImageTask], known: Mapping[str, Shared]) -> list[ImageTask]:
    """Tasks that know the illumination of their batch, and how far its channels lie beside each other."""
    return [
        replace(task, shift_px=known[task.batch].shift_px, light=known[task.batch].light) for task in tasks
    ]


def judge_batches(tasks: Sequence[ImageTask], out: Path) -> dict[str, Shared]:
    """What there is to undo in each batch, of what `look_at_batches` noted."""
    note = out / PARTS / NOTE
    asked = note.exists() and any(_asked(task) for task in tasks)
    noted = read_json(note)["batches"] if asked else {}
    judged = {}
    for batch, of_batch in by_batch(tasks).items():
        shift, told = None, list[Finding]()
        if batch in noted and of_batch[0].correct.chromatic_shift == "auto":
            shift, told = judge_shift(batch, of_batch[0], noted[batch].get("shift"))
        light = noted.get(batch, {}).get("light", {}) if of_batch[0].correct.flat_field == "auto" else {}
        judged[batch] = Shared(shift, flat_of(light), [*light_findings(batch, light), *told], light_of(light))
    return judged


def _asked(task: ImageTask) -> bool:
    return task.correct.chromatic_shift == "auto" or task.correct.flat_field == "auto"


def by_batch(tasks: Sequence[ImageTask]) -> dict[str, list[ImageTask]]:
    """Tasks of each batch, in the order of the sheet."""
    batches: dict[str, list[ImageTask]] = {}
    for task in tasks:
        batches.setdefault(task.batch, []).append(task)
    return batches


def spaced(images: Sequence[T]) -> list[T]:
    """At most `SAMPLE` of the images, evenly spaced."""
    few = min(len(images), SAMPLE)
    return [images[i] for i in np.linspace(0, len(images) - 1, few).round().astype(int)]


def _known(task: ImageTask) -> list[str]:
    return [fingerprint(path, task.known_by) if path.exists() else "" for path in task.paths]


def _look(task: ImageTask) -> Look:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            stack = task.read()
            return Look(
                look_for_shift(stack, task.correct) if task.correct.chromatic_shift == "auto" else None,
                # of one stitched of many fields there is no light in common
                take_glimpse(stack, task.correct)
                if task.correct.flat_field == "auto" and not is_large(stack)
                else None,
            )
    except UNREADABLE:
        return Look(None, None)
