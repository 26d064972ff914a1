"""The public contract as pages, made from the code: tables, settings, commands, functions.

python docs/contract.py FOLDER
"""

import sys
from collections.abc import Iterator
from inspect import isclass
from pathlib import Path
from typing import Any

import typer
from pydantic_core import PydanticUndefined

import rgbtrack
from rgbtrack import tables
from rgbtrack.cli import app
from rgbtrack.pipeline.experiment import SECTIONS
from rgbtrack.tables.table import MARKER, Table


def write_reference(folder: Path) -> None:
    """Write the pages of the reference; those that say the same are left as they are."""
    folder.mkdir(exist_ok=True)
    pages = {
        "tables": tables_page(),
        "settings": settings_page(),
        "commands": commands_page(),
        "api": api_page(),
    }
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def tables_page() -> str:
    """Every table: key, columns, units."""
    known = {name: getattr(tables, name) for name in tables.__all__}
    parts = [
        "# Tables\n\nMade from the code. `*` stands for the name of a marker; columns in italics are not "
        "always there.\n"
    ]
    for table in known.values():
        if not isinstance(table, Table):
            continue
        key = ", ".join(f"`{name}`" for name in table.key)
        parts.append(f"## {table.name[:1].upper()}{table.name[1:]}\n\nOne row for each {key}.\n")
        rows = []
        for column in table.columns:
            name = f"`{column.name.replace(MARKER, '*')}`"
            rows.append((name if column.required else f"*{name}*", column.kind, column.unit, column.meaning))
        parts.append(_table(("column", "type", "unit", "what"), rows))
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting of experiment.toml."""
    parts = [
        "# Settings\n\nMade from the code: sections and keys of `experiment.toml`. A key that does not exist "
        "is an error.\n"
    ]
    for section, model in SECTIONS.items():
        parts += _section(section, model)
    return "\n".join(parts)


def _section(section: str, model: Any) -> Iterator[str]:
    yield f"## [{section}]\n"
    rows, inner = [], []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isclass(kind) and hasattr(kind, "model_fields"):
            inner.append((f"{section}.{name}", kind))
            continue
        default = "needed" if field.is_required() else f"`{_shown(field)}`"
        rows.append((f"`{name}`", default, field.description or ""))
    if rows:
        yield _table(("key", "default", "what"), rows)
    for name, kind in inner:
        yield from _section(name, kind)


def _shown(field: Any) -> str:
    default = field.default if field.default is not PydanticUndefined else field.default_factory()
    return "not given" if default is None else repr(default).replace("'", '"')


def commands_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Commands\n\nMade from the code; `rgbtrack COMMAND --help` tells the same. "
        "[How the command line behaves](../command_line.md).\n"
    ]
    parts += _commands(typer.main.get_command(app), "rgbtrack")
    return "\n".join(parts)


def _commands(command: Any, path: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is None or path == "rgbtrack":
        yield f"## {path}\n\n{(command.help or '').strip()}\n"
        rows = []
        for one in command.params:
            names = (
                ", ".join(f"`{name}`" for name in one.opts)
                if one.param_type_name == "option"
                else f"`{one.name.upper()}`"
            )
            rows.append((names, (getattr(one, "help", "") or "")))
        if rows:
            yield _table(("", "what"), rows)
        if command.epilog:
            yield f"{command.epilog.replace('Example: ', 'Example: `', 1)}`\n"
    for name, child in (children or {}).items():
        yield from _commands(child, f"{path} {name}")


def api_page() -> str:
    """Public functions and classes."""
    parts = ["# Functions and classes\n\nMade from the code: what `import rgbtrack` gives.\n"]
    for name in sorted(rgbtrack.__all__):
        if name.startswith("__"):
            continue
        thing = getattr(rgbtrack, name)
        kind = "autoclass" if isclass(thing) else "autofunction"
        parts.append(f"## {name}\n\n```{{eval-rst}}\n.. {kind}:: rgbtrack.{name}\n```\n")
    return "\n".join(parts)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]))
