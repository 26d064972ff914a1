from dataclasses import replace

import cv2
import numba
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import nnls
from skimage.measure import regionprops

from rgbtrack import (
    CorrectParams,
    DataError,
    SignatureParams,
    SimulateParams,
    Stack,
    correct_stack,
    measure_signatures,
    simulate_scene,
)
from rgbtrack.signature import unmix, unmix_cells, unmix_nonnegative
from rgbtrack.signature.members import find_members
from rgbtrack.tables import CELLS, markers_of

NAMES = ("red", "green", "blue")


def disc_stack(colours, *, noise=5.0, radius=9, seed=0, names=NAMES, frames=1):
    """Discs of known colour on a flat background, noise known; one row of `colours` per disc."""
    rng = np.random.default_rng(seed)
    side = 40
    colours = np.asarray(colours, float)
    labels = np.zeros((frames, 1, side, side * len(colours)), np.uint32)
    pixels = np.zeros((frames, len(names), *labels.shape[1:]), np.float32)
    y, x = np.mgrid[:side, : labels.shape[-1]]
    for i, colour in enumerate(colours):
        inside = np.hypot(y - side / 2, x - side * (i + 0.5)) <= radius
        labels[:, 0, inside] = i + 1
        pixels[:, :, 0, inside] = colour[:, None]
    pixels += rng.normal(0, noise, pixels.shape).astype(np.float32)
    stack = Stack(
        pixels,
        tuple(names),
        pixel_size_um=0.5,
        variance=np.full(pixels.shape, noise**2, np.float32),
        gain=np.ones(len(names)),
        saturated=np.zeros(pixels.shape, bool),
    )
    return stack, labels


def test_intensities_lie_within_their_errors_of_the_truth():
    colours = [[200, 50, 0], [0, 300, 80], [30, 30, 30]]
    pulls = []
    for seed in range(40):
        stack, labels = disc_stack(colours, seed=seed)
        table = measure_signatures(stack, labels)
        for j, name in enumerate(NAMES):
            pulls.append((table[name] - np.array(colours)[:, j]) / table[f"{name}_se"])
    pulls = np.concatenate(pulls)
    assert abs(pulls.mean()) < 0.15
    # the error also covers background that cannot be seen here to be flat
    assert 0.6 < pulls.std() < 1.1


def test_the_table_is_what_is_promised():
    stack, labels = disc_stack([[100, 20, 5], [5, 100, 20]])
    table = measure_signatures(stack, labels).assign(image_id="a")
    CELLS.check(table)
    assert markers_of(table) == NAMES
    assert table["area_um2"].to_list() == pytest.approx([np.pi * 4.5**2] * 2, rel=0.05)
    assert table["x_um"].to_list() == pytest.approx([10, 30], abs=0.1)
    assert table[[f"{name}_fraction" for name in NAMES]].sum(axis=1).to_list() == pytest.approx([1, 1])
    assert table["red_fraction"][0] == pytest.approx(100 / 125, abs=0.02)
    assert not table[["touches_border", "saturated", "small", "doublet"]].any(axis=None)


def test_unmixing_undoes_bleed_through_and_carries_its_errors():
    rng = np.random.default_rng(1)
    mixing = np.array([[1, 0.05, 0.01], [0.03, 1, 0.2], [0, 0.05, 1]])
    variance = np.array([[4.0, 9.0, 1.0]])
    truth = np.array([100.0, 50.0, 200.0])
    raw = mixing @ truth + rng.normal(0, np.sqrt(variance), (20_000, 3))
    found, covariance = unmix(raw, np.broadcast_to(variance, raw.shape), mixing)
    assert found.mean(0) == pytest.approx(truth, abs=0.1)
    assert np.cov(found.T) == pytest.approx(covariance[0], rel=0.08, abs=0.15)


def test_more_detectors_than_markers_are_weighted_by_noise():
    mixing = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    found, covariance = unmix(np.array([[10.0, 20.0, 15.0]]), np.array([[1.0, 1.0, 1.0]]), mixing)
    assert found[0] == pytest.approx([10, 20])
    assert covariance[0, 0, 0] < 1


