"""Settings put into experiment.toml: its comments, its order and all else in it stay."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgbtrack.errors import ParamError
from rgbtrack.files import write_atomically


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and content of a file.

    Raises
    ------
    ParamError
        If it cannot be read, or is not TOML.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ParamError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParamError(f"{path}: not valid TOML: {error}") from error


def save_sections(path: Path, known: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write sections into a file, whole or not at all.

    Parameters
    ----------
    path
        experiment.toml.
    known
        Its text as it was read: a file that was changed since is left alone.
    sections
        Content of each section; keys that it no longer holds are taken out.

    Returns
    -------
    text
        As it is now.

    Raises
    ------
    ParamError
        If the file was changed meanwhile, is not valid, or cannot be written.
    """
    import tomlkit

    text, _ = read_toml(path)
    if text != known:
        raise ParamError(
            f"{path} was changed by something else since it was opened: open it again, then save"
        )
    document = tomlkit.parse(text)
    for name, content in sections.items():
        if name not in document:
            if not content:
                continue
            document.add(tomlkit.nl())
            document.add(name, tomlkit.table())
        section: Any = document[name]
        for key in [key for key in section if key not in content]:
            del section[key]
        for key, value in content.items():
            if key not in section or section[key] != value:
                section[key] = _inline(value)
    written = tomlkit.dumps(document)
    try:
        write_atomically(path, lambda part: part.write_text(written, encoding="utf-8"))
    except OSError as error:
        raise ParamError(f"{path}: cannot be written: {error.strerror}") from error
    return written


def _inline(value: Any) -> Any:
    import tomlkit

    if not isinstance(value, dict):
        return value
    table = tomlkit.inline_table()
    table.update(value)
    return table
