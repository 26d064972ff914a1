"""Tables, as CSV and parquet."""

from pathlib import Path
from typing import Any

import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.files.atomic import write_atomically
from rgbtrack.files.messages import short

_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")
"""How text begins that a spreadsheet computes."""


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, by its ending.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        # measured values hardly ever occur twice: a dictionary of them is only in the way
        repeated = [str(name) for name, kind in table.dtypes.items() if not pd.api.types.is_float_dtype(kind)]
        write_atomically(
            path,
            lambda temporary: table.to_parquet(
                temporary, index=False, engine="pyarrow", use_dictionary=repeated or False
            ),
        )
        return
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]) and not pd.api.types.is_bool_dtype(safe[name]):
            safe[name] = safe[name].map(_harmless, na_action="ignore")
    safe.columns = pd.Index([_harmless(name) for name in safe.columns])
    write_atomically(
        path, lambda temporary: safe.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    )


def read_text(path: Path) -> pd.DataFrame:
    """Read a small table that a person wrote, all of it as text: commas, semicolons or tabs, as its head has.

    Raises
    ------
    DataError
        If it is not a table.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            head = file.readline()
        return pd.read_csv(
            path, sep=max(",;\t", key=head.count), dtype=str, encoding="utf-8-sig", skipinitialspace=True
        )
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({short(error)})") from error


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")  # bare, it would begin a row
    return f"'{value}" if value[:1] in _FORMULA else value


def as_written(value: Any) -> Any:
    """Text of a cell without the apostrophe that `write_table` put in front."""
    return value[1:] if isinstance(value, str) and value[:1] == "'" and value[1:2] in _FORMULA else value


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV or Parquet table that rgbtrack wrote: what is blank is missing, an arm may be called NA."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, engine="pyarrow")
        text = dict.fromkeys(("image_id", "subject", "treatment", "site", "batch"), "str")
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({short(error)}): is the file whole?") from error
    for name in [name for name in table.columns if pd.api.types.is_string_dtype(table[name].dtype)]:
        table[name] = table[name].map(as_written, na_action="ignore")
    return table.rename(columns=as_written)