def test_a_stack_with_a_matrix_is_unmixed():
    matrix = pd.DataFrame(np.eye(3) + 0.2 * np.eye(3, k=1), index=NAMES, columns=NAMES)
    stack, labels = disc_stack([[60, 300, 0]])
    table = measure_signatures(replace(stack, bleed_through=matrix), labels)
    assert table["red"][0] == pytest.approx(0, abs=3)
    assert table["red_raw"][0] == pytest.approx(60, abs=3)


def test_bleed_through_that_may_be_off_makes_a_cell_less_sure():
    matrix = pd.DataFrame(np.eye(3) + 0.2 * np.eye(3, k=1), index=NAMES, columns=NAMES)
    stack, labels = disc_stack([[60, 300, 0]])
    stack = replace(stack, bleed_through=matrix)
    exact = measure_signatures(stack, labels, SignatureParams(bleed_error=0))
    usual = measure_signatures(stack, labels, SignatureParams(bleed_error=0.1))
    assert usual["red_se"][0] == pytest.approx(exact["red_se"][0], rel=0.05)
    expected = np.hypot(exact["red_systematic"][0], 0.1 * 0.2 * 300)
    assert usual["red_systematic"][0] == pytest.approx(expected, rel=0.05)


def test_neighbours_do_not_bleed_in():
    stack, labels = disc_stack([[0, 200, 0]])
    halo = np.zeros_like(stack.pixels)
    outline = labels[0, 0] > 0
    y, x = np.nonzero(outline)
    rim = np.hypot(y - 20, x - 20) > 7.5
    halo[0, 0, 0, y[rim], x[rim]] = 150  # light of a red neighbour on the outline
    table = measure_signatures(replace(stack, pixels=stack.pixels + halo), labels)
    assert table["red"][0] < 3


def test_two_cells_taken_for_one_are_flagged():
    stack, labels = disc_stack([[200, 0, 0], [200, 0, 0]])
    pixels = stack.pixels.copy()
    right = np.arange(pixels.shape[-1]) >= 20
    inside = (labels[0, 0] == 1) & right
    pixels[0, 0, 0, inside] -= 200
    pixels[0, 2, 0, inside] += 200
    table = measure_signatures(replace(stack, pixels=pixels), labels)
    assert table["doublet"].to_list() == [True, False]


def test_saturated_and_small_and_cut_cells_are_flagged():
    stack, labels = disc_stack([[200, 10, 10], [200, 10, 10]])
    saturated = stack.saturated.copy()
    saturated[0, 0, 0][labels[0, 0] == 1] = True
    labels[0, 0, 0:3, 60:63] = 3
    table = measure_signatures(replace(stack, saturated=saturated), labels).set_index("cell")
    assert table["saturated"].to_list() == [True, False, False]
    assert table["small"].to_list() == [False, False, True]
    assert table["touches_border"].to_list() == [False, False, True]


def test_gain_scales_intensities_and_errors_alike():
    stack, labels = disc_stack([[200, 50, 10]])
    louder = replace(stack, pixels=3 * stack.pixels, variance=9 * stack.variance)
    one, three = measure_signatures(stack, labels), measure_signatures(louder, labels)
    for name in NAMES:
        assert three[name][0] == pytest.approx(3 * one[name][0], rel=1e-3, abs=0.05)
        assert three[f"{name}_se"][0] == pytest.approx(3 * one[f"{name}_se"][0], rel=1e-3)
    assert three["snr"][0] == pytest.approx(one["snr"][0], rel=1e-3)


def test_marker_order_changes_nothing():
    stack, labels = disc_stack([[200, 50, 10], [10, 200, 50]])
    turned = stack.select({"blue": "blue", "red": "red", "green": "green"})
    one, other = measure_signatures(stack, labels), measure_signatures(turned, labels)
    for name in NAMES:
        assert other[name].to_numpy() == pytest.approx(one[name].to_numpy(), rel=1e-5, abs=1e-4)


