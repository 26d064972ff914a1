"""What a scheduler costs: the same tasks on its two workers and in two processes of the run itself.

python benchmarks/bench_scheduler.py [--tasks 400] [--seconds 0.02]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rgbtrack.pipeline.pool import crew_for, map_tasks

WARM = 40
"""Tasks at the beginning and at the end that are left out: workers that come or have nothing left to do."""


def measure(tasks: list[float], workers: int | None, scheduler: str | None, folder: Path) -> float:
    """Milliseconds a task beyond the work itself, over two workers that are there."""
    with crew_for(workers, scheduler, folder) as crew:
        ended = [time.perf_counter() for _ in map_tasks(time.sleep, tasks, crew, lambda _: None)]
    return 1e3 * ((ended[-WARM] - ended[WARM]) / (len(tasks) - 2 * WARM) * 2 - tasks[0])


def main() -> None:
    """Print the overhead of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=0.02)
    asked = parser.parse_args()
    tasks = [asked.seconds] * asked.tasks
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        dask = [sys.executable, "-W", "ignore", "-m", "dask"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        commands = [[*dask, "scheduler", "--scheduler-file", str(file), "--port", "0", "--no-dashboard"]]
        commands += [
            [
                *dask,
                "worker",
                "--scheduler-file",
                str(file),
                "--nthreads",
                "1",
                "--no-dashboard",
                "--no-nanny",
            ]
        ] * 2
        processes = [subprocess.Popen(command, **quiet) for command in commands]
        try:
            while not file.exists():
                time.sleep(0.1)
            time.sleep(8)
            print("| who | ms a task beyond the work, each worker |\n|---|---|")
            for _ in range(3):
                print(f"| `--workers 2` | {measure(tasks, 2, None, Path(folder)):.1f} |")
                print(f"| `--scheduler` | {measure(tasks, None, str(file), Path(folder)):.1f} |")
        finally:
            for process in processes:
                process.kill()


if __name__ == "__main__":
    main()
