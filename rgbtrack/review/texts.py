"""A column of text in which few texts are distinct, quick to change and to search."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass
class Texts:
    """The distinct texts, and which of them each row has; the first is None, for missing."""

    distinct: list[str | None]
    which: NDArray[np.int64]

    @classmethod
    def of(cls, cells: pd.DataFrame, name: str) -> "Texts":
        """Take a column; missing where the table lacks it."""
        if name not in cells.columns:
            return cls([None], np.zeros(len(cells), dtype=np.int64))
        which, distinct = pd.factorize(cells[name])
        return cls([None, *map(str, distinct)], which.astype(np.int64) + 1)

    def put(self, rows: NDArray[np.int64], text: str | None) -> None:
        """Give rows a text."""
        self.which[rows] = self._number(text)

    def add(self, rows: NDArray[np.int64], word: str) -> None:
        """Add a word to what rows have."""
        before, which = np.unique(self.which[rows], return_inverse=True)
        after = [word if (text := self.distinct[n]) is None else f"{text} {word}" for n in before]
        self.which[rows] = np.array([self._number(text) for text in after], dtype=np.int64)[which]

    def where(self, holds: Callable[[str], bool], rows: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """Whether each row's text is such; missing ones are not."""
        such = np.array([text is not None and holds(text) for text in self.distinct])
        return such[self.which if rows is None else self.which[rows]]

    def array(self) -> pd.api.extensions.ExtensionArray:
        """Return the column."""
        return pd.array(self.distinct, dtype="string").take(self.which)

    def _number(self, text: str | None) -> int:
        if text not in self.distinct:
            self.distinct.append(text)
        return self.distinct.index(text)