def test_every_frame_and_no_cell():
    stack, labels = disc_stack([[200, 50, 10]], frames=2)
    assert measure_signatures(stack, labels)["frame"].to_list() == [0, 1]
    nothing = measure_signatures(stack, np.zeros_like(labels))
    assert nothing.empty
    assert markers_of(nothing) == NAMES


def test_volumes_are_measured_in_um3(corrected):
    volume = corrected(SimulateParams(n_cells=1, n_slices=12, size_px=96, unmarked=0, debris=0), seed=1)
    table = measure_signatures(volume.stack, volume.scene.labels)
    assert "area_um2" not in table
    assert table["volume_um3"][0] == pytest.approx((volume.scene.labels > 0).sum() * 0.65**2 * 2.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variance": None}, "call correct_stack first"),
        ({"labels": np.zeros((1, 1, 3, 3), np.uint32)}, "give one label for each pixel"),
        ({"channels": ("red",)}, "2 to 7 are needed"),
    ],
)
def test_what_cannot_be_measured_is_refused(change, message):
    stack, labels = disc_stack([[200, 50, 10]])
    labels = change.pop("labels", labels)
    if "channels" in change:
        stack, change = stack.select({"red": "red"}), {}
    with pytest.raises(DataError, match=message):
        measure_signatures(replace(stack, **change), labels)


# ---- against plain numpy, and whatever the number of threads


