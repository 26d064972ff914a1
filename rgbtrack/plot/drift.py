"""Stage drift: the way of the stage, and two frames laid over each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import FAINT, INK, new_figure, style


def plot_drift(path_um: NDArray[np.float64], pictures: Sequence[NDArray[np.uint8]], told: str) -> Figure:
    """Draw how far the stage went, and the first and last frame over each other before and after.

    Parameters
    ----------
    path_um
        Place of each frame beside the first, (t, 2), y and x.
    pictures
        Two RGB pictures (y, x, 3): the first frame orange, the last blue; as recorded, and moved back.
    told
        What was found, in words.
    """
    with style():
        figure = new_figure(8.6, 3.4)
        way, before, after = figure.subplots(1, 3, width_ratios=[1.25, 1, 1])
        frames = np.arange(len(path_um))
        way.axhline(0, color=FAINT, linewidth=1)
        for axis, name, colour in ((0, "down", OKABE_ITO[3]), (1, "right", OKABE_ITO[2])):
            way.plot(frames, path_um[:, axis], "o-", color=colour, markersize=3, linewidth=1.2, label=name)
        way.set(xlabel="frame", ylabel="stage drift (µm)")
        way.legend(loc="best")
        for axes, picture, title in (
            (before, pictures[0], "as recorded"),
            (after, pictures[1], "moved back"),
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel("first frame orange, last blue, both white", fontsize=7.5, color=INK)
        figure.suptitle(told, x=0.01, ha="left", fontsize=9)
    return figure
