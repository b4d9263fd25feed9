"""Run random hostile cases: ``python examples/benchmarks/hostile.py --seconds 600 --seed 1``.

Each case runs in a child process under a time limit. Cases and survivors are counted by area in
``docs/results/hostile.json``; what did not survive is printed with the seed that repeats it.
"""

import argparse
import json
import multiprocessing
import time
import warnings
from collections import Counter
from pathlib import Path

from hostile_cases import AREAS, run_case

LIMIT = 30.0  # seconds of a case
START_LIMIT, END_LIMIT = 120.0, 10.0  # seconds, until a child is ready and until it has ended
SURVIVED = ("right result", "refused")
OUTPUT = Path(__file__).parents[2] / "docs" / "results" / "hostile.json"


def serve(connection):
    """Run the cases that come through ``connection``, one after the other."""
    warnings.simplefilter("ignore")
    connection.send("ready")
    while (case := connection.recv()) is not None:
        connection.send(run_case(*case))


class Child:
    """A process that runs cases; a new one follows one that has hung or died."""

    def __init__(self):
        self._process = None

    def run(self, area, seed, limit=LIMIT):
        """Return the description of a case, its outcome and what there is to say of it."""
        if self._process is None:
            self._start()
        self._connection.send((area, seed))
        try:
            if self._connection.poll(limit):
                return self._connection.recv()
            outcome = "hang"
        except EOFError:
            outcome = "crash"
        self.stop(is_idle=False)
        return "", outcome, f"more than {limit:g} s" if outcome == "hang" else "the process died"

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(START_LIMIT) or self._connection.recv() != "ready":
            raise RuntimeError("A child process does not start.")

    def stop(self, *, is_idle=True):
        """End the process, if it ``is_idle`` by asking it to."""
        if self._process is None:
            return
        if is_idle:
            self._connection.send(None)
            self._process.join(END_LIMIT)
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._process = None


def attack(areas, seed, seconds, limit=LIMIT):
    """Run cases of each area in turn until ``seconds`` are over; return counts by area."""
    child, counts = Child(), {area: Counter() for area in areas}
    start, number = time.monotonic(), 0
    try:
        while time.monotonic() - start < seconds:
            area = areas[number % len(areas)]
            case_seed = [seed, number]
            description, outcome, told = child.run(area, case_seed, limit)
            counts[area][outcome] += 1
            number += 1
            if outcome not in SURVIVED:
                print(f"{area} {case_seed}: {outcome}: {description}: {told[:300]}", flush=True)
    finally:
        child.stop()
    return {area: dict(count) for area, count in counts.items()}


def show(counts):
    """Print cases and survivors by area."""
    print(f"{'area':15s} {'cases':>6s} {'survived':>9s}")
    for area, count in counts.items():
        survivors = sum(count.get(outcome, 0) for outcome in SURVIVED)
        print(f"{area:15s} {sum(count.values()):6d} {survivors:9d}")


def add_run(path, seed, seconds, counts):
    """Put the counts into the file of results, in the place of those of the same seed."""
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    runs = [run for run in runs if run["seed"] != seed]
    runs.append({"seed": seed, "seconds": seconds, "areas": counts})
    runs.sort(key=lambda run: run["seed"])
    path.write_text(json.dumps({"runs": runs}, indent=1) + "\n")


def main():
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--areas", nargs="+", choices=AREAS, default=list(AREAS))
    parser.add_argument("--output", type=Path, default=OUTPUT, help="a .json file of counts")
    arguments = parser.parse_args()
    counts = attack(arguments.areas, arguments.seed, arguments.seconds)
    show(counts)
    add_run(arguments.output, arguments.seed, arguments.seconds, counts)
    survived = sum(count.get(outcome, 0) for count in counts.values() for outcome in SURVIVED)
    raise SystemExit(survived < sum(sum(count.values()) for count in counts.values()))


if __name__ == "__main__":
    main()
