"""Names of subjects, treatments and sites: text, also where a table holds numbers."""

from typing import Annotated, Any

from pydantic import BeforeValidator


def name_of(value: Any) -> str:
    """Return a name as text: without blanks around it, whole numbers without decimals.

    A column of names that are numbers comes back from a CSV file as whole numbers, or, where one is missing,
    as decimals: all of these name the same arm.

    >>> name_of(1), name_of(1.0), name_of(" vehicle ")
    ('1', '1', 'vehicle')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _told(value: Any) -> Any:
    return name_of(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else value


Name = Annotated[str, BeforeValidator(_told)]
"""A name in settings: a number counts as text."""
