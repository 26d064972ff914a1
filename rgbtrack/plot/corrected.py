"""Before and after: channels moved back, and bleed-through taken off."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import INK, new_figure, say_nothing_to_draw, style, wrap

MAX_POINTS = 1500
PANELS = 4


def plot_shift(pictures: Sequence[NDArray[np.uint8]], pixel_size_um: float | None, told: str) -> Figure:
    """Draw a small part of an image as recorded, and with its channels moved back.

    Parameters
    ----------
    pictures
        Two RGB pictures of the same place, shape (y, x, 3).
    pixel_size_um
        For the scale bar; None where nobody knows.
    told
        What was found, in words.
    """
    with style():
        figure = new_figure(7.0, 3.9)
        for axes, picture, title in zip(
            figure.subplots(1, 2), pictures, ("as recorded", "channels moved back"), strict=True
        ):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
            height, width = picture.shape[:2]
            if pixel_size_um is not None and width * pixel_size_um > 12:
                end = width * 0.95
                axes.plot([end - 10 / pixel_size_um, end], [height * 0.94] * 2, color="white", linewidth=3)
                axes.text(end, height * 0.91, "10 µm", color="white", ha="right", va="bottom")
        figure.suptitle(told, x=0.01, ha="left", fontsize=9)
    return figure


def plot_unmixing(before: pd.DataFrame, after: pd.DataFrame, matrix: pd.DataFrame) -> Figure:
    """Draw where the largest leaks lay, and that they are gone.

    Parameters
    ----------
    before, after
        The same cells with ``<marker>_raw``, and unmixed.
    matrix
        Rows detectors, columns proteins, by marker.

    Returns
    -------
    figure
        One panel for each of the largest leaks: cells by the protein that leaks and the detector it leaks
        into, before (open) and after (filled); the line is the leak. Cells of that protein alone lie along
        the line before, and along zero after.
    """
    markers = [str(name) for name in matrix.columns]
    leaks = sorted(
        ((float(matrix[p].to_dict()[d]), p, d) for p in markers for d in markers if p != d), reverse=True
    )
    leaks = [leak for leak in leaks[:PANELS] if leak[0] > 0]
    with style():
        if not leaks or before.empty:
            return say_nothing_to_draw("no bleed-through")
        figure = new_figure(max(2.6 * len(leaks), 5.2), 3.2)
        few = slice(None, None, max(1, len(before) // MAX_POINTS))
        for axes, (share, p, d) in zip(np.atleast_1d(figure.subplots(1, len(leaks))), leaks, strict=True):
            old = before[[f"{p}_raw", f"{d}_raw"]].to_numpy(float)[few].T
            new = after[[p, d]].to_numpy(float)[few].T
            far = float(np.quantile(old[0], 0.995))
            axes.plot(*old, "o", color=OKABE_ITO[1], markersize=2.5, fillstyle="none", markeredgewidth=0.5)
            axes.plot(*new, "o", color=OKABE_ITO[0], markersize=1.6)
            axes.plot([0, far], [0, far * share], color=INK, linewidth=1)
            axes.set_xlim(-0.05 * far, far)
            axes.set_ylim(-0.1 * far * share - 0.02 * far, far * min(1.0, 3 * share + 0.05))
            axes.xaxis.set_major_locator(MaxNLocator(3))
            axes.set(xlabel=f"{wrap(p)} (counts)", ylabel=f"{wrap(d)} (counts)")
            axes.set_title(f"{share:.3f} of {wrap(p, 12)}\ninto {wrap(d, 12)}")
        handles = [
            *figure.axes[0].plot([], [], "o", color=OKABE_ITO[1], markerfacecolor="none", label="before"),
            *figure.axes[0].plot([], [], "o", color=OKABE_ITO[0], label="after"),
            *figure.axes[0].plot([], [], color=INK, label="the leak"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
