"""Clones of different subjects that are of one founder, with a stated trust."""

from itertools import combinations

import numpy as np
import pandas as pd

from rgbtrack.clones.called import Called, read_called
from rgbtrack.clones.confusion import Colours
from rgbtrack.clones.founders import draw_founders
from rgbtrack.clones.gains import gain_groups
from rgbtrack.clones.matching import Scale, even_shares, match_means, read_means
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import Floats, Ints
from rgbtrack.clones.signatures import read_signatures
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONE_MATCHES

_LISTED = 0.05
"""Probability from which a pair is listed."""
_SURE = 0.5
_APART = 0.15  # share of clones with a partner, below which subjects hardly share founders
_ROUNDS = 3


def match_subjects(
    table: pd.DataFrame,
    model: CloneModel | SubjectModels | None = None,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> pd.DataFrame:
    """Tell which clones of one subject descend from the founder of which clones of another.

    Where each subject has clones of its own, this finds their partners. Where all subjects share their
    clones, it tells whether cells of one clone in two subjects are of one founder, or of two of one colour.

    Parameters
    ----------
    table
        Cells with ``subject`` and ``clone``, as `assign_clones` returns them.
    model
        The model that called them; without it, spreads are taken as typical.
    params
        What shares gains, how far they drift, the fewest cells that make a clone, and the seed.

    Returns
    -------
    matches
        For each clone of a subject and each other subject all partners of 5 % or more, or one row without a
        partner; see `rgbtrack.tables.CLONE_MATCHES`.

    Raises
    ------
    DataError
        If the table has no column ``clone`` or ``subject``.

    Notes
    -----
    A posterior over one-to-one matchings of the mean colours (see `rgbtrack.clones.matching`), for every two
    subjects. How many clones have a partner is learnt: what one pair of subjects tells of it is the prior of
    the others. A clone may hold several founders of its colour, and the largest may be another one in another
    subject: the probability is multiplied by the share of both main founders. Colour alone is used, blind to
    treatment, timepoint and site.
    """
    if "clone" not in table.columns:
        raise DataError("the table has no column clone: call assign_clones on it first")
    rows = {name: at for name, at in subject_rows(table).items() if name}
    called = {name: _read(table.iloc[at], _own(model, name), params) for name, at in rows.items()}
    filled = [one for one in called.values() if len(one.numbers)]
    if not filled:
        return _table([])
    order = np.argsort(np.concatenate([one.numbers for one in filled]), kind="stable")
    colours = Colours(
        np.concatenate([one.colours.mean for one in filled])[order],
        np.concatenate([one.colours.noise for one in filled])[order],
    )
    share = float(
        np.average([one.spread.colour for one in filled], weights=[len(one.numbers) for one in filled])
    )
    scale = Scale(np.exp(np.log(colours.noise).mean(axis=0) / 2), share)
    founders = draw_founders(colours, params.seed)
    means = {n: read_means(o.colours, o.n_cells, o.spread, scale, founders) for n, o in called.items()}
    drift = _drift(table, rows, params)
    pairs = list(combinations(rows, 2))
    prior = even_shares()
    for _ in range(_ROUNDS if len(pairs) > 1 else 0):
        told = [match_means(means[a], means[b], drift[a, b], prior, params.seed)[1] for a, b in pairs]
        prior = (even_shares() + sum(told)) / (1 + len(pairs))
    main = {name: _main_share(one.numbers, _own(model, name)) for name, one in called.items()}
    found = []
    for a, b in pairs:
        matching, _ = match_means(means[a], means[b], drift[a, b], prior, params.seed)
        same = matching.same * main[a][:, None] * main[b]
        found += [
            _rows((a, called[a]), (b, called[b]), same, matching.distance),
            _rows((b, called[b]), (a, called[a]), same.T, matching.distance.T),
        ]
    return _table(found)


def matches_in_words(matches: pd.DataFrame) -> str:
    """Tell in plain words how far subjects share founders; nothing where there is one subject.

    Parameters
    ----------
    matches
        As `match_subjects` returns them.
    """
    if not len(matches):
        return ""
    each = matches.drop_duplicates(["subject", "clone", "other_subject"])
    share = 1 - float(each["alone_probability"].mean())
    sure = int((matches["match_probability"] >= _SURE).sum()) // 2
    told = (
        f"Of the clones of a subject, {100 * share:.0f} % are expected to have a partner of the same founder "
        f"in another subject; {sure} such pairs are likelier than not (clone_matches.csv)."
    )
    if share < _APART:
        told += (
            " Subjects hardly share founders: if they got cells that were marked separately, do not compare "
            'their clones one by one, and set palette = "subject" in [clones].'
        )
    return told


def _own(model: CloneModel | SubjectModels | None, subject: str) -> CloneModel | None:
    """Return the model of one subject."""
    return model.subjects.get(subject) if isinstance(model, SubjectModels) else model


def _read(cells: pd.DataFrame, model: CloneModel | None, params: ClonesParams) -> Called:
    """Clones of one subject that have enough cells, the drift of its detectors undone."""
    cells = cells[cells.groupby("clone")["clone"].transform("size") >= params.min_cells]
    if model is None:
        return read_called(cells, None)
    signatures = read_signatures(cells, model.markers)
    cells = cells[signatures.measured]
    detectors, group = model.detectors(cells)
    x, _ = detectors.undo(signatures.x, signatures.s, group)
    return read_called(cells.assign(**dict(zip(model.markers, x.T, strict=True))), model)


def _drift(
    table: pd.DataFrame, rows: dict[str, np.ndarray], params: ClonesParams
) -> dict[tuple[str, str], float]:
    """How far the gains of every two subjects may differ, ln sd: not at all where all groups are shared."""
    groups = gain_groups(table, params.gains)
    n = len(groups.names)
    share = {name: np.bincount(groups.index[at], minlength=n) / max(len(at), 1) for name, at in rows.items()}
    return {
        (a, b): params.gain_drift * float(np.linalg.norm(share[a] - share[b]))
        for a, b in combinations(rows, 2)
    }


def _main_share(numbers: Ints, model: CloneModel | None) -> Floats:
    """Share of each clone's cells that its main founder is expected to provide; 1 where not known."""
    if model is None:
        return np.ones(len(numbers))
    share = dict(zip(model.clone_numbers.tolist(), model.main_shares.tolist(), strict=True))
    return np.array([share.get(int(number), 1.0) for number in numbers])


def _table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Put the rows of all pairs of subjects together, by clone, the likeliest partner first."""
    kinds = {"int": "Int64", "float": "float64", "str": "str"}
    types = {column.name: kinds[column.kind] for column in CLONE_MATCHES.columns}
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
    order = ["clone", "subject", "other_subject", "match_probability"]
    table = pd.concat(filled, ignore_index=True).astype(types)
    return table.sort_values(order, ascending=[True, True, True, False], kind="stable", ignore_index=True)


def _rows(own: tuple[str, Called], other: tuple[str, Called], same: Floats, distance: Floats) -> pd.DataFrame:
    """One row for each likely partner of a clone in another subject, or one that names none."""
    listed = same >= _LISTED
    row, column = np.nonzero(listed)
    lone = np.flatnonzero(~listed.any(axis=1))
    nobody = np.full(len(lone), np.nan)
    partner = pd.Series(other[1].numbers[column], dtype="Int64")
    row = np.append(row, lone)
    values = {
        "subject": own[0],
        "clone": own[1].numbers[row],
        "other_subject": other[0],
        "other_clone": partner.reindex(range(len(row))),
        "match_probability": np.append(same[listed], nobody),
        "alone_probability": np.clip(1 - same.sum(axis=1), 0, 1)[row],
        "distance": np.append(distance[listed], nobody),
    }
    return pd.DataFrame(values)
