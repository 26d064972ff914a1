"""What was found of the bleed-through."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, eq=False)
class BleedThrough:
    """A bleed-through matrix and how sure it is.

    Attributes
    ----------
    matrix
        Rows detectors, columns proteins, both by marker name; diagonal 1. An element that is not known is 0:
        nothing is taken off on its account.
    se
        Standard error of each element; 0 on the diagonal, NaN where the element is not known.
    n_cells
        Cells that each protein's column rests on.
    needed
        Whether any element is above 0 by more than three standard errors: if not, none need be undone.
    reasons
        By (detector, protein), in words, why an element is not known; empty if all are.
    """

    matrix: pd.DataFrame
    se: pd.DataFrame
    n_cells: Mapping[str, int]
    needed: bool
    reasons: Mapping[tuple[str, str], str]

    @property
    def reason(self) -> str:
        """All of it in words, for people."""
        order = [str(name) for name in self.matrix.columns]
        share, error = self.matrix.to_numpy(float), self.se.to_numpy(float)
        lines = [
            f"{protein} into {detector} {share[d, p]:.3f} ± {error[d, p]:.4f}"
            for p, protein in enumerate(order)
            for d, detector in enumerate(order)
            if d != p and (detector, protein) not in self.reasons
        ]
        for why in dict.fromkeys(self.reasons.values()):
            pairs = [
                f"{protein} into {detector}" for (detector, protein), w in self.reasons.items() if w == why
            ]
            lines.append(f"{', '.join(pairs)} not known: {why}")
        if not self.needed:
            lines.insert(0, "no bleed-through is seen, none is undone")
        return "; ".join(lines)
