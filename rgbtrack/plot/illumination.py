"""Illumination: the light of the field as it was found, channel by channel."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgbtrack.correct.illumination import Illumination
from rgbtrack.correct.light import field, polynomials
from rgbtrack.correct.light_evidence import Evidence, pool_light
from rgbtrack.plot.colours import OKABE_ITO
from rgbtrack.plot.style import FAINT, INK, new_figure, percent, say_nothing_to_draw, style, wrap

MAP_PX = 96
N_STEPS = 41
MOST = 6
"""Contours in a map, about."""


def plot_illumination(found: Mapping[str, Illumination]) -> Figure:
    """Draw the estimated illumination of each channel, and what each kind of light tells of it.

    Parameters
    ----------
    found
        By name of the channel.

    Returns
    -------
    figure
        Above, a map of the light of each channel in percent of its mean, as estimated; the title says
        whether it was divided out. Below, from the centre of the field to its corners (mean of the four): the
        estimate with its standard error as a band (before), the light of background and of cells apart,
        and what is left after correction.
    """
    with style():
        if not found:
            return say_nothing_to_draw("no channels whose illumination was looked for")
        figure = new_figure(max(2.7 * len(found), 6.0), 5.2)
        grid = figure.subplots(2, len(found), squeeze=False, height_ratios=[1.25, 1])
        fields = [field(one.pooled.beta, _map_size(one)) for one in found.values()]
        reach = max(0.03, max(float(np.abs(light - 1).max()) for light in fields))
        for c, (name, one) in enumerate(found.items()):
            _map(grid[0, c], fields[c], reach, one, name)
            _profile(grid[1, c], one)
        low = min(axes.get_ylim()[0] for axes in grid[1])
        high = max(axes.get_ylim()[1] for axes in grid[1])
        for axes in grid[1]:
            axes.set_ylim(low, high)
        grid[1, 0].set_ylabel("light, share of the mean")
        handles, labels = max((axes.get_legend_handles_labels() for axes in grid[1]), key=lambda h: len(h[1]))
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _map_size(one: Illumination) -> tuple[int, int]:
    height, width = one.flat.shape
    longest = max(height, width)
    return max(2, MAP_PX * height // longest), max(2, MAP_PX * width // longest)


def _map(axes: Axes, light: NDArray[np.float32], reach: float, one: Illumination, name: str) -> None:
    axes.imshow(light, cmap="gray", vmin=1 - reach, vmax=1 + reach, interpolation="bilinear", rasterized=True)
    step = next((s for s in (1, 2, 5, 10, 20) if np.ptp(light) * 100 / s <= MOST), 50)
    levels = np.arange(np.ceil(light.min() * 100 / step), light.max() * 100 / step + 1e-9) * step
    if len(levels):
        lines = axes.contour(100 * light, levels, colors=OKABE_ITO[0], linewidths=1.0)
        for label in axes.clabel(lines, fmt="%.0f%%", fontsize=8):
            label.set_color(INK)
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8})
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    low, high = one.range
    said = f"evened out, {low:.0%} to {high:.0%}" if one.evident else "left as it is"
    axes.set_title(f"{wrap(name, 24)}\n{said}")


def _profile(axes: Axes, one: Illumination) -> None:
    """Light from the centre to the corners, mean of the four ways."""
    at = np.linspace(0, 1, N_STEPS)
    axes.axhline(1, color=FAINT, linewidth=0.8)
    for part, words, colour, line in (
        (one.background, "background alone", OKABE_ITO[3], ":"),
        (one.cells, "cells alone", OKABE_ITO[2], "--"),
    ):
        if part.n_images:
            axes.plot(at, _along(pool_light([part]))[0], line, color=colour, linewidth=1.2, label=words)
    light, se = _along(one.pooled)
    axes.fill_between(at, light - se, light + se, color=OKABE_ITO[1], alpha=0.25, linewidth=0)
    axes.plot(at, light, color=OKABE_ITO[1], linewidth=1.6, label="estimate (before)")
    if one.evident:
        axes.fill_between(at, 1 - se, 1 + se, color=OKABE_ITO[0], alpha=0.15, linewidth=0)
        axes.plot(at, np.ones_like(at), color=OKABE_ITO[0], linewidth=1.6, label="after correction")
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 1], ["centre", "corners"])
    percent(axes)
    axes.grid(axis="y")


def _along(part: Evidence) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Light and its standard error from the centre to the corners."""
    ways = _ways()
    return 1 + ways @ part.beta, np.sqrt(np.einsum("ik,kl,il->i", ways, part.covariance, ways))


def _ways() -> NDArray[np.float64]:
    """Weights of the coefficients along the way from the centre to the corners, shape (steps, k)."""
    phi = polynomials((2 * N_STEPS - 1, 2 * N_STEPS - 1))
    out, back = np.arange(N_STEPS - 1, 2 * N_STEPS - 1), np.arange(N_STEPS - 1, -1, -1)
    return np.mean([phi[:, y, x] for y in (out, back) for x in (out, back)], axis=0).T
