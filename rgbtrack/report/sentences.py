"""Numbers as they stand in sentences."""

import math

import pandas as pd


def factor(log2: float) -> str:
    """Return a log2 fold change as a factor: ×2.0, or ÷2.0 for a loss.

    >>> factor(1.0), factor(-1.0)
    ('×2.0', '÷2.0')
    """
    return f"{'÷' if log2 < 0 else '×'}{2 ** abs(log2):.1f}"


def evidence(value: float, name: str = "p") -> str:
    """Return a probability with as many digits as it is worth.

    >>> evidence(0.00001), evidence(0.0312), evidence(0.52, "q")
    ('p < 0.001', 'p = 0.031', 'q = 0.52')
    """
    if value < 0.001:
        return f"{name} < 0.001"
    return f"{name} = {value:.3f}" if value < 0.1 else f"{name} = {value:.2f}"


def number(value: float, digits: int = 2) -> str:
    """Return a number with so many significant digits, "unknown" if missing.

    >>> number(0.03456), number(float("nan"))
    ('0.035', 'unknown')
    """
    if math.isnan(value):
        return "unknown"
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    return f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"


def span(low: float, high: float) -> str:
    """Return the ends of an interval, "to" between them."""
    return f"{number(low)} to {number(high)}"


def at_site(site: object, table: pd.DataFrame) -> str:
    """Where, as far as the table has several sites."""
    return f" at site {site}" if len(set(table["site"])) > 1 else ""
