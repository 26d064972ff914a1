"""Manners of the command line: for machines, in silence, into a file, and what the doctor tells."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from rgbtrack.cli import doctor as doctors
from rgbtrack.cli.doctor import Finding, examine
from rgbtrack.cli.voice import options_first


def test_one_json_object_on_standard_output(rgbtrack, small_experiment):
    image = next((small_experiment / "images").iterdir())
    code, out, err = rgbtrack("info", image, "--json")
    told = json.loads(out)
    assert (code, told["exit_code"]) == (0, 0)
    assert told["axes"] == {"t": 1, "c": 3, "z": 1, "y": 160, "x": 160}
    assert told["channels"] == ["mCherry", "Venus", "Cerulean"]
    assert err == ""


def test_problems_for_machines_and_people(rgbtrack, small_experiment, tmp_path):
    (tmp_path / "experiment.toml").write_text((small_experiment / "experiment.toml").read_text())
    sheet = (
        (small_experiment / "samples.csv").read_text().replace("images/", f"{small_experiment}/images/", 1)
    )
    (tmp_path / "samples.csv").write_text(sheet)
    code, out, err = rgbtrack("check", tmp_path, "--json")
    told = json.loads(out)
    assert (code, told["exit_code"]) == (2, 2)
    assert "no such file" in err
    assert any("no such file" in remark for remark in told["remarks"])


def test_a_whole_run_for_machines(rgbtrack, small_experiment, finished, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(finished, results)
    code, out, _ = rgbtrack("run", small_experiment, "--out", results, "--json")
    told = json.loads(out)
    assert code == 0
    assert told["counts"]["images"] == 8
    assert told["report"] == str(results / "report.html")
    code, out, _ = rgbtrack("--json", "run", small_experiment, "--out", results, "--dry-run")
    assert json.loads(out)["due"] == {}


def test_quiet_says_nothing_but_errors(rgbtrack, small_experiment):
    assert rgbtrack("check", small_experiment, "-q") == (0, "", "")
    code, out, err = rgbtrack("check", small_experiment / "none", "--quiet")
    assert (code, out) == (2, "")
    assert "no such file" in err


def test_a_log_file_is_told_everything(rgbtrack, small_experiment, tmp_path):
    log = tmp_path / "run.log"
    rgbtrack("check", small_experiment, "--log-file", log)
    rgbtrack("check", small_experiment / "none", "-q", "--log-file", log)
    first, second, third, fourth = log.read_text().splitlines()
    assert first.endswith(f"rgbtrack check {small_experiment} --log-file {log}")
    assert "nothing wrong" in second
    assert "-q" in third
    assert "error: " in fourth
    assert all(line[:2] == "20" and line[10] == "T" for line in (first, second, third, fourth))


def test_a_log_file_that_cannot_be_written(rgbtrack, small_experiment, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = rgbtrack("check", small_experiment, "--log-file", tmp_path / "file" / "run.log")
    assert code == 2
    assert "run.log" in err or "file" in err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run x --log-file=a.log -q", "--log-file=a.log -q run x"),
        ("amend r split 1 -- -q --json", "amend r split 1 -- -q --json"),
    ],
)
def test_options_of_the_program_stand_anywhere(given, expected):
    assert options_first(given.split()) == expected.split()


@pytest.mark.parametrize("words", [("check", "x", "--log-file"), ("check", "--log-file", "--json", "x")])
def test_a_log_file_needs_a_path(rgbtrack, words):
    code, _, err = rgbtrack(*words)
    assert code == 2
    assert "--log-file needs the path of a file" in err


@pytest.mark.parametrize("words", [("nosuch",), ("check",), ("plan", "--founders", "x")])
def test_wrong_use_is_an_object_too(rgbtrack, words):
    code, out, _ = rgbtrack(*words, "--json")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_a_reader_that_has_had_enough_and_a_full_disk(unbuffered, flag, tmp_path):
    command = [sys.executable, "-m", "rgbtrack", *flag, "plan", "--founders", "5"]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=env, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, check=False
            )
        assert done.returncode == 2
        assert done.stderr.startswith("error: No space left on device")


def test_no_colours_and_no_progress_where_nobody_looks(rgbtrack, small_experiment):
    _, out, err = rgbtrack("check", small_experiment)
    _, out_help, _ = rgbtrack("run", "--help")
    assert "\x1b[" not in out + err + out_help
    assert "Example: rgbtrack run sample_data --workers 4" in " ".join(out_help.split())


def test_a_word_nearly_right_is_suggested(rgbtrack):
    code, _, err = rgbtrack("exprot")
    assert code == 2
    assert "No such command 'exprot'" in err


def test_shell_completion(rgbtrack, monkeypatch):
    monkeypatch.setenv("_RGBTRACK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rgbtrack exp")
    monkeypatch.setenv("COMP_CWORD", "1")
    _, out, _ = rgbtrack()
    assert out.split() == ["export"]


def test_the_doctor_finds_this_installation_well(rgbtrack):
    code, out, err = rgbtrack("doctor", "--json")
    told = json.loads(out)
    states = {one["what"]: one["state"] for one in told["found"]}
    assert (code, err) == (0, "")
    assert states["analysis"] == states["libraries"] == states["worker processes"] == "ok"
    assert states["extra readers"] == "ok"


def test_the_doctor_tells_what_is_broken(rgbtrack, monkeypatch):
    def fails():
        raise OSError("no processes here")

    monkeypatch.setitem(rgbtrack_doctor().TRIALS, "worker processes", fails)
    code, out, err = rgbtrack("doctor")
    assert code == 2
    assert "broken   worker processes: OSError: no processes here" in out
    assert "error: worker processes: runs will fail until that is mended" in err


def rgbtrack_doctor():
    return doctors


def test_libraries_too_old_or_missing_are_named(monkeypatch):
    known = doctors.version
    monkeypatch.setattr(doctors, "version", lambda name: "0.1" if name == "numpy" else known(name))
    found = {one.what: one for one in examine()}
    assert found["libraries"] == Finding("libraries", "broken", "numpy 0.1 where >=2.0 is needed")
    assert found["extra cellpose"].state in ("ok", "missing")
    monkeypatch.setattr(doctors, "requires", lambda name: None)
    assert "install rgbtrack again" in {one.what: one for one in examine()}["libraries"].told
