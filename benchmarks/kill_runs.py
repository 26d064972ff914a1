"""Runs killed at random moments and taken up again: whether tables equal those of an undisturbed run.

python benchmarks/kill_runs.py --times 50
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rgbtrack import simulate_experiment
from rgbtrack.files import sha256

TABLES = ("cells.parquet", "clones.csv", "clone_sizes.csv")


def main() -> None:
    """Print a line for each kill, and how many came out the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    draw = random.Random(chosen.seed)
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "experiment"
        simulate_experiment(experiment, "sample", seed=1, subjects=2, timepoints=[0, 7])
        start = time.perf_counter()
        _run(experiment, "undisturbed", chosen.workers)
        whole = time.perf_counter() - start
        expected = _tables(experiment / "undisturbed")
        same = 0
        for i in range(chosen.times):
            name, moment = f"killed_{i}", draw.uniform(0.5, whole)
            killed = _kill(experiment, name, chosen.workers, moment)
            _run(experiment, name, chosen.workers)
            equal = _tables(experiment / name) == expected
            same += equal
            print(
                f"{i + 1:3d} killed after {moment:5.1f} s{'' if killed else ' (had ended)'}: "
                f"{'the same' if equal else 'ANOTHER RESULT'}",
                flush=True,
            )
        print(f"{same} of {chosen.times} the same; a whole run takes {whole:.1f} s")


def _command(experiment: Path, name: str, workers: int) -> list[str]:
    rgbtrack = Path(sys.executable).with_name("rgbtrack")
    return [str(rgbtrack), "run", str(experiment), "--out", str(experiment / name), "--workers", str(workers)]


def _run(experiment: Path, name: str, workers: int) -> None:
    done = subprocess.run(_command(experiment, name, workers), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)


def _kill(experiment: Path, name: str, workers: int, moment: float) -> bool:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(_command(experiment, name, workers), **quiet)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def _tables(results: Path) -> list[str]:
    return [sha256(results / name) for name in TABLES]


if __name__ == "__main__":
    main()
