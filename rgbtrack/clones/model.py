"""The fitted clones, and calling cells with them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri, logsumexp

from rgbtrack.clones.detectors import Detectors
from rgbtrack.clones.gmm import gaussian_likelihood
from rgbtrack.clones.junk import Junk
from rgbtrack.clones.mixture import all_clones, likelihood
from rgbtrack.clones.ray import Floats, Ints, Spread, null_likelihood
from rgbtrack.clones.signatures import Signatures, read_signatures
from rgbtrack.errors import DataError

UNMARKED = "no marker above noise"
UNLIKE = "unlike any clone"
NOT_MEASURED = "not measured"
DOUBLET = "doublet"


def ambiguous(min_probability: float) -> str:
    """Reason of a cell between clones."""
    return f"ambiguous: best probability below {min_probability:g}"


@dataclass(frozen=True)
class CloneModel:
    """Clones of one palette, largest first.

    Attributes
    ----------
    markers
        Names, in the order of the columns of every array here.
    colours
        Mean signature of each clone at median brightness, shape (k, d), in the units of the table.
    weights
        Share of each clone among all cells, shape (k,).
    spread_colour, spread_brightness
        ln sd within a clone: of each marker on its own, and of the brightness shared by all markers.
    unmarked_weight, junk_weight
        Share of cells without a marker, and of cells unlike any clone.
    gain_column
        Column whose values share gains; empty for none.
    gains
        Log-gain of each marker (d,), by value of ``gain_column``.
    leaks
        Share of each marker (columns) that shows in each other (rows), (d, d), by value of ``gain_column``.
    error_scale
        What the standard errors of each marker were multiplied by.
    min_probability
        A cell is called only if its best clone is at least this probable.
    junk
        Density of what is no clone; None where no cell was measured.
    covariances
        Of the method gmm: covariance of each clone in ``asinh(x / junk.softness)``; None for the method ray.
    numbers
        Number of each clone in the tables; None for 1, 2, 3 ...
    """

    markers: tuple[str, ...]
    colours: Floats
    weights: Floats
    spread_colour: float
    spread_brightness: float
    unmarked_weight: float
    junk_weight: float
    gain_column: str
    gains: Mapping[str, Floats]
    leaks: Mapping[str, Floats]
    error_scale: Floats
    min_probability: float
    junk: Junk | None
    covariances: Floats | None = None
    numbers: Ints | None = None

    @property
    def n_clones(self) -> int:
        """Number of clones."""
        return len(self.weights)

    @property
    def clone_numbers(self) -> Ints:
        """Number of each clone in the tables."""
        return np.arange(1, self.n_clones + 1) if self.numbers is None else self.numbers

    def gains_table(self) -> dict[str, dict[str, float]]:
        """Return the gain of each marker by group: 1.1 where a group reads 10 % more than the others."""
        return {
            name: {m: float(g) for m, g in zip(self.markers, np.exp(gain), strict=True)}
            for name, gain in self.gains.items()
        }

    def probabilities(self, table: pd.DataFrame) -> Floats:
        """Probability of each clone, then of unmarked and of junk, for each row; NaN where not measured."""
        return self._probabilities(table, read_signatures(table, self.markers))

    def _probabilities(self, table: pd.DataFrame, signatures: Signatures) -> Floats:
        result = np.full((len(table), self.n_clones + 2), np.nan)
        if not signatures.measured.any() or self.junk is None:
            return result
        x = signatures.x
        s = signatures.s * self.error_scale[:, None] * self.error_scale
        detectors, group = self._detectors(table)
        group = group[signatures.measured]
        common_x, common_s = detectors.undo(x, s, group)
        noise = np.empty(len(x))
        null_likelihood(x, s, noise)
        parts = np.column_stack(
            [noise + math.log(self.unmarked_weight), self.junk.log_density(x) + math.log(self.junk_weight)]
        )
        if self.covariances is not None and self.n_clones:
            softness = self.junk.softness
            means = np.arcsinh(self.colours / softness)
            loglik = gaussian_likelihood(x, softness, means, self.covariances)
            parts = np.column_stack([loglik + np.log(self.weights), parts])
        elif self.n_clones:
            loglik = likelihood(
                np.ascontiguousarray(common_x),
                np.ascontiguousarray(common_s),
                self.colours,
                all_clones(self.n_clones),
                Spread(self.spread_colour, self.spread_brightness),
                steps=3,
            )[0]
            parts = np.column_stack(
                [loglik + np.log(self.weights) + detectors.log_jacobian[group][:, None], parts]
            )
        result[signatures.measured] = np.exp(parts - logsumexp(parts, axis=1)[:, None])
        return result

    def _within_noise(self, signatures: Signatures) -> NDArray[np.bool_]:
        """Whether noise alone would often explain a cell."""
        s = signatures.s * self.error_scale[:, None] * self.error_scale
        solved = np.linalg.solve(s, signatures.x[:, :, None])[:, :, 0]
        return np.asarray((signatures.x * solved).sum(axis=1) < chdtri(len(self.markers), 0.01))

    def _detectors(self, table: pd.DataFrame) -> tuple[Detectors, Ints]:
        """Return the detectors, and which of them each row was read with; one unknown has not drifted."""
        d = len(self.markers)
        steady = Detectors.steady(1, d)
        if not self.gain_column or self.gain_column not in table.columns:
            return steady, np.zeros(len(table), dtype=np.int64)
        detectors = Detectors(
            np.concatenate([np.stack(list(self.gains.values())), steady.gains]),
            np.concatenate([np.stack(list(self.leaks.values())), steady.leaks]),
        )
        values = pd.Index(table[self.gain_column].astype("string").fillna(""))
        return detectors, pd.Index(list(self.gains)).get_indexer(values) % len(detectors)

    def assign(self, table: pd.DataFrame, together: Sequence[int] = ()) -> pd.DataFrame:
        """Return the table with ``clone``, ``clone_probability`` and ``unassigned_reason``.

        Clones whose numbers are in `together` are taken for one, under the first of their numbers: a cell
        between two of them is then a cell of theirs.
        """
        signatures = read_signatures(table, self.markers)
        probability = self._probabilities(table, signatures)
        same = np.flatnonzero(np.isin(self.clone_numbers, together))
        probability[:, same[:1]] = probability[:, same].sum(axis=1, keepdims=True)
        probability[:, same[1:]] = 0
        n, k = len(table), self.n_clones
        reason = np.full(n, None, dtype=object)
        best = np.zeros(n, dtype=np.int64)
        top = np.full(n, np.nan)
        rows = np.flatnonzero(np.isfinite(probability).all(axis=1))
        if not k:
            reason[:] = UNLIKE
        if k:
            best[rows] = probability[rows, :k].argmax(axis=1)
            top[rows] = probability[rows, best[rows]]
        unmarked, junk = probability[:, k], probability[:, k + 1]
        reason[np.nan_to_num(top, nan=0.0) < self.min_probability] = ambiguous(self.min_probability)
        called_none = np.nan_to_num(np.where(np.isnan(top), 0.0, top))
        reason[(unmarked >= junk) & (unmarked > called_none)] = UNMARKED
        reason[(junk > unmarked) & (junk > called_none)] = UNLIKE
        within_noise = np.zeros(n, dtype=bool)
        within_noise[signatures.measured] = self._within_noise(signatures)
        reason[within_noise & ~pd.isna(reason)] = UNMARKED
        reason[signatures.doublet] = DOUBLET
        reason[~signatures.measured] = NOT_MEASURED
        called = pd.isna(reason) & (k > 0)
        result = table.copy()
        numbers = np.append(self.clone_numbers, 0)
        result["clone"] = pd.array(numbers[best], dtype="Int64")
        result.loc[~called, "clone"] = pd.NA
        result["clone_probability"] = top
        result["unassigned_reason"] = pd.array(reason, dtype="string")
        return result

    def ordered(self, order: Ints) -> "CloneModel":
        """Return the model with its clones in another order."""
        covariances = None if self.covariances is None else self.covariances[order]
        return replace(
            self, colours=self.colours[order], weights=self.weights[order], covariances=covariances
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain numbers, lists and strings."""
        junk = self.junk
        return {
            "markers": list(self.markers),
            "colours": self.colours.tolist(),
            "weights": self.weights.tolist(),
            "spread_colour": self.spread_colour,
            "spread_brightness": self.spread_brightness,
            "unmarked_weight": self.unmarked_weight,
            "junk_weight": self.junk_weight,
            "gain_column": self.gain_column,
            "gains": {name: gain.tolist() for name, gain in self.gains.items()},
            "leaks": {name: leak.tolist() for name, leak in self.leaks.items()},
            "error_scale": self.error_scale.tolist(),
            "min_probability": self.min_probability,
            "junk": None
            if junk is None
            else {
                "softness": junk.softness.tolist(),
                "means": junk.means.tolist(),
                "covariances": junk.covariances.tolist(),
                "weights": junk.weights.tolist(),
                "log_volume": junk.log_volume,
            },
            "covariances": None if self.covariances is None else self.covariances.tolist(),
            "numbers": None if self.numbers is None else self.numbers.tolist(),
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "CloneModel":
        """Return the model that `to_json` wrote."""
        fields = set(cls.__dataclass_fields__)
        if set(saved) != fields:
            raise DataError(
                f"no clone model: it should hold {', '.join(sorted(fields))}; "
                f"found {', '.join(sorted(saved)) or 'nothing'}"
            )
        markers = tuple(saved["markers"])
        junk = saved["junk"]
        values = dict(saved)
        values["markers"] = markers
        values["colours"] = np.array(saved["colours"], dtype=float).reshape(-1, len(markers))
        for name in ("weights", "error_scale"):
            values[name] = np.array(saved[name], dtype=float)
        for name in ("gains", "leaks"):
            values[name] = {group: np.array(value, dtype=float) for group, value in saved[name].items()}
        if junk is not None:
            values["junk"] = Junk(
                softness=np.array(junk["softness"], dtype=float),
                means=np.array(junk["means"], dtype=float),
                covariances=np.array(junk["covariances"], dtype=float),
                weights=np.array(junk["weights"], dtype=float),
                log_volume=float(junk["log_volume"]),
            )
        if saved["numbers"] is not None:
            values["numbers"] = np.array(saved["numbers"], dtype=np.int64)
        if saved["covariances"] is not None:
            values["covariances"] = np.array(saved["covariances"], dtype=float)
        return cls(**values)
