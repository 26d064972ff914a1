"""JSON, without what JSON cannot say."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rgbtrack.errors import DataError
from rgbtrack.files.atomic import write_atomically
from rgbtrack.files.messages import short


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    text = json.dumps(json_values(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def json_values(content: Any) -> Any:
    """Return what is left of a content in JSON: numbers that are not finite are None, keys are text."""
    if isinstance(content, Mapping):
        return {str(key): json_values(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [json_values(value) for value in content]
    if isinstance(content, np.ndarray):
        return json_values(content.tolist())
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content if isinstance(content, str | int | float | bool | None) else str(content)


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable as JSON ({short(error)})") from error
