"""Everything rgbtrack raises on purpose.

::

    RgbtrackError
    ├── DataError   (also ValueError)   an image, table or file is not what it should be
    └── ParamError  (also ValueError)   a setting, column or argument is not what it should be

A message says what is wrong, what was found and what to do about it.
"""

from collections.abc import Sequence


class RgbtrackError(Exception):
    """Base of every deliberate error: the user can mend it."""


class DataError(RgbtrackError, ValueError):
    """An image, a table or a file is not what it should be."""


class ParamError(RgbtrackError, ValueError):
    """One or several settings are not what they should be.

    Parameters
    ----------
    problems
        One line for each mistake; all of them are told at once.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems: Sequence[str] = problems


class RgbtrackWarning(UserWarning):
    """Something was handled, and the user should know how."""
