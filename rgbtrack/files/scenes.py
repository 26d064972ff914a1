"""Scenes: the images of a file that holds several, by name or number."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from rgbtrack.errors import DataError

SHOWN = 8


def find_scene(path: Path, names: Sequence[str], wanted: str | int | None) -> int:
    """Index of the scene that is meant.

    Parameters
    ----------
    path
        The file, for messages.
    names
        Of its scenes.
    wanted
        A name, in any case, or a 0-based number; None where there is only one.

    Raises
    ------
    DataError
        If there is no such scene, or there are several and none is named.

    Examples
    --------
    >>> find_scene(Path("a.lif"), ["lung", "liver"], "Liver")
    1
    """
    n = len(names)
    if wanted is None:
        if n == 1:
            return 0
        raise DataError(
            f"{path}: holds {n} images ({_told(names)}): name one, in the sheet's column scene or with "
            "--scene"
        )
    text = str(wanted)
    if text in names:
        return list(names).index(text)
    folded = [name.casefold() for name in names]
    if folded.count(text.casefold()) == 1:
        return folded.index(text.casefold())
    if text.isdecimal() and int(text) < n:
        return int(text)
    close = get_close_matches(text.casefold(), folded, n=1, cutoff=0.6)
    hint = f"did you mean {names[folded.index(close[0])]!r}?" if close else "give a name or a 0-based number"
    raise DataError(f"{path}: no scene {text!r} among its {n} ({_told(names)}): {hint}")


def source_of(path: Path, names: Sequence[str], index: int) -> str:
    """What a scene is called in messages and figures."""
    return f"{path.name}, {names[index]}" if len(names) > 1 else path.name


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names, numbered where they are missing or repeat.

    >>> distinct(["lung", "", "lung"])
    ('lung (0)', 'scene 1', 'lung (2)')
    """
    told = [
        (f"{name} ({i})" if names.count(name) > 1 else name) if name else f"scene {i}"
        for i, name in enumerate(names)
    ]
    while len(set(told)) < len(told):  # one is named as others are numbered
        told = [f"{name} ({i})" if told.count(name) > 1 else name for i, name in enumerate(told)]
    return tuple(told)


def _told(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name if name == str(i) else f"{i} {name}" for i, name in enumerate(names[:SHOWN])) + more
