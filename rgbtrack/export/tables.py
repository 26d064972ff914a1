"""Tables for spreadsheets: all cells, and one wide table for each figure that Prism draws."""

from pathlib import Path

import pandas as pd

from rgbtrack.errors import DataError, ParamError
from rgbtrack.export.folder import write_export
from rgbtrack.export.results import Results
from rgbtrack.files import read_table, write_table
from rgbtrack.tables import counted

SHEET_ROWS = 1_048_575
"""Rows of a sheet of Excel below its header."""


def write_csv(results: Results, out: Path) -> list[Path]:
    """Write the cells as CSV; in several files where a spreadsheet would cut off what one holds."""
    if out.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise ParamError(f"--out {out}: a table is written as .csv: give a name that ends so")
    n = len(results.cells)
    if n <= SHEET_ROWS:
        write_table(out, results.cells)
        return [out]
    written = []
    for part, first in enumerate(range(0, n, SHEET_ROWS), 1):
        written.append(out.with_name(f"{out.stem}_{part}{out.suffix}"))
        write_table(written[-1], results.cells.iloc[first : first + SHEET_ROWS])
    return written


def write_prism(results: Results, out: Path) -> list[Path]:
    """Write the folder of tables that Prism takes as they are: rows of a graph, a column per subject."""
    tables = sorted((results.folder / "dynamics").glob("prism_*.csv"))
    if not tables:
        raise DataError(f"{results.folder} has no tables of clone dynamics: 'rgbtrack dynamics' writes them")

    def write(folder: Path) -> None:
        folder.mkdir()
        for table in tables:
            write_table(folder / f"clone_{table.stem.removeprefix('prism_')}.csv", _shown(read_table(table)))
        for name, wide in _by_subject(counted(results.cells)).items():
            write_table(folder / f"{name}.csv", _shown(wide))

    write_export(out, write)
    return [out]


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as a person would write them: six digits, whole ones without a point."""
    numbers = table.select_dtypes("number").columns
    return table.assign(**{name: table[name].map(_digits) for name in numbers})


def _digits(value: float) -> str | None:
    return None if pd.isna(value) else f"{value:.6g}"


def _by_subject(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A column per subject and sample, a row per cell: sizes of cells, and how bright they are."""
    sample = ["treatment", "subject", "timepoint", "site"]
    size = "volume_um3" if "volume_um3" in cells else "area_um2"
    wide = {}
    for name in (size, "brightness", "clone_probability"):
        columns = {
            f"{treatment}: {subject}, day {timepoint:g}, {site}": part[name].dropna().reset_index(drop=True)
            for (treatment, subject, timepoint, site), part in cells.groupby(sample, sort=True, observed=True)
        }
        wide[f"cells_{name}"] = pd.DataFrame(columns)
    return wide
