"""What each correction found, one row each, for run.json, corrections.csv and the report."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One number that a correction found.

    Attributes
    ----------
    correction
        Which one.
    where
        Batch or image it holds for; empty for all.
    channel
        Marker, or markers, it holds for.
    value, se, unit
        The number, its standard error and its unit; missing where there is none.
    applied
        Whether anything was changed by it.
    reason
        Why, or why not, in words.
    used
        Of light that fades: the rate that was undone, 0 for none. It is not `value` where only a part of that
        is evident.
    """

    correction: str
    where: str = ""
    channel: str = ""
    value: float = np.nan
    se: float = np.nan
    unit: str = ""
    applied: bool = False
    reason: str = ""
    used: float = np.nan


def findings_table(findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as a table, one row each."""
    return pd.DataFrame([asdict(found) for found in findings], columns=list(Finding.__dataclass_fields__))
