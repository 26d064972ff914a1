"""How far channels lie beside each other, found once for each batch of images."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import rgbtrack
from rgbtrack.correct import Shift, correct_stack, estimate_shift, noise_sd, pool_shifts
from rgbtrack.errors import RgbtrackError, RgbtrackWarning
from rgbtrack.files import read_json, sha256, write_json
from rgbtrack.pipeline.findings import Finding
from rgbtrack.pipeline.image import PARTS, ImageTask, content_key
from rgbtrack.pipeline.pool import map_tasks
from rgbtrack.pipeline.thumbnail import composite, markers_and_hues, tops
from rgbtrack.plot import plot_shift
from rgbtrack.stack import NUCLEUS

FIGURE_PX = 96
SAMPLE = 12
"""Images of a batch that are looked at."""
WINDOW_PX, WINDOW_PLANES = 1024, 12
LEAST_PX = 0.15
"""Shifts below move no more than a thousandth of a cell's light."""

Shifts = dict[str, tuple[NDArray[np.float64] | None, list[Finding]]]


def find_shifts(
    tasks: Sequence[ImageTask], out: Path, workers: int, say: Callable[[int, int], None]
) -> Shifts:
    """Shift of every channel (c, 3) by batch, None where there is nothing to undo, and what was found.

    A few images of each batch are looked at, evenly spaced in the sheet. What a former run found in the same
    images is taken over.
    """
    batches: dict[str, list[ImageTask]] = {}
    for task in tasks:
        batches.setdefault(task.batch, []).append(task)
    chosen = [task for batch in batches.values() for task in _spaced(batch)]
    note = out / PARTS / "shifts.step"
    key = content_key(
        [
            rgbtrack.__version__,
            [
                (t.batch, list(t.channels.items()), t.correct.model_dump(), _checksums(t.paths))
                for t in chosen
            ],
        ]
    )
    known = read_json(note) if note.exists() and not tasks[0].overwrite else {}
    if known.get("key") != key:
        note.unlink(missing_ok=True)
        found: dict[int, Shift | None] = {}
        say(0, len(chosen))
        for index, shift in map_tasks(_look, chosen, min(workers, len(chosen)), lambda _: None):
            found[index] = shift
            say(len(found), len(chosen))
        pooled = {}
        for batch in batches:
            seen = [found[i] for i, task in enumerate(chosen) if task.batch == batch]
            shifts = [shift for shift in seen if shift is not None]
            if shifts:
                one = pool_shifts(shifts)
                pooled[batch] = {"zyx_px": one.zyx_px, "se": one.se}
        whole = all(shift is not None for shift in found.values())  # else they are looked at again
        write_json(note, {"key": key if whole else None, "batches": pooled})
    return known_shifts(tasks, out)


def known_shifts(tasks: Sequence[ImageTask], out: Path) -> Shifts:
    """What `find_shifts` found before, by batch; empty where it was not asked."""
    note = out / PARTS / "shifts.step"
    if not note.exists():
        return {}
    known = read_json(note)["batches"]
    first = {task.batch: task for task in reversed(tasks)}
    return {batch: _judge(batch, task, known.get(batch)) for batch, task in sorted(first.items())}


def _spaced(tasks: list[ImageTask]) -> list[ImageTask]:
    return [tasks[i] for i in np.unique(np.linspace(0, len(tasks) - 1, SAMPLE).astype(int))]


def _checksums(paths: Sequence[Path]) -> list[str]:
    return [sha256(path) if path.is_file() else "" for path in paths]


