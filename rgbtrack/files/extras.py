"""Libraries that come with an extra: imported where used, named where missing."""

from importlib import import_module
from typing import Any

from rgbtrack.errors import DataError


def need_extra(module: str, extra: str) -> Any:
    """Import a module, or say which extra brings it.

    >>> need_extra("not_there", "tracks")
    Traceback (most recent call last):
    rgbtrack.errors.DataError: not_there is not installed: pip install 'rgbtrack[tracks]' (in a ...)
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise DataError(
            f"{module} is not installed: pip install 'rgbtrack[{extra}]' (in a checkout: '.[{extra}]')"
        ) from error
