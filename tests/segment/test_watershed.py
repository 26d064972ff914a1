import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage.segmentation import watershed

from rgbtrack.segment.watershed import flood


@pytest.fixture(params=[(1, 90, 110), (9, 40, 50)], ids=["plane", "volume"])
def landscape(request):
    noise = np.random.default_rng(0).normal(size=request.param)
    return ndi.gaussian_filter(noise, [0 if n == 1 else 3 for n in request.param]).astype(np.float32)


def seeds_of(landscape):
    low = landscape == ndi.minimum_filter(landscape, 5)
    return ndi.label(low)[0].astype(np.int32)


def test_agrees_with_scikit_image(landscape):
    seeds, mask = seeds_of(landscape), landscape < np.quantile(landscape, 0.9)
    mine, theirs = (
        flood((landscape - landscape.min()) / np.ptp(landscape), seeds, mask),
        watershed(landscape, seeds, mask=mask),
    )
    assert np.mean(mine == theirs) > 0.97  # ties and 512 steps
    assert ((mine > 0) == (theirs > 0)).all()


def test_stays_within_the_mask_and_reaches_no_island():
    seeds = np.zeros((1, 5, 9), np.int32)
    seeds[0, 2, 0] = 1
    seeds[0, 2, 4] = 2  # off the mask
    mask = np.ones((1, 5, 9), bool)
    mask[:, :, 4] = False
    labels = flood(np.zeros((1, 5, 9), np.float32), seeds, mask)
    assert (labels[:, :, :4] == 1).all()
    assert (labels[:, :, 4:] == 0).all()


def test_nothing_to_flood():
    empty = np.zeros((1, 3, 3), bool)
    labels = flood(np.zeros((1, 3, 3), np.float32), np.ones((1, 3, 3), int), empty)
    assert labels.dtype == np.int32
    assert not labels.any()
