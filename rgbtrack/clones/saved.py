"""Clones in a file, to call the cells of later images with."""

from pathlib import Path

from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels
from rgbtrack.errors import DataError
from rgbtrack.files import read_json, write_json

FORMAT = "rgbtrack clones 1"


def save_clones(path: str | Path, model: CloneModel | SubjectModels) -> None:
    """Write clones to a file, as JSON; `load_clones` reads it.

    Parameters
    ----------
    path
        File to write; what is there is replaced at once, never half.
    model
        What `fit_clones` found.
    """
    write_json(path, {"format": FORMAT} | model.to_json())


def load_clones(path: str | Path) -> CloneModel | SubjectModels:
    """Read clones that `save_clones` (or a run: ``clone_model.json``) wrote.

    Raises
    ------
    DataError
        If the file is not there, or holds something else.
    """
    saved = read_json(path)
    if not isinstance(saved, dict) or saved.pop("format", None) != FORMAT:
        raise DataError(
            f"{path}: holds no clones: give clone_model.json of a results folder, or a file that "
            f"save_clones wrote"
        )
    try:
        return SubjectModels.from_json(saved) if "subjects" in saved else CloneModel.from_json(saved)
    except DataError as error:
        raise DataError(f"{path}: its clones are damaged: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(f"{path}: its clones are damaged ({type(error).__name__}: {error})") from error
