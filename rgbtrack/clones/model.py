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
from rgbtrack.clones.gaussians import gaussian_likelihood
from rgbtrack.clones.junk import Junk
from rgbtrack.clones.mixture import find_candidates, likelihood
from rgbtrack.clones.parts import parts_of, sample_of, take
from rgbtrack.clones.ray import Floats, Ints, Spread, noise_density
from rgbtrack.clones.signatures import Signatures, read_signatures
from rgbtrack.clones.surroundings import Surroundings, hear_surroundings
from rgbtrack.errors import DataError
from rgbtrack.threads import over_bands

UNMARKED = "no marker above noise"
UNLIKE = "unlike any clone"
NOT_MEASURED = "not measured"
DOUBLET = "doublet"
OPTIONAL = ("covariances", "main_share", "noise")
_MOST_DRIFT = 10.0  # logarithm of what no detector or clone reaches
BAND = 16_384
"""Cells that are called at a time."""
NO_GAINS = pd.DataFrame({"group": [], "marker": [], "gain": [], "se": []})
CALLS = {
    "clone": "Int64",
    "clone_probability": "Float64",
    "unassigned_reason": "string",
    "colour_clone": "Int64",
    "colour_probability": "Float64",
}
"""Columns that `CloneModel.assign` adds."""


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
    gains_se
        Standard errors of ``gains``.
    leaks
        Share of each marker (columns) that shows in each other (rows), (d, d), by value of ``gain_column``.
    error_scale
        What the standard errors of each marker were multiplied by.
    min_probability
        A cell is called only if its best clone is at least this probable.
    junk
        Density of what is no clone; None where no cell was measured.
    covariances
        Of the plain methods: covariance of each clone in ``asinh(x / junk.softness)``; None for ``ray``.
    numbers
        Number of each clone in the tables; None for 1, 2, 3 ...
    main_share
        Share of each clone's cells that its main founder is expected to provide, (k,); None for all.
    n_cells, noise
        Of the cells that the clones were found in, or a sample of them: how many were called for each clone,
        (k,), and the median variance of their errors, (k, d); None where nobody noted it.
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
    gains_se: Mapping[str, Floats]
    leaks: Mapping[str, Floats]
    error_scale: Floats
    min_probability: float
    junk: Junk | None
    covariances: Floats | None = None
    numbers: Ints | None = None
    main_share: Floats | None = None
    n_cells: Ints | None = None
    noise: Floats | None = None

    @property
    def n_clones(self) -> int:
        """Number of clones."""
        return len(self.weights)

    @property
    def clone_numbers(self) -> Ints:
        """Number of each clone in the tables."""
        return np.arange(1, self.n_clones + 1) if self.numbers is None else self.numbers

    @property
    def main_shares(self) -> Floats:
        """Share of each clone's cells that its main founder is expected to provide; 1 where nobody knows."""
        return np.ones(self.n_clones) if self.main_share is None else self.main_share

    def scaled(self, s: Floats) -> Floats:
        """Covariances (n, d, d) of a table with its standard errors as the data have them."""
        return s * self.error_scale[:, None] * self.error_scale

    def gains_table(self) -> pd.DataFrame:
        """``group, marker, gain, se``: 1.1 where a group reads 10 % more of a marker than the others."""
        return pd.DataFrame(
            [
                (name, marker, float(gain), float(gain * se))
                for name, gains in self.gains.items()
                for marker, gain, se in zip(self.markers, np.exp(gains), self.gains_se[name], strict=True)
            ],
            columns=NO_GAINS.columns,
        )

    def probabilities(self, table: pd.DataFrame) -> Floats:
        """Probability of each clone, then of unmarked and of junk, for each row; NaN where not measured."""
        return self._probabilities(table, read_signatures(table, self.markers), np.float64)

    def _probabilities(self, table: pd.DataFrame, signatures: Signatures, kind: type) -> NDArray[Any]:
        result: NDArray[Any] = np.full((len(table), self.n_clones + 2), np.nan, kind)
        if not signatures.measured.any() or self.junk is None:
            return result
        rows = np.flatnonzero(signatures.measured)
        detectors, group = self.detectors(table)
        bands = -(-len(rows) // BAND)

        def fill(start: int, stop: int) -> None:
            of = slice(start, stop)
            result[rows[of]] = self._posterior(signatures.x[of], signatures.s[of], detectors, group[rows[of]])

        over_bands(fill, len(rows), bands)
        return result

    def _posterior(self, x: Floats, s: Floats, detectors: Detectors, group: Ints) -> Floats:
        """Probability of each clone, of unmarked and of junk, of some measured cells."""
        parts = self._log_parts(x, s, detectors, group)
        parts -= parts.max(axis=1, keepdims=True)
        np.exp(parts, out=parts)
        parts /= parts.sum(axis=1, keepdims=True)
        return parts

    def log_density(self, table: pd.DataFrame) -> Floats:
        """Logarithm of the density of the measured cells of a table, whatever they are of, per counts^d."""
        signatures = read_signatures(table, self.markers)
        detectors, group = self.detectors(table)
        parts = self._log_parts(signatures.x, signatures.s, detectors, group[signatures.measured])
        return np.asarray(logsumexp(parts, axis=1))

    def _log_parts(self, x: Floats, s: Floats, detectors: Detectors, group: Ints) -> Floats:
        """Logarithm of weight times density of each clone, unmarked and junk, of some measured cells."""
        assert self.junk is not None  # noqa: S101 - some cells were measured
        s = self.scaled(s)
        common_x, common_s = detectors.undo(x, s, group)
        parts = np.full((len(x), self.n_clones + 2), -np.inf)
        parts[:, -2] = noise_density(x, s) + math.log(self.unmarked_weight)
        parts[:, -1] = self.junk.log_density(x) + math.log(self.junk_weight)
        if self.covariances is not None and self.n_clones:
            softness = self.junk.softness
            means = np.arcsinh(self.colours / softness)
            loglik = gaussian_likelihood(x, softness, means, self.covariances)
            parts[:, :-2] = loglik + np.log(self.weights)
        elif self.n_clones:
            x, s = np.ascontiguousarray(common_x), np.ascontiguousarray(common_s)
            spread = Spread(self.spread_colour, self.spread_brightness)
            likely = find_candidates(x, s, self.colours, self.weights, spread)
            loglik = likelihood(x, s, self.colours, likely, spread, steps=3)[0]
            loglik += np.log(self.weights)[likely] + detectors.log_jacobian[group][:, None]
            row, column = np.nonzero(likely >= 0)
            parts[row, likely[row, column]] = loglik[row, column]
        return parts

    def _within_noise(self, signatures: Signatures) -> NDArray[np.bool_]:
        """Whether noise alone would often explain a cell."""
        s = self.scaled(signatures.s)
        solved = np.linalg.solve(s, signatures.x[:, :, None])[:, :, 0]
        return np.asarray((signatures.x * solved).sum(axis=1) < chdtri(len(self.markers), 0.01))

    def detectors(self, table: pd.DataFrame) -> tuple[Detectors, Ints]:
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

    def assign(
        self, table: pd.DataFrame, together: Sequence[int] = (), *, spatial: bool = False
    ) -> pd.DataFrame:
        """Return the table with the calls of its cells, `CALLS`.

        Parameters
        ----------
        table
            See `fit_clones`.
        together
            Numbers of clones that are taken for one, under the first of them: a cell between two of these is
            then a cell of theirs.
        spatial
            Whether neighbours and links are heard: see `rgbtrack.clones.surroundings`.
        """
        signatures = read_signatures(table, self.markers)
        parts = parts_of(table)
        learnt = None
        if spatial and len(parts) > 1:
            rows = sample_of(parts)
            learnt = self._hear(take(table, rows), signatures.part(rows), together)
        calls = [
            self._calls(take(table, rows), signatures.part(rows), together, spatial, learnt) for rows in parts
        ]
        result = table.copy()
        order = np.argsort(np.concatenate(parts), kind="stable")
        for name in CALLS:
            column = pd.concat([part[name] for part, _ in calls], ignore_index=True)
            result[name] = column.array[order]
        heard = learnt or calls[0][1]
        if heard is not None:
            changed = result["clone"].fillna(0) != result["colour_clone"].fillna(0)
            result.attrs["neighbours"] = heard.words(int(changed.sum()), len(table))
        return result

    def _calls(
        self,
        table: pd.DataFrame,
        signatures: Signatures,
        together: Sequence[int],
        spatial: bool,
        learnt: Surroundings | None,
    ) -> tuple[pd.DataFrame, Surroundings | None]:
        """Return `CALLS` of some whole images, and what their surroundings told."""
        colour = self._of_colour(table, signatures, together)
        main_share = self.main_shares.copy()
        same = np.flatnonzero(np.isin(self.clone_numbers, together))
        main_share[same[:1]] = main_share[same].max(initial=0)
        clone, top, reason = colour_clone, colour_top, _ = self._call(colour, signatures, main_share)
        heard = None
        if spatial:
            heard = hear_surroundings(table, colour, self._shares(), signatures.doublet, learnt)
            clone, top, reason = self._call(heard.probability, signatures, main_share)
        called = pd.DataFrame(
            {
                "clone": clone,
                "clone_probability": top,
                "unassigned_reason": reason,
                "colour_clone": colour_clone,
                "colour_probability": colour_top,
            }
        )
        return called, None if heard is None else heard.without_cells()

    def _hear(self, table: pd.DataFrame, signatures: Signatures, together: Sequence[int]) -> Surroundings:
        """What the surroundings of some cells tell of all."""
        colour = self._of_colour(table, signatures, together)
        return hear_surroundings(table, colour, self._shares(), signatures.doublet).without_cells()

    def _shares(self) -> Floats:
        return np.append(self.weights, [self.unmarked_weight, self.junk_weight])

    def _of_colour(
        self, table: pd.DataFrame, signatures: Signatures, together: Sequence[int]
    ) -> NDArray[Any]:
        """Probabilities from colour alone, some clones taken for the first of them."""
        # the largest of all tables: half as large in single precision
        colour = self._probabilities(table, signatures, np.float32)
        same = np.flatnonzero(np.isin(self.clone_numbers, together))
        colour[:, same[:1]] = colour[:, same].sum(axis=1, keepdims=True)
        colour[:, same[1:]] = 0
        return colour

    def _call(
        self, probability: NDArray[Any], signatures: Signatures, main_share: Floats
    ) -> tuple[Any, Floats, Any]:
        """Return clone, its probability, and why there is none, from the probabilities of each row."""
        n, k = len(probability), self.n_clones
        reason = np.full(n, None, dtype=object)
        best = np.zeros(n, dtype=np.int64)
        top = np.full(n, np.nan)
        if not k:
            reason[:] = UNLIKE
        for start in range(0, n if k else 0, BAND):
            part = probability[start : start + BAND]
            rows = np.flatnonzero(np.isfinite(part).all(axis=1))
            best[start + rows] = part[rows, :k].argmax(axis=1)
            top[start + rows] = part[rows, best[start + rows]]
        unmarked, junk = probability[:, k].astype(float), probability[:, k + 1].astype(float)
        reason[np.nan_to_num(top, nan=0.0) < self.min_probability] = ambiguous(self.min_probability)
        called_none = np.nan_to_num(np.where(np.isnan(top), 0.0, top))
        reason[(unmarked >= junk) & (unmarked > called_none)] = UNMARKED
        reason[(junk > unmarked) & (junk > called_none)] = UNLIKE
        within_noise = np.zeros(n, dtype=bool)
        within_noise[signatures.measured] = self._within_noise(signatures)
        reason[within_noise & ~pd.isna(reason)] = UNMARKED
        reason[signatures.doublet] = DOUBLET
        reason[~signatures.measured] = NOT_MEASURED
        clone = pd.array(np.append(self.clone_numbers, 0)[best], dtype="Int64")
        clone[~pd.isna(reason) | (k == 0)] = pd.NA
        if k:
            top *= main_share[best]
        return clone, top, pd.array(reason, dtype="string")

    def at_least(self, min_probability: float) -> "CloneModel":
        """Return the model that calls a cell only if its best clone is at least this probable."""
        return replace(self, min_probability=min_probability)

    def ordered(self, order: Ints) -> "CloneModel":
        """Return the model with its clones, or some of them, in another order."""
        own = {name: getattr(self, name) for name in ("covariances", "main_share", "n_cells", "noise")}
        taken = {name: value[order] for name, value in own.items() if value is not None}
        return replace(self, colours=self.colours[order], weights=self.weights[order], **taken)

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
            "gains_se": {name: se.tolist() for name, se in self.gains_se.items()},
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
            "main_share": None if self.main_share is None else self.main_share.tolist(),
            "n_cells": None if self.n_cells is None else self.n_cells.tolist(),
            "noise": None if self.noise is None else self.noise.tolist(),
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
        markers = saved["markers"]
        if not isinstance(markers, list) or not all(isinstance(name, str) for name in markers):
            raise DataError(f"markers should be a list of names, found {markers!r}")
        markers = tuple(markers)
        junk = saved["junk"]
        values = dict(saved)
        values["markers"] = markers
        values["colours"] = np.array(saved["colours"], dtype=float).reshape(-1, len(markers))
        for name in ("weights", "error_scale"):
            values[name] = np.array(saved[name], dtype=float)
        for name in ("gains", "gains_se", "leaks"):
            values[name] = {group: np.array(value, dtype=float) for group, value in saved[name].items()}
        if junk is not None:
            values["junk"] = Junk(
                softness=np.array(junk["softness"], dtype=float),
                means=np.array(junk["means"], dtype=float),
                covariances=np.array(junk["covariances"], dtype=float),
                weights=np.array(junk["weights"], dtype=float),
                log_volume=float(junk["log_volume"]),
            )
        for name, kind in (("numbers", int), ("n_cells", int), *((name, float) for name in OPTIONAL)):
            if saved[name] is not None:
                values[name] = np.array(saved[name], dtype=kind)
        if saved["noise"] is not None:
            values["noise"] = values["noise"].reshape(-1, len(markers))
        model = cls(**values)
        model._check()
        return model

    def _check(self) -> None:
        """Raise a `DataError` if parts of the model do not fit each other: compiled code trusts them."""
        k, d = self.n_clones, len(self.markers)
        if not 2 <= d <= 7 or len(set(self.markers)) < d:
            raise DataError(f"markers should be 2 to 7 different names, found {', '.join(self.markers)}")
        if not isinstance(self.gain_column, str) or (self.junk is None and k):
            raise DataError("gain_column should be a name, and junk be there where there are clones")
        groups = set(self.gains)
        if (
            groups != set(self.leaks)
            or groups != set(self.gains_se)
            or bool(groups) != bool(self.gain_column)
        ):
            raise DataError("gain_column, gains, gains_se and leaks should tell of the same groups")
        arrays: list[tuple[str, NDArray[Any], tuple[int, ...]]] = [
            ("colours", self.colours, (k, d)),
            ("weights", self.weights, (k,)),
            ("error_scale", self.error_scale, (d,)),
            *(("gains", value, (d,)) for value in self.gains.values()),
            *(("leaks", value, (d, d)) for value in self.leaks.values()),
        ]
        positive = {"weights", "error_scale", "junk.softness", "junk.weights"}
        if self.covariances is not None:
            arrays.append(("covariances", self.covariances, (k, d, d)))
        if self.numbers is not None:
            arrays.append(("numbers", self.numbers, (k,)))
        if self.n_cells is not None:
            arrays.append(("n_cells", self.n_cells, (k,)))
        if self.noise is not None:
            arrays.append(("noise", self.noise, (k, d)))
        if self.main_share is not None:
            arrays.append(("main_share", self.main_share, (k,)))
        if self.junk is not None:
            parts = np.shape(self.junk.weights)[:1]
            arrays += [
                ("junk.softness", self.junk.softness, (d,)),
                ("junk.weights", self.junk.weights, parts),
                ("junk.means", self.junk.means, (*parts, d)),
                ("junk.covariances", self.junk.covariances, (*parts, d, d)),
                ("junk.log_volume", np.array(self.junk.log_volume), ()),
            ]
        for name, value, shape in arrays:
            if value.shape != shape:
                raise DataError(f"{name} should have the shape {shape}, found {value.shape}")
            if not np.isfinite(value).all() or (name in positive and not (value > 0).all()):
                raise DataError(f"{name} should hold finite numbers{' above 0' * (name in positive)}")
            if name.endswith("covariances") and not (np.linalg.eigvalsh(value) > 0).all():
                raise DataError(f"{name} should be positive definite")
        for value in self.gains_se.values():
            if value.shape != (d,):
                raise DataError(f"gains_se should have the shape {(d,)}, found {value.shape}")
        if any(np.abs(value).max() > _MOST_DRIFT for value in (*self.gains.values(), *self.leaks.values())):
            raise DataError(f"gains and leaks should lie between {-_MOST_DRIFT:g} and {_MOST_DRIFT:g}")
        if self.numbers is not None and (len(set(self.numbers)) < k or self.numbers.min(initial=1) < 1):
            raise DataError("numbers should be different whole numbers from 1 on")
        limits = {
            "spread_colour": _MOST_DRIFT,
            "spread_brightness": _MOST_DRIFT,
            "unmarked_weight": 1.0,
            "junk_weight": 1.0,
        }
        for name, most in limits.items():
            if not 0 < getattr(self, name) <= most:
                raise DataError(f"{name} should lie above 0 and be at most {most:g}")
        shares = (
            [self.min_probability] if self.main_share is None else [self.min_probability, *self.main_share]
        )
        if not all(0 <= share <= 1 for share in shares):
            raise DataError("min_probability and main_share should lie between 0 and 1")
