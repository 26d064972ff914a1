"""The founder population: what colours founders have, how many there are, and how many share one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from rgbtrack.clones.confusion import Colours, colour_distances, merge_probability
from rgbtrack.clones.ray import Floats, Ints, Spread
from rgbtrack.errors import DataError

_DRAWS = 2000
_JUDGED = 400  # draws whose own collisions are worked out
MOST = 8.0
"""Founders a called clone: beyond it the colours tell nothing, and the number has no meaning."""
_CARRIED = 2.0  # a clone carries a marker that reads more, in standard errors of a cell
_TYPICAL_SD = 0.6  # ln sd of a marker's expression, worth some clones beside those that carry it
_PRIOR_CLONES = 3
_MOST_EVIDENCE = 2.0  # of a size for two founders: one that grew far more than the rest is no sign of two
_LEAST_SEEN = 0.1  # of founders


def founder_rows(table: pd.DataFrame, founders: Mapping[str, str | int | float]) -> NDArray[np.bool_]:
    """Which rows of a table belong to the founder sample.

    Parameters
    ----------
    table
        Cells or sample sheet.
    founders
        Column to value, all of which must hold: ``{"timepoint": 0}``; none for all rows.

    Raises
    ------
    DataError
        If there is no such column, or no row has these values.
    """
    rows = np.ones(len(table), dtype=bool)
    for name, value in founders.items():
        if name not in table.columns:
            raise DataError(
                f"founders names the column {name!r}, which is not there; found "
                f"{', '.join(map(str, table.columns))}: name a column of the sample sheet"
            )
        column = table[name]
        same = column == value if pd.api.types.is_numeric_dtype(column) else column.astype(str) == str(value)
        if not same.any() and len(table):
            found = ", ".join(
                f"{one:g}" if isinstance(one, float) else str(one)
                for one in column.dropna().drop_duplicates().sort_values(key=_comparable)
            )
            raise DataError(f"founders asks for {name} = {value}, which no image has; found {found}")
        rows &= same.fillna(False).to_numpy(dtype=bool)
    if not rows.any() and len(table):
        wanted = ", ".join(f"{name} = {value}" for name, value in founders.items())
        raise DataError(f"founders asks for {wanted}: each of them is there, but no image has all of them")
    return rows


def _comparable(column: pd.Series) -> pd.Series:
    """A column that can be sorted, whatever it holds."""
    return column if pd.api.types.is_numeric_dtype(column) else column.astype(str)


def draw_founders(called: Colours, seed: int = 0) -> Colours:
    """Draw founders such as those of the called clones.

    Each vector enters a founder on its own, so a founder takes each marker from a called clone of its own, or
    lacks it; each clone has one vote. Levels of clones that carry the marker are smoothed: a kernel on their
    logarithm, of Silverman's width, that keeps mean and spread. A founder without any marker is not seen.

    Parameters
    ----------
    called
        Colours of clones, at least one.
    seed
        The same seed gives the same founders.
    """
    rng = np.random.default_rng(seed)
    k, d = called.mean.shape
    carried = called.mean > _CARRIED * np.sqrt(called.noise)
    carried[np.arange(k), called.mean.argmax(axis=1)] = True
    log = np.log(np.maximum(called.mean, 1e-9))
    share = carried.mean(axis=0)
    seen = 1.0
    for _ in range(50):  # called clones are founders that are seen: a marker is rarer among all founders
        seen = max(float(1 - np.prod(1 - share * seen)), _LEAST_SEEN)
    n_draws = round(_DRAWS / seen)
    mean, noise = np.empty((n_draws, d)), np.empty((n_draws, d))
    visible = np.zeros(n_draws, dtype=bool)
    for j in range(d):
        levels = log[carried[:, j], j]
        n = max(len(levels), 1)
        middle = levels.mean() if len(levels) else 0.0
        sum_of_squares = float(np.square(levels - middle).sum())
        sd = np.sqrt((_PRIOR_CLONES * _TYPICAL_SD**2 + sum_of_squares) / (_PRIOR_CLONES + n - 1))
        kept = min(sd * np.sqrt(1 - n ** (-2 / (d + 4))) / max(np.sqrt(sum_of_squares / n), 1e-9), 1.0)
        width = np.sqrt(sd**2 - kept**2 * sum_of_squares / n)
        carries = rng.random(n_draws) < share[j] * seen
        with_it, without = np.flatnonzero(carried[:, j]), np.flatnonzero(~carried[:, j])
        of = rng.choice(without if len(without) else with_it, n_draws)
        of[carries] = rng.choice(with_it if len(with_it) else without, carries.sum())
        smooth = np.exp(middle + kept * (log[of, j] - middle) + width * rng.normal(size=n_draws))
        mean[:, j] = np.where(carries, smooth, np.where(carried[of, j], 0.0, called.mean[of, j]))
        noise[:, j] = called.noise[of, j]
        visible |= carries
    return Colours(mean[visible], noise[visible])


@dataclass(frozen=True, eq=False)
class Population:
    """Founders that are as likely as each other, and how often two of them are called as one.

    Attributes
    ----------
    colours
        Colours of drawn founders.
    spread
        Within a clone.
    collision
        Of some of them: chance that another founder is called as one clone with it.
    """

    colours: Colours
    spread: Spread
    collision: Floats

    @classmethod
    def like(cls, called: Colours, spread: Spread, seed: int = 0) -> "Population":
        """Founders such as those of the called clones."""
        drawn = draw_founders(called, seed)
        judged = Colours(drawn.mean[:_JUDGED], drawn.noise[:_JUDGED])
        return cls(drawn, spread, merge_probability(colour_distances(judged, drawn, spread)).mean(axis=1))

    @property
    def n_colours(self) -> float:
        """Effective number of colours: one over the chance that two founders are called as one clone.

        The diversity of order 2 of founders that are similar (Leinster & Cobbold, Ecology 93, 2012).
        """
        return float(1 / self.collision.mean())

    def n_called(self, n_founders: float) -> float:
        """Return the clones expected to be called of so many founders.

        A founder whose colour collides with a share c of others stands for 1/c colours, of which n
        founders fill ``1 - (1 - c)^n`` each.
        """
        chance = np.clip(self.collision, 1e-12, 1 - 1e-12)
        return float((-np.expm1(n_founders * np.log1p(-chance)) / chance).mean())

    def n_founders(self, n_called: int) -> float:
        """Return how many founders are behind so many called clones, at most eight each."""
        most = MOST * n_called
        if n_called < 2 or self.n_called(n_called) >= n_called:
            return float(n_called)
        if self.n_called(most) <= n_called:
            return most
        return float(brentq(lambda n: self.n_called(n) - n_called, n_called, most))

    def alone(self, n_founders: float) -> float:
        """Share of founders whose colour no other of so many founders has."""
        return float(np.power(1 - np.minimum(self.collision, 1.0), max(n_founders - 1, 0)).mean())

    def drawn_in(self, called: Colours) -> Floats:
        """Chance that a founder is called as one with each called clone, shape (k,).

        One that is within reach of several goes to one of them.
        """
        chance = merge_probability(colour_distances(called, self.colours, self.spread))
        none = np.exp(np.log1p(-np.minimum(chance, 1 - 1e-12)).sum(axis=0))
        return np.asarray((chance * (1 - none) / np.maximum(chance.sum(axis=0), 1e-12)).mean(axis=1))


def size_evidence(n_cells: Ints, n_founders: float) -> Floats:
    """How much more likely a clone's size is with two founders than with one, shape (k,).

    Clone sizes are lognormal; founders are smaller than clones where several are behind each. Both founders
    hold over a tenth of the cells, else the clone counts as one founder's. Large clones are more often two,
    though a founder may outgrow all others: the evidence is limited.
    """
    k = len(n_cells)
    log = np.log(np.maximum(n_cells, 1))
    middle = np.median(log) - np.log(max(n_founders / max(k, 1), 1.0)) if k else 0.0
    sd = float(np.clip(log.std(ddof=1), 0.3, 2.5)) if k > 2 else 1.0

    def density(size: Floats) -> Floats:
        return np.asarray(np.exp(-0.5 * ((np.log(size) - middle) / sd) ** 2) / size)

    part = (np.arange(40) + 0.5) / 40 * 0.4 + 0.1  # of one founder, up to one half
    size = np.maximum(n_cells, 1).astype(float)[:, None]
    both = density(part * size) * density((1 - part) * size)
    evidence = 2 * 0.4 * size[:, 0] * both.mean(axis=1) / (density(size)[:, 0] * sd * np.sqrt(2 * np.pi))
    return np.asarray(np.minimum(evidence, _MOST_EVIDENCE))


def founders_behind(drawn_in: Floats, n_founders: float) -> tuple[Floats, Floats]:
    """Return the chance that one founder is behind each called clone, and the number expected.

    Each of n founders is behind the clone with chance z, and at least one is: a binomial number, not zero.
    """
    z = np.clip(drawn_in, 1e-9, 0.95)
    at_least_one = -np.expm1(n_founders * np.log1p(-z))
    one = n_founders * z * np.power(1 - z, n_founders - 1)
    return np.minimum(one / at_least_one, 1.0), np.maximum(n_founders * z / at_least_one, 1.0)
