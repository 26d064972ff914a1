"""Background: what each channel reads where no cell is, before and after."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.plot.style import new_figure, say_nothing_to_draw, style, wrap

Image = NDArray[np.float32]
BELOW, ABOVE = 4.0, 12.0
"""Counts are shown from so many noise standard deviations below the background to so many above."""


def plot_background(
    pictures: Mapping[str, tuple[Image, Image]], noise_sd: Mapping[str, float], told: str
) -> Figure:
    """Draw each channel so bright that its background shows, as recorded and with the background taken off.

    Parameters
    ----------
    pictures
        Counts before and after, (y, x) each, by name of the channel.
    noise_sd
        Standard deviation of an empty pixel's noise, counts, by name of the channel.
    told
        Where this was seen.
    """
    with style():
        if not pictures:
            return say_nothing_to_draw("no channels whose background was looked for")
        figure = new_figure(max(2.5 * len(pictures), 5.0), 5.4)
        grid = figure.subplots(2, len(pictures), squeeze=False)
        for c, (name, both) in enumerate(pictures.items()):
            sd = noise_sd[name]
            for axes, picture, what in zip(grid[:, c], both, ("as recorded", "background off"), strict=True):
                level = float(np.median(both[0] - both[1])) if picture is both[0] else 0.0
                low, high = level - BELOW * sd, level + ABOVE * sd
                shown = axes.imshow(picture, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
                bar = figure.colorbar(shown, ax=axes, orientation="horizontal", fraction=0.05, pad=0.03)
                bar.set_ticks([round(low), round(level), round(high)])
                bar.ax.tick_params(labelsize=7.5, length=2)
                axes.set_title(f"{wrap(name, 16)}, {what}", fontsize=9)
                axes.set_xticks([])
                axes.set_yticks([])
        figure.suptitle(f"{told}; grey is detector counts", x=0.01, ha="left", fontsize=9)
    return figure
