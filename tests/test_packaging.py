"""What is built holds everything, and works where it is installed."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with a source distribution and the wheel that is built from it."""
    pytest.importorskip("build", reason="build is not installed")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def test_the_wheel_holds_every_module_and_what_lies_beside(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    here = {
        path.relative_to(root).as_posix()
        for root, package in ((ROOT, "rgbtrack"), (ROOT / "plugins", "napari_rgbtrack"))
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".nbi", ".nbc")
    }
    assert here <= inside
    assert {name.split("/")[0] for name in inside if ".dist-info" not in name} == {
        "rgbtrack",
        "napari_rgbtrack",
    }


def test_the_wheel_works_where_it_is_installed(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
    ]
    subprocess.run([*pip, str(wheel)], check=True)
    told = "import rgbtrack; print(rgbtrack.__file__); from rgbtrack.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", told, "--version"],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, version = done.stdout.split()
    assert Path(place).is_relative_to(tmp_path)
    assert version == PROJECT["version"]


def test_the_source_distribution_builds_alone(built):
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "rgbtrack/py.typed"} <= names


def test_extras_are_those_that_messages_name():
    extras = set(PROJECT["optional-dependencies"])
    named = set()
    code = [*(ROOT / "rgbtrack").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    for path in [*code, ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"need_extra\([^,()]+, \"(\w+)\"\)", text))
        named |= {
            name
            for found in re.findall(r"(?:rgbtrack|')\.?\[([a-z,-]+)\]'", text)
            for name in found.split(",")
        }
    assert named - {"a"}
    assert named <= extras, named - extras
    assert {"napari", "readers", "export", "cellpose", "stardist", "distributed", "all"} <= extras


def test_the_container_is_made_of_what_is_here():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists(), name
            assert f"!{name}" in allowed, name
    (wanted,) = re.findall(r"'\.\[([a-z,]+)\]'", text)
    assert set(wanted.split(",")) <= set(PROJECT["optional-dependencies"])


def test_constraints_name_the_lowest_versions():
    script = [sys.executable, ROOT / "scripts" / "lowest", "readers"]
    told = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "numpy==2.0.*" in told
    assert "czifile==2019.7.2.*" in told
    assert len(told) == len(PROJECT["dependencies"]) + len(PROJECT["optional-dependencies"]["readers"])
