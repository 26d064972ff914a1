"""What the README says works: its code runs, its commands and files exist."""

import re
import shutil
from pathlib import Path

import pytest

import rgbtrack
from rgbtrack import read_experiment
from rgbtrack.pipeline.experiment import SECTIONS
from rgbtrack.tables import CELLS, CLONE_SIZES, SAMPLES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_code_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_example_settings_are_valid(text, small_experiment, tmp_path):
    folder = shutil.copytree(small_experiment, tmp_path / "experiment")
    (folder / "experiment.toml").write_text(text, encoding="utf-8")
    experiment = read_experiment(folder)
    assert experiment.channels.nucleus == "DAPI"


def test_there_is_code_to_run():
    assert blocks("python")
    assert blocks("toml")


def test_commands_exist():
    from rgbtrack.cli import app

    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.typer_instance.info.name for group in app.registered_groups}
    said = {*re.findall(r"rgbtrack ([a-z]+) [A-Z]", README), *re.findall(r"`rgbtrack ([a-z| ]+) ", README)}
    said = {word for words in said for word in words.replace("|", " ").split()}
    assert {"init", "check", "run", "review", "simulate", "evaluate", "export"} <= said <= known


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^ +make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_sections_and_columns_are_those_of_the_code():
    for section in SECTIONS:
        assert f"`{section}`" in README or f"[{section}]" in README, section
    for column in SAMPLES.columns:
        assert f"`{column.name}`" in README, column.name


def test_public_names_are_there_and_documented():
    for name in rgbtrack.__all__:
        thing = getattr(rgbtrack, name)
        assert name.startswith("__") or thing.__doc__, name


def test_tables_are_described():
    for table in (CELLS, CLONE_SIZES, SAMPLES):
        assert all(column.meaning for column in table.columns)
