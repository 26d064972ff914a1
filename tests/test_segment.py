from dataclasses import replace

import numba
import numpy as np
import pytest

from rgbtrack import DataError, RgbtrackWarning, SegmentParams, SimulateParams, segment_cells
from rgbtrack.evaluate import detection_scores, match_cells
from rgbtrack.segment import find_cells, noise_units
from rgbtrack.simulate import PRESETS


def f1(labels, scene):
    """F1 at half overlap over the marked cells; unmarked ones count as neither missed nor false."""
    found = true = matched = 0
    for t in range(len(labels)):
        cells = scene.cells[scene.cells["frame"] == t]
        unmarked = set(cells.loc[cells["clone"].isna(), "cell"])
        pairs = match_cells(labels[t], scene.labels[t])
        neutral = int(pairs["true_cell"].isin(unmarked).sum())
        found += int(labels[t].max()) - neutral
        true += len(cells) - len(unmarked)
        matched += len(pairs) - neutral
    return detection_scores(found, true, matched)["f1"]


@pytest.mark.parametrize(
    ("preset", "seed", "least"),
    [
        ("sparse", 3, 0.98),
        ("sparse", 11, 0.98),
        ("sample", 5, 0.96),
        ("typical", 3, 0.97),
        ("confluent", 2, 0.95),
        ("dim_crowded", 1, 0.96),
        ("confocal", 1, 0.96),
        ("volume", 1, 0.95),
        ("timelapse", 1, 0.93),
    ],
)
def test_planted_cells_are_found(corrected, preset, seed, least):
    made = corrected(preset, seed=seed)
    assert f1(segment_cells(made.stack), made.scene) > least


def test_touching_cells_of_different_colour_are_parted_by_colour(corrected):
    crowded = corrected("touching_colours", seed=1)
    grey = replace(
        crowded.stack,
        pixels=crowded.stack.pixels.sum(1, keepdims=True),
        variance=crowded.stack.variance.sum(1, keepdims=True),
        saturated=crowded.stack.saturated.any(1, keepdims=True),
        gain=crowded.stack.gain[:1],
        channels=("grey",),
    )
    coloured, colourless = (
        f1(segment_cells(crowded.stack), crowded.scene),
        f1(segment_cells(grey), crowded.scene),
    )
    assert coloured > 0.97
    assert coloured > colourless + 0.02


def test_labels_count_from_one_without_gaps(sparse):
    labels = segment_cells(sparse.stack)
    assert labels.dtype == np.uint32
    assert labels.shape == sparse.scene.labels.shape
    assert np.unique(labels).tolist() == list(range(int(labels.max()) + 1))


def test_the_diameter_is_estimated(sparse):
    area = np.bincount(sparse.scene.labels.ravel())[1:]
    true = np.median(2 * np.sqrt(area[area > 0] / np.pi)) * 0.65
    assert find_cells(sparse.stack).diameter_um == pytest.approx(true, rel=0.25)


def test_noise_units_have_unit_noise_at_any_brightness(corrected):
    for background in (3.0, 300.0):
        params = SimulateParams(
            n_cells=0, debris=0, background=background, size_px=256, vignetting=0, gradient=0
        )
        empty = corrected(params)
        spread = noise_units(empty.stack).std(axis=(1, 2, 3))
        assert spread == pytest.approx(np.ones(3), abs=0.15)


@pytest.mark.parametrize("case", ["empty", "one_cell"])
def test_images_of_no_or_one_cell(corrected, case):
    made = corrected(case, seed=2)
    labels = segment_cells(made.stack, SegmentParams(diameter_um=14))
    assert labels.max() == {"empty": 0, "one_cell": 1}[case]


def test_an_empty_image_says_that_it_guesses_the_diameter(corrected):
    with pytest.warns(RgbtrackWarning, match="no cells to estimate a diameter from"):
        assert segment_cells(corrected("empty", seed=2).stack).max() == 0


def test_channel_order_changes_nothing(sparse):
    turned = sparse.stack.select({"blue": "blue", "red": "red", "green": "green"})
    assert np.array_equal(segment_cells(turned), segment_cells(sparse.stack))


def test_gain_changes_nothing_that_matters(sparse):
    louder = replace(
        sparse.stack,
        pixels=3 * sparse.stack.pixels,
        variance=9 * sparse.stack.variance,
        gain=3 * sparse.stack.gain,
    )
    a, b = segment_cells(sparse.stack), segment_cells(louder)
    assert len(match_cells(a[0], b[0], 0.9)) >= 0.99 * a.max()


def test_a_nuclear_stain_seeds_cells(corrected):
    params = PRESETS["typical"].model_copy(update={"nucleus": True, "size_px": 320})
    made = corrected(params, seed=1)
    stained = made.scene.stack.select(
        {"red": "mCherry", "green": "Venus", "blue": "Cerulean", "nucleus": "DAPI"}
    )
    from rgbtrack import correct_stack

    labels = segment_cells(correct_stack(stained))
    pairs = match_cells(labels[0], made.scene.labels[0])
    # every cell has a nucleus, so that unmarked cells are found too
    assert detection_scores(int(labels.max()), len(made.scene.cells), len(pairs))["recall"] > 0.75


@pytest.mark.parametrize(
    ("change", "params", "message"),
    [
        ({"variance": None}, {}, "call correct_stack first"),
        ({}, {"diameter_um": 1.0}, "cells need at least 3 px"),
        ({}, {"diameter_um": 1e9}, "check diameter_um and pixel_size_um"),
    ],
)
def test_what_cannot_be_segmented_is_refused(sparse, change, params, message):
    with pytest.raises(DataError, match=message):
        segment_cells(replace(sparse.stack, **change), SegmentParams(**params))


def test_a_projection_is_made_before_the_stack_is_corrected(corrected):
    volume = corrected(PRESETS["volume"].model_copy(update={"size_px": 96, "n_slices": 4}), seed=1)
    params = SegmentParams(projection="max", diameter_um=14)
    with pytest.raises(DataError, match=r"the stack has 4 planes: call stack.project\('max'\) before"):
        segment_cells(volume.stack, params)
    from rgbtrack import correct_stack

    plane = correct_stack(volume.scene.stack.project("max"))
    assert segment_cells(plane, params).shape == (1, 1, 96, 96)


@pytest.mark.parametrize("preset", ["sample", "volume"])
def test_cells_do_not_depend_on_the_number_of_threads(corrected, preset):
    stack = corrected(preset, seed=2).stack
    numba.set_num_threads(1)
    alone = find_cells(stack)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    together = find_cells(stack)
    np.testing.assert_array_equal(alone.labels, together.labels)
    assert alone.cells.equals(together.cells)
