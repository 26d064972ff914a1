"""A segmentation method for rgbtrack in a few lines: Otsu's threshold on all markers together."""

import numpy as np
from skimage.filters import threshold_otsu
from skimage.measure import label

from rgbtrack import SegmentParams, Stack
from rgbtrack.segment import noise_units


def segment(stack: Stack, params: SegmentParams):
    """Label the connected pieces above Otsu's threshold."""
    frames = []
    for t in range(stack.n_frames):
        strength = np.sqrt((noise_units(stack, t).clip(0) ** 2).sum(axis=0))  # (z, y, x)
        frames.append(label(strength > threshold_otsu(strength)))
    return np.stack(frames)  # (t, z, y, x)