def _look(task: ImageTask) -> Shift | None:
    """Shift of one image, of its markers; None where the image cannot be read, which is told later."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            stack = task.read()
            stack = stack.select({name: name for name in stack.channels if name != NUCLEUS})
            height, width = stack.pixels.shape[3:]
            window = tuple(
                slice((n - min(n, WINDOW_PX)) // 2, (n + min(n, WINDOW_PX) + 1) // 2) for n in (height, width)
            )
            corrected = correct_stack(stack.crop((window[0], window[1])).frame(0), task.correct)
            planes = corrected.pixels.shape[2]
            first = (planes - min(planes, WINDOW_PLANES)) // 2
            return estimate_shift(corrected.pixels[0, :, first : first + WINDOW_PLANES], noise_sd(corrected))
    except (RgbtrackError, OSError, MemoryError):
        return None


def _judge(
    batch: str, task: ImageTask, found: dict[str, Any] | None
) -> tuple[NDArray[np.float64] | None, list[Finding]]:
    markers = [name for name in task.channels if name != NUCLEUS]
    if found is None:
        return None, [Finding("chromatic shift", batch, reason="no image could be read")]
    se = np.array(found["se"], float)
    shift = Shift(
        np.array(found["zyx_px"], float), np.where(np.isnan(se), np.inf, se)
    )  # JSON has no infinity
    evident = shift.evident(LEAST_PX)
    findings = []
    for c, name in enumerate(markers):
        for axis, value, se in zip("zyx", shift.zyx_px[c], shift.se[c], strict=True):
            if axis == "z" and not np.isfinite(shift.se[:, 0]).sum() > 1:
                continue  # one plane
            reference = bool((shift.se[c] == 0).all())
            findings.append(
                Finding(
                    "chromatic shift",
                    batch,
                    channel=f"{name} {axis}",
                    value=float(value),
                    se=float(se),
                    unit="px" if axis != "z" else "planes",
                    applied=bool(evident[c]),
                    reason=_words(reference, bool(evident[c]), float(se)),
                )
            )
    if not evident.any():
        return None, findings
    applied = np.zeros((len(task.channels), 3))
    for c, name in enumerate(markers):
        if evident[c]:
            applied[list(task.channels).index(name)] = np.where(np.isfinite(shift.se[c]), shift.zyx_px[c], 0)
    return applied, findings


def _words(reference: bool, evident: bool, se: float) -> str:
    if reference:
        return "the others are measured against it"
    if not np.isfinite(se):
        return "shares too few cells with the others to tell"
    return "moved back" if evident else f"within {LEAST_PX:g} px or three standard errors: left as it is"


def draw_shift(task: ImageTask, shift_px: NDArray[np.float64]) -> Figure | None:
    """The place of an image where two markers are brightest together, before and after; None if it fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            frame = task.read().frame(0)
            stacks = [correct_stack(frame, task.correct, shift_px=shift) for shift in (None, shift_px)]
    except (RgbtrackError, OSError, MemoryError):
        return None
    markers, hues = markers_and_hues(stacks[1])
    index = [stacks[1].channels.index(name) for name in markers]
    light = np.asarray(stacks[1].pixels[0, index]).max(axis=(2, 3))
    z = int(light.min(axis=0).argmax())
    plane = stacks[1].pixels[0, index, z]
    scale = tops(plane)
    shared = np.sort(np.stack([p / top for p, top in zip(plane, scale, strict=True)]), axis=0)[-2]
    shared = cv2.blur(np.clip(shared, 0, 1).astype(np.float32), (FIGURE_PX // 2, FIGURE_PX // 2))
    y, x = np.unravel_index(int(shared.argmax()), shared.shape)
    start = [
        int(np.clip(at - FIGURE_PX // 2, 0, max(0, n - FIGURE_PX)))
        for at, n in ((y, plane.shape[1]), (x, plane.shape[2]))
    ]
    window = (slice(start[0], start[0] + FIGURE_PX), slice(start[1], start[1] + FIGURE_PX))
    pictures = [
        composite(stack.pixels[0, index, z][:, window[0], window[1]], hues, scale) for stack in stacks
    ]
    names = list(task.channels)
    told = "; ".join(
        f"{name} {shift_px[c, 1]:+.2f} px down, {shift_px[c, 2]:+.2f} px right"
        for c, name in enumerate(names)
        if shift_px[c].any()
    )
    return plot_shift(pictures, stacks[1].pixel_size_um, f"{task.image_id}: {told}")
