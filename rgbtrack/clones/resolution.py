"""How many colours an experiment can tell apart, and when its clones are past that."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from rgbtrack.clones.called import called_of
from rgbtrack.clones.confusion import merge_probability
from rgbtrack.clones.founders import MOST, Population
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.uniqueness import describe_palette, read_palettes
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONE_DISTANCES

_RESOLVED = 0.25  # share of cells in clones of one founder, below which clones are colours
_TRUSTED = 0.8  # probability of one founder
_ALONE = 0.9


@dataclass(frozen=True, eq=False)
class Resolution:
    """What the colours of one palette can tell apart.

    Attributes
    ----------
    n_colours
        Effective number of colours: one over the chance that two founders drawn at random are called as one
        clone. Of twenty colours, two founders collide once in twenty.
    n_founders_alone
        How many founders at most for nine in ten of them to have a colour of their own.
    n_clones, n_founders
        Called clones, and the founders expected behind them.
    resolved
        Share of the assigned cells expected in clones of one founder.
    n_trusted
        Clones that are one founder with a probability of 80 % or more.
    distances
        Every pair of clones; see `rgbtrack.tables.CLONE_DISTANCES`.
    """

    n_colours: float
    n_founders_alone: float
    n_clones: int
    n_founders: float
    resolved: float
    n_trusted: int
    distances: pd.DataFrame

    @property
    def unresolvable(self) -> bool:
        """Whether most cells lie in clones that several founders share."""
        return self.n_clones > 0 and self.resolved < _RESOLVED

    @property
    def founders(self) -> str:
        """Founders behind the called clones, in words."""
        counted = self.n_founders < MOST * self.n_clones
        return f"{'about' if counted else 'at least'} {self.n_founders:.0f} founders"

    @property
    def words(self) -> str:
        """What the experiment can tell apart, in plain words."""
        if not self.n_clones:
            return "No clone was called: there are no colours to tell apart."
        if self.n_clones == 1:
            return "One clone was called: from a single colour it cannot be said how many can be told apart."
        told = (
            f"The experiment tells about {self.n_colours:.0f} colours apart: two founders drawn at random "
            f"are taken for one clone once in {self.n_colours:.0f} times, and of {self.n_founders_alone:.0f} "
            f"founders nine in ten have a colour of their own. "
            f"Behind the {self.n_clones} clones expect {self.founders}; "
            f"{_percent(self.resolved)} of the assigned cells are expected in clones of one founder."
        )
        return f"{told} {self.verdict}".strip()

    @property
    def verdict(self) -> str:
        """What to do where the data are past the limit; empty where they are not."""
        if not self.unresolvable:
            return ""
        return (
            f"Most clones cannot be resolved by colour: {self.n_clones} clones were called, yet "
            f"at least {self.n_founders:.0f} founders are behind them, and only {_percent(self.resolved)} of "
            f"the assigned cells are expected in clones of one founder. Read a clone here as a colour that "
            f"several founders share: its size and growth are theirs together. "
            f"{self.n_trusted} of {self.n_clones} clones can be taken for one founder each "
            f"(unique_probability of {_TRUSTED:g} or more). Fewer founders, a further marker or brighter "
            f"images would tell more apart."
        )

    def numbers(self) -> dict[str, Any]:
        """Return all but the pairs, as plain numbers and words; what is not known is None."""
        values = {
            "n_colours": self.n_colours,
            "n_founders_alone": self.n_founders_alone,
            "n_clones": self.n_clones,
            "n_founders": self.n_founders,
            "resolved": self.resolved,
            "n_trusted": self.n_trusted,
        }
        known = {name: None if np.isnan(value) else value for name, value in values.items()}
        return {**known, "words": self.words, "verdict": self.verdict}


def clone_resolution(
    cells: CloneModel | pd.DataFrame,
    model: CloneModel | None = None,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> Resolution:
    """Tell how many colours an experiment can tell apart.

    Parameters
    ----------
    cells
        Cells with ``clone``, as `assign_clones` returns them: their noise decides what can be told apart. Or
        the model alone, of which the cells that it was fitted to speak.
    model
        The model that called the cells; without it, spreads are taken as typical.
    params
        Whence founder colours are known, ``founders``, and the seed.

    Returns
    -------
    resolution
        The effective number of colours, the founders behind the called clones, and all pairs of clones.

    Raises
    ------
    DataError
        As `describe_clones`; or if the clones are each subject's own (see `resolve_palettes`).

    Notes
    -----
    The effective number of colours is the diversity of order 2 of founders whose similarity is the chance to
    be called as one clone (Leinster & Cobbold, Ecology 93:477, 2012). It belongs to the experiment, its
    vectors, cells and noise, and not to the number of founders that were marked.

    Examples
    --------
    >>> cells = pd.DataFrame({"red": [90.0, 5] * 9, "red_se": 4.0, "green": [5.0, 90] * 9, "green_se": 4.0})
    >>> cells["clone"] = pd.array([1, 2] * 9, dtype="Int64")
    >>> clone_resolution(cells).n_clones
    2
    """
    if isinstance(model, SubjectModels) or isinstance(cells, SubjectModels):
        known = model if isinstance(model, SubjectModels) else cells
        raise DataError(
            "the clones are each subject's own: give the cells of one subject and its model, "
            f"model.subjects[...], of {', '.join(known.subjects) or 'none'}"
        )
    if isinstance(cells, CloneModel):
        called = called_of(cells)
        founders = called.colours
    else:
        called, founders = read_palettes(cells, model, params)[0]
    k = len(called.numbers)
    rows, columns = np.triu_indices(k, 1)
    distance = called.distance[rows, columns]
    distances = pd.DataFrame(
        {
            "clone": called.numbers[rows],
            "other": called.numbers[columns],
            "distance": distance,
            "merge_probability": merge_probability(distance),
        }
    )[[column.name for column in CLONE_DISTANCES.columns]]
    if not k:
        return Resolution(np.nan, np.nan, 0, 0.0, np.nan, 0, distances)
    population = Population.like(founders, called.spread, params.seed)
    unique = describe_palette(called, founders, params)["unique_probability"].to_numpy()
    return Resolution(
        n_colours=population.n_colours,
        n_founders_alone=_most_alone(population),
        n_clones=k,
        n_founders=population.n_founders(k),
        resolved=float(np.average(unique, weights=called.n_cells)),
        n_trusted=int((unique >= _TRUSTED).sum()),
        distances=distances,
    )


def resolve_palettes(
    table: pd.DataFrame,
    model: CloneModel | SubjectModels | None = None,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> dict[str, Resolution]:
    """`clone_resolution` of each subject that has clones of its own, by name; else of all cells, by ""."""
    if not isinstance(model, SubjectModels):
        return {"": clone_resolution(table, model, params)}
    return {
        name: clone_resolution(table.iloc[rows], model.subjects[name], params)
        for name, rows in subject_rows(table).items()
        if name in model.subjects
    }


def _most_alone(population: Population) -> float:
    """Return the most founders of which nine in ten have a colour of their own; at least 1."""
    if population.alone(2) < _ALONE:
        return 1.0
    return (
        float(brentq(lambda n: population.alone(n) - _ALONE, 1, 1e6))
        if population.alone(1e6) < _ALONE
        else 1e6
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
