"""Channels that lie beside each other, and a stage that drifts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage as ndi

from rgbtrack import SegmentParams, Stack, correct_stack, measure_signatures, simulate_scene
from rgbtrack.correct import apply_shift, estimate_drift, estimate_shift, noise_sd, pool_shifts

MOVES = np.array([[0.0, 0.0, 0.0], [0.0, 1.0, -0.7], [0.0, -0.5, 1.2]])


def moved(scene, moves):
    """The scene with each channel moved by (z, y, x) px."""
    pixels = scene.stack.pixels.astype(np.float32)
    for c, move in enumerate(moves):
        if move.any():
            pixels[0, c] = ndi.shift(pixels[0, c], move, order=3, mode="nearest")
    return replace(scene.stack, pixels=pixels)


def found(stack):
    corrected = correct_stack(stack)
    return estimate_shift(corrected.pixels[0], noise_sd(corrected))


def beside_reference(shift, moves):
    reference = int(np.flatnonzero((shift.se == 0).all(axis=1))[0])
    return moves - moves[reference]


@pytest.mark.parametrize("preset", ["sparse", "dim_crowded", "confluent", "confocal", "touching_colours"])
def test_shifts_are_found_to_a_fifth_of_a_pixel(preset):
    for seed in (11, 12):
        scene = simulate_scene(preset, seed=seed)
        shift = found(moved(scene, MOVES))
        np.testing.assert_allclose(shift.zyx_px, beside_reference(shift, MOVES), atol=0.2)
        assert shift.evident(0.15).sum() == 2
        still = found(scene.stack)
        np.testing.assert_allclose(still.zyx_px, 0, atol=0.12)
        assert not still.evident(0.15).any()


def test_shifts_across_planes():
    moves = np.array([[0, 0, 0], [0.4, 0.5, 0], [-0.3, 0, 0.5]])
    shift = found(moved(simulate_scene("volume", seed=5), moves))
    np.testing.assert_allclose(shift.zyx_px, beside_reference(shift, moves), atol=0.2)


def cut_from_a_deeper_volume(seed, moves, n):
    """Planes in the middle of a volume: what a shift brings in from beyond the ends is real."""
    stack = moved(simulate_scene("volume", seed=seed), moves)
    first = (stack.pixels.shape[2] - n) // 2
    return replace(stack, pixels=stack.pixels[:, :, first : first + n])


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_planes_that_are_not_in_both_channels_say_nothing(seed):
    moves = np.array([[0, 0, 0], [0.6, 0.3, 0], [-0.5, 0, 0.4]])
    shift = found(cut_from_a_deeper_volume(seed, moves, 10))
    expected = beside_reference(shift, moves)
    np.testing.assert_allclose(shift.zyx_px, expected, atol=0.15)
    rest = (shift.zyx_px - expected)[shift.se > 0] / shift.se[shift.se > 0]
    assert np.abs(rest).max() < 4


def test_across_few_planes_nothing_is_told():
    moves = np.array([[0, 0, 0], [0.4, 0.5, 0], [-0.3, 0, 0.5]])
    shift = found(cut_from_a_deeper_volume(21, moves, 4))
    reference = (shift.se == 0).all(axis=1)
    assert np.isinf(shift.se[~reference, 0]).all()
    assert not shift.zyx_px[:, 0].any()
    np.testing.assert_allclose(shift.zyx_px[:, 1:], beside_reference(shift, moves)[:, 1:], atol=0.15)


def test_a_channel_that_shares_no_cells_stays_where_it_is():
    scene = simulate_scene("one_colour", seed=2)
    shift = found(moved(scene, MOVES))
    assert np.isinf(shift.se[2, 1:]).all()
    assert not shift.zyx_px[2].any()
    assert not shift.evident(0.15)[2]


def test_noise_alone_and_small_images_tell_nothing():
    noise = np.random.default_rng(0).normal(0, 1, (3, 1, 200, 200)).astype(np.float32)
    for pixels in (noise, noise[..., :20, :20]):
        shift = estimate_shift(pixels, np.ones(3))
        assert not shift.evident(0.15).any()


def test_images_of_one_microscope_are_pooled():
    shifts = [found(moved(simulate_scene("confocal", seed=seed), MOVES)) for seed in range(3)]
    wild = replace(shifts[0], zyx_px=shifts[0].zyx_px + 5 * (shifts[0].se > 0))
    pooled = pool_shifts([*shifts, wild])
    np.testing.assert_allclose(pooled.zyx_px, beside_reference(pooled, MOVES), atol=0.1)


@pytest.mark.parametrize("move", [(0, 2, -3), (1, 0, 0), (0, 0, 0)])
def test_whole_pixels_are_moved_as_they_are(move):
    planes = np.random.default_rng(1).integers(0, 999, (3, 20, 30)).astype(np.uint16)
    there = apply_shift(planes, np.array(move, float))
    assert there.dtype == planes.dtype
    inside = tuple(slice(3, n - 3) if n > 6 else slice(1, 2) for n in planes.shape)
    back = tuple(slice(s.start - d, s.stop - d) for s, d in zip(inside, move, strict=True))
    np.testing.assert_array_equal(there[inside], planes[back])


def test_parts_of_a_pixel_keep_mean_and_light():
    rng = np.random.default_rng(2)
    smooth = ndi.gaussian_filter(rng.normal(0, 1, (9, 80, 80)), (1.5, 3, 3)).astype(np.float32)
    there = apply_shift(smooth, np.array([0.4, 0.3, -1.6]))
    expected = ndi.shift(smooth, (0.4, 0.3, -1.6), order=5, mode="nearest")
    inside = (slice(3, -3), slice(5, -5), slice(5, -5))
    np.testing.assert_allclose(there[inside], expected[inside], atol=0.02 * np.abs(smooth).max())


def test_moved_back_the_colours_are_those_of_the_image_as_it_was():
    scene = simulate_scene("typical", seed=4)
    marked = {"red": 0, "green": 1, "blue": 2}
    colours = {}
    for name, stack, shift in (
        ("straight", scene.stack, None),
        ("beside", moved(scene, MOVES * 1.6), None),
        ("back", moved(scene, MOVES * 1.6), MOVES * 1.6),
    ):
        corrected = correct_stack(stack.select(marked), shift_px=shift)
        colours[name] = measure_signatures(corrected, scene.labels)
    error = {
        name: np.concatenate([(colours[name][m] - colours["straight"][m]).abs() for m in marked]).mean()
        for name in ("beside", "back")
    }
    assert error["back"] < 0.3 * error["beside"]
    # the noise of moved cells is that of cells where they were
    ratio = colours["back"]["red_se"] / colours["straight"]["red_se"]
    assert ratio.median() == pytest.approx(1, abs=0.05)


def test_saturation_moves_with_its_channel():
    pixels = np.full((1, 2, 1, 40, 40), 100, np.uint16)
    pixels[0, :, 0, 10:20, 10:20] = 65535
    corrected = correct_stack(Stack(pixels, ("a", "b")), shift_px=np.array([[0, 0, 0], [0, 2.2, 0]]))
    seen = corrected.saturated[0, :, 0]
    assert seen[0, 10:20, 10:20].all()
    assert seen[0].sum() == 100
    assert seen[1, 8:18, 10:20].all()
    assert seen[1].sum() == 100


def test_the_path_of_the_stage_is_found():
    scene = simulate_scene("timelapse", seed=3)
    rng = np.random.default_rng(3)
    path = np.cumsum(np.vstack([[0, 0], rng.normal(0, 6, (scene.stack.n_frames - 1, 2))]), axis=0)

    def light(steps):
        frames = []
        for t in range(scene.stack.n_frames):
            corrected = correct_stack(scene.stack.frame(t))
            total = np.sqrt(((corrected.pixels[0] / noise_sd(corrected)[:, None, None, None]) ** 2).sum(0))
            frames.append(ndi.shift(total, (0, *steps[t]), order=1, mode="nearest"))
        return np.array(frames)

    still, drifted = estimate_drift(light(0 * path)), estimate_drift(light(path))
    # what the cells do together is in both
    np.testing.assert_allclose((drifted.zyx_px - still.zyx_px)[:, 1:], path, atol=2.5)
    assert (drifted.zyx_px[0] == 0).all()


def test_segmentation_is_the_same_beside_and_back():
    from rgbtrack import find_cells

    scene = simulate_scene("sparse", seed=6)
    n = [
        find_cells(correct_stack(stack, shift_px=shift), SegmentParams(diameter_um=14)).labels.max()
        for stack, shift in ((scene.stack, None), (moved(scene, MOVES), MOVES))
    ]
    assert abs(int(n[0]) - int(n[1])) <= 2
