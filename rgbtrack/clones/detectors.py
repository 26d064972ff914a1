"""Detectors that drift from one image or batch to the next: their gains, and what leaks between them."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from rgbtrack.clones.ray import Floats, Ints

DetectorPart = Literal["gains", "leaks"]


class Drift(NamedTuple):
    """How far detectors drift: sd of log-gains, and of the share of one marker that shows in another."""

    gain: float
    leak: float


@dataclass(frozen=True)
class Detectors:
    """Log-gains (groups, d) and leaks (groups, d, d; target by source, diagonal 0) of each group.

    A colour is read as ``diag(exp(gain)) (I - leak)^-1 x``. Where gains drift before unmixing, a fixed
    matrix takes off too much or too little bleed-through, by the same share in every cell of the session:
    that share is the leak.
    """

    gains: Floats
    leaks: Floats

    @classmethod
    def steady(cls, n_groups: int, n_markers: int) -> "Detectors":
        """Detectors that do not drift."""
        return cls(np.zeros((n_groups, n_markers)), np.zeros((n_groups, n_markers, n_markers)))

    def __len__(self) -> int:
        return len(self.gains)

    @property
    def drifted(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self.gains.any() or self.leaks.any())

    @property
    def matrices(self) -> Floats:
        """What undoes the drift of each group, shape (groups, d, d)."""
        keep: Floats = np.eye(self.gains.shape[1]) - self.leaks
        return keep * np.exp(-self.gains)[:, None, :]

    @property
    def log_jacobian(self) -> Floats:
        """Log-determinant of `matrices`, shape (groups,)."""
        keep = np.eye(self.gains.shape[1]) - self.leaks
        return np.asarray(np.linalg.slogdet(keep)[1] - self.gains.sum(axis=1))

    def undo(self, x: Floats, s: Floats, group: Ints) -> tuple[Floats, Floats]:
        """Colours (n, d) and covariances (n, d, d) without the drift of each row's group."""
        a = self.matrices[group]
        return (a @ x[:, :, None])[:, :, 0], a @ s @ a.transpose(0, 2, 1)

    def cost(self, prior: Drift) -> float:
        """Log-prior, its sign turned."""
        return float(
            0.5 * ((self.gains / prior.gain) ** 2).sum() + 0.5 * ((self.leaks / prior.leak) ** 2).sum()
        )

    def in_units(self, unit: Floats) -> "Detectors":
        """Detectors of colours that are ``unit`` (d,) times as large."""
        return replace(self, leaks=self.leaks * unit[:, None] / unit)

    def step_gains(self, information: Floats, slope: Floats, prior: Drift) -> "Detectors":
        """One Newton step of the gains under the prior.

        Gains and leaks are stepped in turn, with a new expectation between: both at once would take the same
        difference off twice, and diverge.

        Parameters
        ----------
        information, slope
            Of the log-gains, shapes (groups, d, d) and (groups, d).
        """
        d = self.gains.shape[1]
        move = np.linalg.solve(
            information + np.eye(d) / prior.gain**2, (slope - self.gains / prior.gain**2)[:, :, None]
        )[:, :, 0]
        gains = self.gains + np.clip(move, -0.2, 0.2)
        return replace(self, gains=np.clip(gains, -4 * prior.gain, 4 * prior.gain))

    def centred(self, group: Ints) -> "Detectors":
        """Detectors whose mean gain over the cells is 1; ``group`` (n,) is that of each cell."""
        return replace(self, gains=self.gains - self._share(group) @ self.gains)

    def step_leaks(
        self, x: Floats, expected: Floats, weight: Floats, group: Ints, prior: Drift
    ) -> "Detectors":
        """One step of the leaks under the prior, centred over the cells.

        Parameters
        ----------
        x, expected, weight
            Colour of each cell as it reads, as its clone would have it, and the inverse variance of the
            difference, shapes (n, d).
        group
            Group of each cell, shape (n,).
        """
        d = self.gains.shape[1]
        # each target marker is regressed on what the cell should show of the others
        source = expected[:, None, :] * (1 - np.eye(d))  # (n, target, source)
        square = np.zeros((len(self), d, d, d))
        right = np.zeros((len(self), d, d))
        np.add.at(square, group, np.einsum("nj,njk,njl->njkl", weight, source, source))
        np.add.at(right, group, weight[:, :, None] * source * (x - expected)[:, :, None])
        square += np.eye(d) / prior.leak**2
        right -= self.leaks / prior.leak**2
        leaks = self.leaks + np.linalg.solve(square, right[:, :, :, None])[:, :, :, 0]
        leaks = np.clip(leaks, -4 * prior.leak, 4 * prior.leak) * (1 - np.eye(d))
        return replace(self, leaks=leaks - np.tensordot(self._share(group), leaks, axes=1))

    def _share(self, group: Ints) -> Floats:
        """Share of the cells in each group."""
        return np.bincount(group, minlength=len(self)) / len(group)


def gain_errors(information: Floats, prior: Drift) -> Floats:
    """Standard errors of log-gains, (groups, d), of their information (groups, d, d) and the prior."""
    precision = information + np.eye(information.shape[-1]) / prior.gain**2
    return np.asarray(np.sqrt(np.diagonal(np.linalg.inv(precision), axis1=1, axis2=2)))
