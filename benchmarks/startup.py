"""What a user waits for and pays: help, import, the first note, notes per second, memory, and the size of the base install.

    python benchmarks/startup.py [--rounds 5] [--json]

Each figure is the median over fresh processes, in CPU seconds of the process (user and system), so that a busy machine does not
change it much. The size is that of every file of every package that the base install needs, found by their metadata; the second figure of
it leaves out the files that pip compiles from the others, as an installer does that compiles nothing.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

import kapelle

FIRST_NOTE = """
import resource, sys, time
import kapelle
from kapelle.composing.events import NotesAdded
first = 0.0
began = time.process_time()
for event in kapelle.compose_events(kapelle.request(seed=7, options={"genre": "jazz"})):
    if isinstance(event, NotesAdded) and not first:
        used = resource.getrusage(resource.RUSAGE_SELF)
        first = used.ru_utime + used.ru_stime
began, notes = time.process_time(), 0
for seed in range(8):
    notes += kapelle.compose(genre="jazz", seed=seed).report.n_notes
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)
print(first, notes / (time.process_time() - began), peak)
"""
AT_MOST = {"help_s": 0.3, "import_s": 0.3, "first_note_s": 1.0, "peak_mb": 250.0, "base_install_mb": 450.0}
AT_LEAST = {"notes_per_s": 200.0}


def cpu_seconds(command: list[str]) -> tuple[float, str]:
    """CPU seconds of a process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def base_install_bytes(*, compiled: bool = True) -> int:
    """Bytes of all files of Kapelle's base dependencies and theirs; without those that pip compiles, if asked for."""
    todo, seen, total = ["kapelle"], set(), 0
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # needed on other systems only
        if name != "kapelle":
            files = (Path(str(file.locate())) for file in found.files or () if compiled or file.suffix != ".pyc")
            total += sum(path.stat().st_size for path in files if path.is_file())
        needs = [requirement for requirement in found.requires or () if "extra ==" not in requirement]
        todo += [re.split(r"[ ;<>=!~\[(]", requirement, maxsplit=1)[0].lower() for requirement in needs]
    package = Path(kapelle.__file__).parent
    return total + sum(path.stat().st_size for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc")


def measure(rounds: int) -> dict[str, float]:
    """The figures that have a goal."""
    rows = [[float(x) for x in cpu_seconds([sys.executable, "-c", FIRST_NOTE])[1].split()] for _ in range(rounds)]
    first, notes, peak = zip(*rows, strict=True)
    return {
        "help_s": median(cpu_seconds([sys.executable, "-m", "kapelle", "--help"])[0] for _ in range(rounds)),
        "import_s": median(cpu_seconds([sys.executable, "-c", "import kapelle"])[0] for _ in range(rounds)),
        "first_note_s": median(first),
        "notes_per_s": median(notes),
        "peak_mb": median(peak),
        "base_install_mb": base_install_bytes() / 1e6,
        "base_files_mb": base_install_bytes(compiled=False) / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    figures = measure(given.rounds)
    if given.json:
        print(json.dumps({"figures": figures, "at_most": AT_MOST, "at_least": AT_LEAST}, indent=1))
        return
    for name, value in figures.items():
        if name not in AT_MOST | AT_LEAST:
            print(f"{name:16} {value:8.2f}")
            continue
        reached = value <= AT_MOST[name] if name in AT_MOST else value >= AT_LEAST[name]
        goal = f"at most {AT_MOST[name]:g}" if name in AT_MOST else f"at least {AT_LEAST[name]:g}"
        print(f"{name:16} {value:8.2f}   goal: {goal:14} {'reached' if reached else 'MISSED'}")


if __name__ == "__main__":
    main()