def crowd(seed=0, shape=(1, 90, 120), n=25):
    """Labels of discs that touch, overlap and leave the image; ids with gaps."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[tuple(map(slice, shape))]
    labels = np.zeros(shape, np.uint32)
    for i in range(n):
        place = [rng.uniform(0, size) for size in shape]
        near = np.hypot((y - place[1]) * rng.uniform(0.5, 1.5), x - place[2]) < rng.uniform(3, 12)
        labels[near & (np.abs(z - place[0]) < 3)] = 3 * i + 2
    return labels[None]


def noisy_stack(labels, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 5, (1, 3, *labels.shape[1:])).astype(np.float32)
    pixels += 40 * rng.random((labels.max() + 1, 3)).astype(np.float32)[labels[0]].transpose(3, 0, 1, 2)
    variance = rng.uniform(20, 30, pixels.shape).astype(np.float32)
    return Stack(pixels, NAMES, pixel_size_um=0.5, variance=variance, gain=np.ones(3))


@pytest.mark.parametrize("shape", [(1, 90, 120), (6, 50, 60)])
def test_sums_are_those_of_plain_numpy(shape):
    labels = crowd(shape=shape)
    stack = noisy_stack(labels)
    params = SignatureParams(surroundings_um=0)
    table = measure_signatures(stack, labels, params).set_index("cell")
    assert table.index.to_list() == sorted(set(labels[labels > 0].tolist()))
    frame = labels[0]
    same = frame > 0
    for axis in (1, 2):
        step = np.diff(frame, axis=axis) != 0
        before, after = [(0, 0)] * 3, [(0, 0)] * 3
        before[axis], after[axis] = (1, 0), (0, 1)
        same &= ~np.pad(step, before) & ~np.pad(step, after)
    depth = np.stack([cv2.distanceTransform(p.astype(np.uint8), cv2.DIST_L2, 5) for p in same])
    for cell, row in table.iterrows():
        inside = frame == cell
        planes = inside.any(axis=(1, 2)).sum()
        core = inside & (depth > max(1, 0.3 * np.sqrt(inside.sum() / planes / np.pi)))
        assert row["small"] == (core.sum() < 12)
        used = inside if core.sum() < 12 else core
        _, y, x = np.nonzero(inside)
        assert (row["y_um"], row["x_um"]) == pytest.approx((0.5 * y.mean(), 0.5 * x.mean()))
        for c, name in enumerate(NAMES):
            assert row[f"{name}_raw"] == pytest.approx(stack.pixels[0, c][used].mean(), rel=1e-4, abs=1e-4)
            # the rest of the error is the same for all cells
            noise = table[f"{name}_se"][cell] ** 2 - stack.variance[0, c][used].sum() / used.sum() ** 2
            assert noise >= -1e-4
        faces = border = 0
        for axis in (1, 2):
            for way in (1, -1):
                if inside.shape[axis] > 1:
                    near = np.roll(frame, way, axis)
                    edge = [slice(None)] * 3
                    edge[axis] = 0 if way == 1 else -1
                    counted = inside & (near != cell)
                    counted[tuple(edge)] = False
                    faces += counted.sum()
                    border += (counted & (near > 0)).sum()
        assert row["touches_cell"] == pytest.approx(border / faces)


@pytest.mark.parametrize("seed", range(4))
def test_the_core_of_any_form_is_what_lies_deep_in_it(seed):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=(1, 150, 200)), (0, 7, 7))
    labels = np.digitize(field, np.quantile(field, [0.3, 0.5, 0.8])).astype(np.uint32)  # dents, holes, sides
    members = find_members(labels, SignatureParams(core=0.05 + 0.02 * seed))
    radius = np.sqrt(members.shapes[:, 0] / np.pi)
    least = (0.05 + 0.02 * seed) * radius
    expected = np.zeros(labels.shape[1:], np.uint32)
    for cell in members.rows:
        inside = np.pad(labels[0] == cell, 1, mode="edge").astype(np.uint8)
        inner = cv2.erode(inside, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))[1:-1, 1:-1]
        depth = cv2.distanceTransform(np.ascontiguousarray(inner), cv2.DIST_L2, 5)
        expected[depth > max(1, least[cell])] = cell
    core, found = members.core, np.zeros_like(expected)
    for y in range(len(found)):
        for run in range(core.first[y], core.first[y + 1]):
            found[y, core.begin[run] : core.stop[run]] = core.cell[run]
    assert 0.02 < (expected > 0).mean() < 0.7
    np.testing.assert_array_equal(found, expected)


def test_forms_are_those_of_scikit_image():
    labels = crowd(seed=1)
    table = measure_signatures(noisy_stack(labels), labels).set_index("cell")
    for region in regionprops(labels[0, 0].astype(int)):
        row = table.loc[region.label]
        assert row["perimeter_um"] == pytest.approx(0.5 * region.perimeter_crofton)
        long, short = (value + 1 / 12 for value in region.inertia_tensor_eigvals)  # pixels are squares
        assert row["eccentricity"] == pytest.approx(np.sqrt(1 - short / long), abs=1e-6)
        assert row["ellipse_fill"] == pytest.approx(region.area / (4 * np.pi * np.sqrt(long * short)))


def test_an_ellipse_fills_its_ellipse_and_a_ring_does_not():
    y, x = np.mgrid[:80, :160]
    labels = np.zeros((1, 1, 80, 160), np.uint32)
    labels[0, 0][np.hypot(y - 40, (x - 40) / 1.5) < 20] = 1
    labels[0, 0][(np.hypot(y - 40, x - 120) < 30) & (np.hypot(y - 40, x - 120) > 20)] = 2
    table = measure_signatures(noisy_stack(labels), labels)
    assert table["ellipse_fill"][0] == pytest.approx(1, abs=0.01)
    assert table["eccentricity"][0] == pytest.approx(np.sqrt(1 - 1 / 1.5**2), abs=0.01)
    assert table["ellipse_fill"][1] < 0.5


@pytest.mark.parametrize("shape", [(1, 90, 120), (6, 50, 60)])
def test_the_table_does_not_depend_on_the_number_of_threads(shape):
    labels = crowd(shape=shape)
    stack = noisy_stack(labels)
    numba.set_num_threads(1)
    one = measure_signatures(stack, labels)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    pd.testing.assert_frame_equal(one, measure_signatures(stack, labels), check_exact=True)


def test_large_ids_change_nothing_but_the_ids():
    labels = crowd()
    stack = noisy_stack(labels)
    one = measure_signatures(stack, labels)
    other = measure_signatures(stack, np.where(labels > 0, labels + np.uint32(4_000_000_000), 0))
    assert (other["cell"] - one["cell"]).unique().tolist() == [4_000_000_000]
    pd.testing.assert_frame_equal(one.drop(columns="cell"), other.drop(columns="cell"))


# ---- unmixing tables, and colours that are nowhere negative

MIXING = np.array([[1, 0.05, 0.01], [0.03, 1, 0.2], [0, 0.05, 1]])


@pytest.mark.parametrize("nonnegative", [False, True])
def test_a_table_unmixed_afterwards_is_the_table_measured_with_the_matrix(nonnegative):
    matrix = pd.DataFrame(MIXING, index=NAMES, columns=NAMES)
    stack, labels = disc_stack([[60, 300, 0], [0, 5, 0], [80, 0, 90]], noise=20)
    params = SignatureParams(nonnegative=nonnegative)
    at_once = measure_signatures(replace(stack, bleed_through=matrix), labels, params)
    turned = matrix.loc[list(NAMES[::-1]), ["green", "red", "blue"]]
    later = unmix_cells(measure_signatures(stack, labels, params), turned, params)
    pd.testing.assert_frame_equal(at_once, later)


def test_the_errors_of_the_matrix_are_errors_of_the_colour():
    matrix = pd.DataFrame(np.eye(3) + 0.2 * np.eye(3, k=1), index=NAMES, columns=NAMES)
    cells = measure_signatures(*disc_stack([[60, 300, 0]]))
    params = SignatureParams(bleed_error=0)
    exact = unmix_cells(cells, matrix, params)
    unsure = unmix_cells(cells, matrix, params, se=0.1 * (matrix - np.eye(3)))
    expected = np.hypot(exact["red_systematic"][0], 0.1 * 0.2 * 300)
    assert unsure["red_systematic"][0] == pytest.approx(expected, rel=0.05)


def test_what_cannot_be_unmixed_is_refused():
    matrix = pd.DataFrame(np.eye(3) + 0.2 * np.eye(3, k=1), index=NAMES, columns=NAMES)
    cells = measure_signatures(*disc_stack([[60, 300, 0]]))
    with pytest.raises(DataError, match="unmixed already"):
        unmix_cells(unmix_cells(cells, matrix), matrix)
    with pytest.raises(DataError, match="give one row and one column for each marker"):
        unmix_cells(cells, matrix.rename(columns={"red": "rouge"}))
    with pytest.raises(DataError, match="lacks column red_raw"):
        unmix_cells(cells.drop(columns="red_raw"), matrix)


@pytest.mark.parametrize("m", [2, 3, 7])
def test_nonnegative_colours_are_those_of_scipy(m):
    rng = np.random.default_rng(m)
    mixing = np.eye(m) + 0.3 * rng.random((m, m))
    raw, variance = rng.normal(0.5, 2, (60, m)), rng.uniform(0.5, 3, (60, m))
    found, covariance = unmix_nonnegative(raw, variance, mixing)
    for row, one, unsure in zip(found, raw, variance, strict=True):
        assert row == pytest.approx(
            nnls(mixing / np.sqrt(unsure)[:, None], one / np.sqrt(unsure))[0], abs=1e-9
        )
    plain, its_covariance = unmix(raw, variance, mixing)
    inside = (plain >= 0).all(axis=1)
    assert found[inside] == pytest.approx(plain[inside])
    assert covariance == pytest.approx(its_covariance)


@pytest.mark.parametrize("preset", ["sparse", "dim_crowded", "confluent", "confocal", "volume"])
def test_errors_are_the_scatter_of_repeated_exposures(preset):
    """Scores of six exposures of the same cells; with 15 to 200 cells their sd is known to a few percent."""
    channels = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
    values, errors, pairs = [], [], []
    for noise_seed in range(6):
        scene = simulate_scene(preset, seed=21, noise_seed=noise_seed)
        matrix = scene.bleed_through.set_axis(list(channels)).set_axis(list(channels), axis=1)
        corrected = correct_stack(scene.stack.select(channels), bleed_through=matrix)
        table = measure_signatures(corrected, scene.labels)
        values.append(table[list(channels)].to_numpy())
        errors.append(table[[f"{name}_se" for name in channels]].to_numpy())
        pairs.append(table["cov_red_green"].to_numpy())
    rest = np.array(values) - np.mean(values, axis=0)
    score = np.sqrt(6 / 5) * rest / np.array(errors)
    assert np.all(np.abs(score.std(axis=(0, 1)) - 1) < (0.18 if preset == "confluent" else 0.12))
    # and the covariance of two markers is that of their scatter
    together = 6 / 5 * (rest[..., 0] * rest[..., 1]).mean()
    own = np.sqrt((rest[..., 0] ** 2).mean() * (rest[..., 1] ** 2).mean())
    assert together / own == pytest.approx(np.mean(pairs) / own, abs=0.12)


def test_an_empty_marker_is_detected_in_one_of_twenty_and_one_at_the_limit_nearly_always():
    rng = np.random.default_rng(3)
    side, gap, n = 16, 14, 900
    labels = np.zeros((1, 1, 30 * (side + gap), 30 * (side + gap)), np.int32)
    light = np.zeros((2, *labels.shape[2:]))
    for i in range(n):
        y, x = (i // 30) * (side + gap) + 7, (i % 30) * (side + gap) + 7
        labels[0, 0, y : y + side, x : x + side] = i + 1
        light[0, y : y + side, x : x + side] = 40
    params = SignatureParams(surroundings_um=0, bleed_error=0)
    settings = CorrectParams(gain=2, offset=100, read_noise=1.5, background=False)

    def seen(second):
        light[1] = (labels[0, 0] > 0) * second
        counts = 100 + 2 * (rng.poisson(light) + rng.normal(0, 1.5, light.shape))
        stack = Stack(counts[None, :, None], ("red", "green"), pixel_size_um=0.65)
        return measure_signatures(correct_stack(stack, settings), labels, params)

    empty = seen(0.0)
    assert empty["green_detected"].mean() == pytest.approx(0.05, abs=0.03)
    at_limit = seen(empty["green_limit"].median() / 2)
    assert at_limit["green_detected"].mean() == pytest.approx(0.95, abs=0.03)


def test_full_pixels_make_a_cell_unsure():
    stack, labels = disc_stack([[60, 300, 0], [60, 300, 0]])
    raw = np.asarray(stack.noise.raw).copy()
    disc = labels[0, 0] == 1
    raw[0, 1, 0][disc] = 65535
    limit = np.full(3, 65535.0)
    full = replace(stack, saturated=replace(stack.noise, raw=raw, limit=limit))
    table = measure_signatures(full, labels)
    assert table["saturated"].tolist() == [True, False]
    assert table["green_systematic"][0] > 250
    assert table["green_systematic"][1] < 50


@pytest.mark.parametrize(("preset", "sigma"), [("sparse", 0.5), ("confocal", 0.6), ("confocal", 0.0)])
def test_errors_hold_where_an_image_was_smoothed(preset, sigma):
    """Neighbouring pixels of a smoothed image err together: the mean over a cell is less sure than it looks."""
    values, errors = [], []
    for noise_seed in range(6):
        scene = simulate_scene(preset, seed=31, noise_seed=noise_seed)
        smooth = gaussian_filter(scene.stack.pixels.astype(np.float32), (0, 0, 0, sigma, sigma)).round()
        corrected = correct_stack(replace(scene.stack, pixels=smooth.astype(np.uint16)))
        if sigma == 0:
            assert (corrected.noise.correlation == 1).all()
        table = measure_signatures(corrected, scene.labels)
        names = list(scene.stack.channels)
        values.append(table[names].to_numpy())
        errors.append(table[[f"{name}_se" for name in names]].to_numpy())
    score = np.sqrt(6 / 5) * (np.array(values) - np.mean(values, axis=0)) / np.array(errors)
    assert np.all(np.abs(score.std(axis=(0, 1)) - 1) < 0.2)
