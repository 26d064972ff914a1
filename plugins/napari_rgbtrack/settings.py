"""Settings of an experiment: begun, read and saved, without Qt."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_rgbtrack.opened import is_experiment
from napari_rgbtrack.toml_file import read_toml, save_sections
from rgbtrack.pipeline import Experiment, init_experiment, read_experiment


def begin_experiment(folder: Path) -> list[str]:
    """Write experiment.toml and samples.csv for a folder of images, unless they are there.

    Returns
    -------
    lines
        What was found and guessed; empty where there was an experiment.
    """
    return [] if is_experiment(folder) else init_experiment(folder)


def read_settings(path: Path) -> tuple[str, dict[str, Any], Experiment]:
    """Text of experiment.toml, its content, and the experiment.

    Raises
    ------
    ParamError
        All its mistakes at once.
    """
    path = path / "experiment.toml" if path.is_dir() else path
    return (*read_toml(path), read_experiment(path))


def save_settings(
    path: Path, known: str, sections: Mapping[str, Mapping[str, Any]]
) -> tuple[str, Experiment]:
    """Save sections into experiment.toml, if the experiment is sound with them.

    Parameters
    ----------
    path
        experiment.toml.
    known
        Its text as it was read.
    sections
        Content of each section.

    Returns
    -------
    text, experiment
        As they are now.

    Raises
    ------
    ParamError
        All mistakes at once, or that the file was changed meanwhile; the file is left as it is then.
    """
    experiment = read_experiment(path, sections)
    return save_sections(path, known, sections), experiment
