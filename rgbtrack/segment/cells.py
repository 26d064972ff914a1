"""Cells from a corrected stack."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.segment.diameter import (
    brightest_window,
    estimate_diameter,
    light_above_noise,
    typical_diameter,
)
from rgbtrack.segment.filters import wide_factor
from rgbtrack.segment.joining import join_regions, seam_features, typical_size
from rgbtrack.segment.methods import method_diameter, run_method
from rgbtrack.segment.network import network
from rgbtrack.segment.objects import DEBRIS, FEATURES, cell_probability, like_cells, object_features, reason
from rgbtrack.segment.outlines import make_whole, trim
from rgbtrack.segment.params import OURS, SegmentParams
from rgbtrack.segment.parts import LEAST_PIECE, Parts, find_parts
from rgbtrack.segment.regions import (
    CHANNELS,
    POSITION,
    Array,
    Seams,
    find_seams,
    highest,
    region_sizes,
    region_sums,
    relabel,
    renumber,
)
from rgbtrack.segment.working import (
    Working,
    enlarge,
    haze_ratios,
    haze_share,
    shrink_of,
    split_channels,
    thin_out,
    working_image,
)
from rgbtrack.stack import Stack

NUCLEUS_SIZE = 0.6
"""Diameter of a nucleus, share of the cell's."""
SURE_WITHOUT_NUCLEUS = 0.95
WITH_NUCLEUS = 0.3
"""A nucleus speaks for the cell around it: this share of the least probability is enough."""
NO_NUCLEUS = "no nucleus in it"
CENTRE = ["z_px", "y_px", "x_px"]
LEAST_DIAMETER = 3.2
MAX_ROUNDS = 4
SETTLED = 0.08
FEW = 8
UNLIKELY = 0.1
"""Share of the objects that are cells, below which the diameter is doubted."""
OTHER_STARTS = (1 / 3, 2)
MANY = 50
WINDOW = 20
"""Of the window in which the diameter is looked for, in diameters."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Cells of a stack.

    Attributes
    ----------
    labels
        Cell ids from 1, 0 is background, shape (t, z, y, x), uint32. Each frame counts anew.
    diameter_um
        The diameter used; of other methods than our own, the median of what was found.
    rejected
        Objects that were found and set aside: reason to number.
    cells
        One row per cell: ``frame, cell, cell_probability`` (that it is a cell) and ``join_probability`` (the
        least at which two of its parts were joined; 1 where it is one part).
    set_aside
        One row per object of `rejected`: ``frame, z_px, y_px, x_px`` (its centre, image pixels from 0) and
        ``reason``.
    """

    labels: NDArray[np.uint32]
    diameter_um: float
    rejected: dict[str, int] = field(default_factory=dict)
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    set_aside: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["frame", *CENTRE, "reason"])
    )


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects of a working image: labels (z, y, x), their number, features, sureness of joining, centres."""

    labels: NDArray[np.int32]
    n: int
    features: Array
    join_probability: Array
    centre: Array


@dataclass(frozen=True, eq=False)
class Sight:
    """What is seen of an image in some channels: share of haze (c,), and what cells are like, (3, 6)."""

    haze: Array
    cells: Array | None


@dataclass(frozen=True, eq=False)
class Survey:
    """What the cells of an image are like: their diameter, and what is seen of them and of their nuclei."""

    diameter_um: float
    markers: Sight
    stain: Sight | None = None


def segment_cells(stack: Stack, params: SegmentParams = SegmentParams()) -> NDArray[np.uint32]:  # noqa: B008
    """Find cells.

    All channels are brought to units of noise and texture, in which an edge counts alike between dim cells
    and between bright ones. What stands above noise is cut into parts at every edge of colour or brightness
    and at every neck; parts are joined, surest first, across seams that are probably inside one cell; each
    object is trimmed to a share of its own level and kept if it is probably a cell. Both probabilities come
    from small networks fitted to simulated scenes and real nuclei, on features free of scale.

    Parameters
    ----------
    stack
        From `correct_stack`.
    params
        How cells are found.

    Returns
    -------
    labels
        Shape (t, z, y, x), uint32, 0 is background, cells from 1 in each frame.

    Raises
    ------
    DataError
        If the stack is not corrected, is a volume where `params` ask for a projection, its cells would be
        narrower than 3 px or larger than the image, or another method fails.
    ParamError
        If there is no such method.

    Notes
    -----
    The above is our own method; ``params.method`` names others, see `rgbtrack.segment.methods`.
    """
    return find_cells(stack, params).labels


def find_cells(
    stack: Stack,
    params: SegmentParams = SegmentParams(),  # noqa: B008
    survey: Survey | None = None,
) -> Segmentation:
    """Find cells and tell what was set aside; see `segment_cells`.

    Of a part of an image cells are found as in the whole where `survey_cells` tells what those are like.
    """
    if stack.noise is None or stack.gain is None:
        raise DataError(f"{stack.source}: the noise of the stack is not known: call correct_stack first")
    if params.projection != "none" and stack.pixels.shape[2] > 1:
        raise DataError(
            f"{stack.source}: projection is {params.projection!r}, the stack has {stack.pixels.shape[2]} "
            f"planes: call stack.project({params.projection!r}) before correct_stack"
        )
    if params.method != OURS:
        found = run_method(stack, params)
        return Segmentation(found, params.diameter_um or method_diameter(found, stack))
    pixel_um = stack.pixel_size_um or 1.0
    if survey is not None:
        diameter_um = survey.diameter_um
    else:
        diameter_um = params.diameter_um or _find_diameter(stack, params) * pixel_um
    _check_diameter(stack, diameter_um, pixel_um)
    frames = []
    tables, set_aside = [], []
    for t in range(stack.n_frames):
        labels, table, lost = _find_in_frame(stack, t, diameter_um / pixel_um, params, survey)
        frames.append(labels)
        tables.append(table.drop(columns=CENTRE).assign(frame=t))
        set_aside.append(lost.assign(frame=t))
    lost = pd.concat(set_aside, ignore_index=True)
    rejected = {str(why): int(n) for why, n in lost["reason"].value_counts(sort=False).items()}
    # a single frame is not copied
    return Segmentation(
        frames[0][None] if len(frames) == 1 else np.stack(frames),
        diameter_um,
        rejected,
        pd.concat(tables, ignore_index=True),
        lost,
    )


def _find_in_frame(
    stack: Stack, t: int, diameter_px: float, params: SegmentParams, survey: Survey | None
) -> tuple[NDArray[np.uint32], pd.DataFrame, pd.DataFrame]:
    """Labels (z, y, x) of one frame, a row per cell, and one for each thing set aside."""
    markers, stain = split_channels(stack)
    of_markers, of_stain = (None, None) if survey is None else (survey.markers, survey.stain)
    if not stain:
        return _find_by_light(stack, t, markers, diameter_px, params, None, of_markers)
    nuclei, sure, _ = _find_by_light(stack, t, stain, _nucleus_px(diameter_px), params, None, of_stain)
    labels, table, lost = _find_by_light(stack, t, markers, diameter_px, params, nuclei, of_markers)
    labels, table, empty = _drop_empty(labels, table, nuclei)
    lost = pd.concat([lost, empty], ignore_index=True)
    # a nucleus without a marked cell around it is a cell too
    n, n_nuclei = len(table), len(sure)
    inside = np.bincount(nuclei[labels > 0], minlength=n_nuclei + 1)
    alone = inside < 0.5 * np.bincount(nuclei.ravel(), minlength=n_nuclei + 1)
    bare, n_bare = renumber(nuclei.astype(np.int32), alone)
    labels = np.where((labels == 0) & (bare > 0), bare + n, labels).astype(np.uint32)
    bare_cells = sure[alone[1:]].assign(cell=n + 1 + np.arange(n_bare))
    return labels, pd.concat([table, bare_cells], ignore_index=True), lost


def _drop_empty(
    labels: NDArray[np.uint32], table: pd.DataFrame, nuclei: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], pd.DataFrame, pd.DataFrame]:
    """Set aside what has no nucleus, unless it is very surely a cell; a row for each of those."""
    n = len(table)
    stained = np.bincount(labels[nuclei > 0], minlength=n + 1)[1:] > 0
    keep = stained | (table["cell_probability"].to_numpy() > SURE_WITHOUT_NUCLEUS)
    kept, n_kept = renumber(labels.astype(np.int32), np.concatenate([[False], keep]))
    empty = table.loc[~keep, CENTRE].assign(reason=NO_NUCLEUS)
    return kept.astype(np.uint32), table[keep].assign(cell=np.arange(1, n_kept + 1)), empty


def _find_by_light(
    stack: Stack,
    t: int,
    channels: list[int],
    diameter_px: float,
    params: SegmentParams,
    nuclei: NDArray[np.uint32] | None = None,
    known: Sight | None = None,
) -> tuple[NDArray[np.uint32], pd.DataFrame, pd.DataFrame]:
    """Labels (z, y, x) of what shines in some channels, a row each, and one for each thing set aside."""
    labels, objects, probability, why, shrink = _judged(
        stack, t, channels, diameter_px, params, nuclei, known
    )
    cell = why == ""
    # the centre of a working pixel, in image pixels
    step = np.array([1, shrink, shrink])
    centre = pd.DataFrame(step * objects.centre + (step - 1) / 2, columns=CENTRE)
    lost = centre[~cell].assign(reason=why[~cell])
    table = pd.DataFrame(
        {
            "cell": np.arange(1, cell.sum() + 1),
            "cell_probability": probability[cell],
            "join_probability": objects.join_probability[cell],
            **centre[cell].to_dict("list"),
        }
    )
    return labels, table, lost


def _judged(
    stack: Stack,
    t: int,
    channels: list[int],
    diameter_px: float,
    params: SegmentParams,
    nuclei: NDArray[np.uint32] | None = None,
    known: Sight | None = None,
) -> tuple[NDArray[np.uint32], Objects, Array, NDArray[Any], int]:
    """Labels of cells, all objects, how probably each is a cell, why it is none, and the shrink."""
    haze, cells = (None, None) if known is None else (known.haze, known.cells)
    objects, stained, shrink = _objects_by_light(stack, t, channels, diameter_px, params, nuclei, haze)
    probability = cell_probability(objects.features, _kind(stack), cells)
    why = reason(objects.features, params.min_area)
    least = np.where(stained, WITH_NUCLEUS, 1) * params.min_probability
    why[(probability >= least) & (why != DEBRIS)] = ""
    labels, _ = renumber(objects.labels, np.concatenate([[False], why == ""]))
    return enlarge(labels, shrink, stack.pixels.shape[2:]), objects, probability, why, shrink


def _objects_by_light(
    stack: Stack,
    t: int,
    channels: list[int],
    diameter_px: float,
    params: SegmentParams,
    nuclei: NDArray[np.uint32] | None,
    haze: Array | None,
) -> tuple[Objects, NDArray[np.bool_], int]:
    """What shines in some channels, whether each has a nucleus, and image pixels per working pixel."""
    working = working_image(stack, t, channels, diameter_px, haze)
    seeds = None if nuclei is None else thin_out(nuclei, working.shrink, working.strength.shape)
    objects = join_parts(find_parts(working, params.min_snr, seeds), working, params, seeds)
    stained = np.zeros(objects.n + 1, bool)
    if seeds is not None:
        stained[objects.labels[seeds > 0]] = True
    return objects, stained[1:], working.shrink


def survey_cells(stacks: Sequence[Stack], params: SegmentParams = SegmentParams()) -> Survey:  # noqa: B008
    """Learn from parts of an image what its cells are like.

    Parameters
    ----------
    stacks
        Parts of one frame, from `apply_correction`; of a single part, taken for the whole, `find_cells` finds
        the same cells with the survey and without.
    params
        How cells are found.

    Returns
    -------
    survey
        For `find_cells`.
    """
    first = stacks[0]
    pixel_um = first.pixel_size_um or 1.0
    markers, stain = split_channels(first)
    richest = max(stacks, key=lambda part: light_above_noise(part, stain or markers))
    diameter_um = params.diameter_um or _find_diameter(richest, params) * pixel_um
    _check_diameter(richest, diameter_um, pixel_um)
    diameter_px = diameter_um / pixel_um
    if not stain:
        return Survey(diameter_um, _sight(stacks, markers, diameter_px, params, [None] * len(stacks)))
    of_stain = _sight(stacks, stain, _nucleus_px(diameter_px), params, [None] * len(stacks))
    nuclei = [
        _find_by_light(part, 0, stain, _nucleus_px(diameter_px), params, None, of_stain)[0] for part in stacks
    ]
    return Survey(diameter_um, _sight(stacks, markers, diameter_px, params, nuclei), of_stain)


def alignment_px(diameter_px: float, stain: bool) -> int:
    """Pixels of which parts of an image begin at a multiple, so that cells are as in the whole."""
    sizes = [diameter_px, _nucleus_px(diameter_px)] if stain else [diameter_px]
    shrinks = [shrink_of(size) for size in sizes]
    # blocks of the wide means, a power of two
    blocks = [wide_factor(size / shrink) * shrink for size, shrink in zip(sizes, shrinks, strict=True)]
    return int(np.lcm.reduce(blocks))


def _sight(
    stacks: Sequence[Stack],
    channels: list[int],
    diameter_px: float,
    params: SegmentParams,
    nuclei: Sequence[NDArray[np.uint32] | None],
) -> Sight:
    ratios = zip(*(haze_ratios(part, 0, channels, diameter_px) for part in stacks), strict=True)
    haze = np.array([haze_share(np.concatenate(channel)) for channel in ratios])
    features = np.concatenate(
        [
            _objects_by_light(part, 0, channels, diameter_px, params, seeds, haze)[0].features
            for part, seeds in zip(stacks, nuclei, strict=True)
        ]
    )
    if len(stacks) > 1:  # what a part cuts, the image does not
        features = features[features[:, FEATURES.index("cut by the image")] == 0]
    if not len(features):
        return Sight(haze, None)
    return Sight(haze, like_cells(features, network(_kind(stacks[0]))(features)))


def _kind(stack: Stack) -> str:
    """Name of the network that judges objects."""
    return "volume_objects" if stack.pixels.shape[2] > 1 else "objects"


def _nucleus_px(diameter_px: float) -> float:
    return max(NUCLEUS_SIZE * diameter_px, LEAST_DIAMETER)


def _find_diameter(stack: Stack, params: SegmentParams) -> float:
    """Diameter of a typical cell in pixels: that of the cells found with it, or of their nuclei.

    Starts at the scale of the blobs. Where that leads to few cells or nearly all objects are set aside,
    tissue may have looked like a cell, or the texture of cells like cells: other starts may find cells that
    cover more.
    """
    t = stack.n_frames // 2
    markers, stain = split_channels(stack)
    channels = stain or markers
    start = estimate_diameter(stack, t, channels)
    diameter, n, n_objects = _settle_diameter(stack, t, channels, start, params)
    if n < max(FEW, UNLIKELY * n_objects):
        others = [_settle_diameter(stack, t, channels, start * by, params) for by in OTHER_STARTS]
        for other, n_other, n_objects_other in others:
            if n_other * other**2 > n * diameter**2:
                diameter, n, n_objects = other, n_other, n_objects_other
        if n_objects > MANY and n < UNLIKELY * n_objects:
            warnings.warn(
                f"{stack.source}: only {n} of {n_objects} objects look like cells, whatever their diameter: "
                f"look at the outlines, and set diameter_um",
                RgbtrackWarning,
                stacklevel=3,
            )
    diameter = max(diameter, LEAST_DIAMETER)
    return diameter / NUCLEUS_SIZE if stain else diameter


def _settle_diameter(
    stack: Stack, t: int, channels: list[int], diameter: float, params: SegmentParams
) -> tuple[float, int, int]:
    """Find cells again and again with the median diameter of those found before; their number, of objects.

    In a window of some hundred cells. Comes to within a few percent from half or twice the true diameter.
    """
    n = n_objects = 0
    for _ in range(MAX_ROUNDS):
        diameter = max(diameter, LEAST_DIAMETER)
        window = brightest_window(stack, t, channels, int(WINDOW * diameter))
        labels, _, probability, why, _ = _judged(stack.frame(t).crop(window), 0, channels, diameter, params)
        found, n = typical_diameter(labels, probability[why == ""])
        n_objects = len(why)
        if n == 0:
            break
        change = abs(np.log(found / diameter))
        diameter = found
        if change < SETTLED:
            break
    return diameter, n, n_objects


def join_parts(
    parts: Parts, working: Working, params: SegmentParams, nuclei: NDArray[np.int32] | None = None
) -> Objects:
    """Join parts to objects and trim them to their outlines; parts of different nuclei stay apart."""
    n_nuclei = 0 if nuclei is None else int(nuclei.max(initial=0))
    volume = parts.labels.shape[0] > 1
    judge = network("volume_seams" if volume else "seams")
    sums = region_sums(parts.labels, parts.n, working.strength, working.units, working.light)
    peak = highest(parts.labels, parts.n, parts.distance)
    seams = find_seams(parts.labels, parts.n, parts.gradient, working.strength, parts.distance)

    def describe(seams: Seams, sums: Array, peak: Array) -> Array:
        return seam_features(seams, sums, peak, working.diameter, working.spacing, volume)

    def weigh(seams: Seams, features: Array) -> Array:
        return np.where(seams.second <= n_nuclei, 0.0, judge(features))

    root, doubt = join_regions(seams, sums, peak, describe, weigh, params.join)
    return outline_objects(root, doubt, sums, parts, working, params, nuclei)


def outline_objects(
    root: NDArray[np.int64],
    doubt: Array,
    sums: Array,
    parts: Parts,
    working: Working,
    params: SegmentParams,
    nuclei: NDArray[np.int32] | None = None,
) -> Objects:
    """Trim joined parts, of which sums are given, to their outlines and describe them.

    A nucleus is not trimmed off its cell.
    """
    n = parts.n
    labels = relabel(parts.labels, root.astype(np.int32))
    colour = slice(CHANNELS + len(working.units), None)
    light = np.zeros((n + 1, len(working.units)))
    np.add.at(light, root, sums[:, colour])
    trimmed = trim(labels, light, working.light, params.contrast)
    if nuclei is not None:
        trimmed = np.where(nuclei > 0, labels, trimmed)
    del labels  # memory, where it is needed most
    labels = make_whole(trimmed, n)
    least = LEAST_PIECE * typical_size(working.diameter, working.spacing, labels.shape[0] > 1)
    there = region_sizes(labels, n) > least
    doubt = doubt[1:][there[1:]]
    labels, n = renumber(labels, there)
    sums = region_sums(labels, n, working.strength, working.units, working.light)
    peak = highest(labels, n, parts.distance)
    features = object_features(labels, n, sums, peak, parts.gradient, working)
    return Objects(labels, n, features, doubt, sums[1:, POSITION] / np.maximum(sums[1:, :1], 1))


def _check_diameter(stack: Stack, diameter_um: float, pixel_um: float) -> None:
    diameter_px = diameter_um / pixel_um
    if diameter_px < 3:
        raise DataError(
            f"{stack.source}: a cell of {diameter_um:g} um is {diameter_px:.1f} px wide at {pixel_um:g} "
            f"um/px: check diameter_um and pixel_size_um; cells need at least 3 px"
        )
    if diameter_px > max(200, 4 * max(stack.pixels.shape[-2:])):
        raise DataError(
            f"{stack.source}: a cell of {diameter_um:g} um is {diameter_px:.0f} px at {pixel_um:g} um/px, "
            f"the image {stack.pixels.shape[-1]} px: check diameter_um and pixel_size_um"
        )
