"""The called clones of one palette, and how they lie to each other."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.clones.confusion import HALF_MERGED, Colours, colour_distances, separation
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.ray import TYPICAL, Floats, Ints, Spread
from rgbtrack.clones.signatures import read_signatures
from rgbtrack.errors import DataError

_ONE_COLOUR = 0.03  # share of brightness that all other markers together may hold
_CLEARLY = 5.0  # what a marker that may be lost must have read, in standard errors of a cell
_LEFT = 0.05  # share of it that may be left
_EQUAL = 0.5  # distance that is not believed, however many cells there are
_ANY_BRIGHTNESS = 1e3


@dataclass(frozen=True, eq=False)
class Called:
    """Called clones of one palette.

    Attributes
    ----------
    markers
        Names, in the order of the columns of the colours.
    numbers, n_cells
        Number of each clone, and its cells, shape (k,).
    colours
        Mean of its cells, and the median variance of their errors.
    spread
        Within every clone.
    distance
        Of every two clones, in standard deviations of a cell; infinite on the diagonal, shape (k, k).
    """

    markers: tuple[str, ...]
    numbers: Ints
    n_cells: Ints
    colours: Colours
    spread: Spread
    distance: Floats

    @property
    def one_colour(self) -> NDArray[np.bool_]:
        """Which clones carry one marker only."""
        positive = np.maximum(self.colours.mean, 0)
        total = positive.sum(axis=1)
        return np.asarray(total - positive.max(axis=1, initial=0) <= _ONE_COLOUR * total)

    def of_brightness_only(self) -> Floats:
        """Distance to each other clone that differs in brightness alone; infinite for the others.

        The brighter of two is dimmed to the brightness of the other, whose noise counts.
        """
        mean, noise = self.colours.mean, self.colours.noise
        bright = np.linalg.norm(np.maximum(mean, 0) / np.sqrt(noise.sum(axis=0)), axis=1)
        bright = np.maximum(bright, 1e-6)
        dimmer = np.minimum(bright[:, None], bright[None, :])
        first = mean[:, None] * (dimmer / bright[:, None])[..., None]
        second = mean[None, :] * (dimmer / bright[None, :])[..., None]
        error = np.where((bright[:, None] < bright[None, :])[..., None], noise[:, None], noise[None, :])
        apart = separation(first, second, error, Spread(self.spread.colour, _ANY_BRIGHTNESS))
        return np.where((apart < HALF_MERGED) & np.isfinite(self.distance), self.distance, np.inf)

    def silenced(self, others: Colours, n_cells: Ints | float) -> NDArray[np.bool_]:
        """Whether each of some colours, (m,), looks like each clone, (k,), with one marker lost; (m, k).

        The clone read clearly in the marker, hardly anything is left of it, and the others, one of which
        shows, are as they were: silencing one vector leaves the rest alone.
        """
        mean, noise = self.colours.mean, self.colours.noise
        one, all_ = others.mean[:, None], mean[None]
        error = np.sqrt((others.noise[:, None] + noise[None]) / 2)
        each = np.broadcast_to(np.asarray(n_cells, dtype=float), len(others.mean))
        tolerance = _EQUAL + 2 * np.sqrt(1 / each[:, None] + 1 / np.maximum(self.n_cells, 1)[None, :])
        found = np.zeros((len(others.mean), len(mean)), dtype=bool)
        for lost in range(mean.shape[1]):
            rest = [j for j in range(mean.shape[1]) if j != lost]
            gone = np.maximum(_LEFT * all_[..., lost], 2 * error[..., lost] / np.sqrt(each)[:, None])
            found |= (
                (all_[..., lost] > _CLEARLY * error[..., lost])
                & (np.abs(one[..., lost]) < gone)
                & ((one / error)[..., rest].max(axis=-1) > _CLEARLY)
                & (
                    separation(one[..., rest], all_[..., rest], error[..., rest] ** 2, self.spread)
                    < tolerance
                )
            )
        return found


def read_called(table: pd.DataFrame, model: CloneModel | None) -> Called:
    """Read the called clones of one palette from its cells.

    Without a model, the spread within clones is taken as typical.
    """
    signatures = read_signatures(table, model.markers if model else None)
    clone = table["clone"][signatures.measured].to_numpy(dtype=np.float64, na_value=np.nan)
    rows = np.flatnonzero(np.isfinite(clone))
    rows = rows[np.argsort(clone[rows], kind="stable")]
    values, first, count = np.unique(clone[rows], return_index=True, return_counts=True)
    numbers = values.astype(np.int64)
    k, d = len(numbers), len(signatures.markers)
    mean, noise = np.zeros((k, d)), np.ones((k, d))
    scale = model.error_scale if model else np.ones(d)
    variance = np.diagonal(signatures.s, axis1=1, axis2=2) * scale**2
    for i in range(k):
        members = rows[first[i] : first[i] + count[i]]
        mean[i] = signatures.x[members].mean(axis=0)
        noise[i] = np.median(variance[members], axis=0)
    colours = Colours(mean, noise)
    spread = Spread(model.spread_colour, model.spread_brightness) if model else TYPICAL
    distance = colour_distances(colours, colours, spread) if k else np.zeros((0, 0))
    np.fill_diagonal(distance, np.inf)
    return Called(signatures.markers, numbers, count, colours, spread, distance)


def called_of(model: CloneModel) -> Called:
    """The clones of a model as they were called where they were found.

    Raises
    ------
    DataError
        If the model does not know its cells: it was put together by hand.
    """
    if model.n_cells is None or model.noise is None:
        raise DataError("the model does not know the noise of its cells: give cells with their clones too")
    rows = np.flatnonzero(model.n_cells > 0)
    spread = Spread(model.spread_colour, model.spread_brightness)
    bright = spread.mean_factor * np.exp(spread.brightness**2 / 2)  # the mean of cells, not their median
    colours = Colours(model.colours[rows] * bright, model.noise[rows])
    distance = colour_distances(colours, colours, spread) if len(rows) else np.zeros((0, 0))
    np.fill_diagonal(distance, np.inf)
    return Called(model.markers, model.clone_numbers[rows], model.n_cells[rows], colours, spread, distance)
