"""What corrections need to know of one table: looked for once, however often they are made on it again."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import pandas as pd

from rgbtrack.review.corrections import Correction, Cut, Join, Place, Undo
from rgbtrack.review.links import LINKED, apply_links
from rgbtrack.review.places import Ints, locate

AssignClones = Callable[[pd.DataFrame, Sequence[int]], pd.DataFrame]


@dataclass
class Memory:
    """Where cells were found, what merges called, how links were last: of one unchanging table."""

    places: dict[Place, int | None] = field(default_factory=dict)
    calls: dict[tuple[bytes, tuple[int, ...]], pd.DataFrame] = field(default_factory=dict)
    links: dict[tuple[str, ...], tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict)

    def rows(self, cells: pd.DataFrame, places: Iterable[Place]) -> dict[Place, int]:
        """Rows of the places that are found."""
        wanted = dict.fromkeys(places)
        found = locate(cells, [place for place in wanted if place not in self.places])
        for place in wanted:
            if place not in self.places:
                self.places[place] = found.get(place)
        return {place: row for place in wanted if (row := self.places[place]) is not None}

    def linked(
        self, cells: pd.DataFrame, corrections: Sequence[Correction]
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """As `apply_links`."""
        key = tuple(one.id for one in corrections if isinstance(one, Cut | Join | Undo))
        if key not in self.links:
            after, outcomes = apply_links(cells, corrections)
            self.links = {key: (after[[name for name in LINKED if name in after]], outcomes)}
        columns, outcomes = self.links[key]
        return cells.assign(**{str(name): columns[name] for name in columns}), outcomes

    def called(
        self, cells: pd.DataFrame, rows: Ints, together: Sequence[int], assign: AssignClones
    ) -> pd.DataFrame:
        """Clone and probability of some rows, clones taken together."""
        key = sha256(rows.tobytes()).digest(), tuple(together)
        if key not in self.calls:
            self.calls[key] = assign(cells.iloc[rows], together)[["clone", "clone_probability"]]
        return self.calls[key]
