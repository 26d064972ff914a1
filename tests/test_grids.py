import numpy as np
import pytest

from rgbtrack.grids import pool, shrink_rows, spread_rows


def blocks_of(line, factor):
    return [line[i : i + factor] for i in range(0, len(line), factor)]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("width", [1, 24, 29])
def test_every_block_of_a_line_is_summed(factor, width):
    line = np.arange(1, width + 1, dtype=np.float32)
    sums = np.full(-(-width // factor), np.nan, np.float32)
    pool(line, factor, sums)
    assert sums.tolist() == [block.sum() for block in blocks_of(line, factor)]


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_means_over_blocks_are_those_of_their_pixels(factor, kind):
    plane = np.random.default_rng(0).integers(0, 1000, (13, 18)).astype(kind)
    small = np.empty((-(-13 // factor), -(-18 // factor)), np.float32)
    shrink_rows(plane, factor, 0, len(small), small, 200)
    expected = [
        [block.mean() for block in blocks_of(band.swapaxes(0, 1), factor)]
        for band in blocks_of(np.maximum(plane.astype(float), 200), factor)
    ]
    np.testing.assert_allclose(small, expected, rtol=1e-6)


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_a_slope_is_spread_as_a_slope_wherever_rows_begin(factor):
    rows, columns = np.mgrid[: 10 * factor, : 12 * factor].astype(np.float32)
    slope = 2 * rows + 3 * columns
    grid = np.empty((10, 12), np.float32)
    shrink_rows(slope, factor, 0, 10, grid)
    inner = slice(factor, -factor)
    for first in (factor, factor + 1):
        image = np.empty((9 * factor - first, 12 * factor - 1), np.float32)
        spread_rows(grid, factor, first, 9 * factor, 1, image)
        np.testing.assert_allclose(image[:, inner], slope[first : 9 * factor, 1:][:, inner], rtol=1e-5)
