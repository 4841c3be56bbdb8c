"""How long Python takes to begin with spct, as multiples of ``python -c pass``; and what the time goes to.

    python -m benchmarks.startup
    python -m benchmarks.startup --source ../before/src

Each command is started ``--rounds`` times, turn by turn, so that all meet the same machine. Told are medians of processor time,
which other work on the machine changes little, and of wall time.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "python -c pass": "pass",
    "import spct": "import spct",
    "from spct import GRM": "from spct import GRM",
    "spct --help": "import sys; sys.argv[1:] = ['--help']; from spct.cli import main; main()",
    "spct judge --help": "import sys; sys.argv[1:] = ['judge', '--help']; from spct.cli import main; main()",
}


def seconds(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Processor time and wall time of one start."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - begun


def imports(code: str, environment: Mapping[str, str], most: int) -> list[tuple[str, float]]:
    """The modules whose own import takes longest, in milliseconds."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], check=True, capture_output=True, text=True, env=environment
    ).stderr
    found = [(name, int(own) / 1000) for own, name in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", told)]
    return sorted(found, key=lambda one: -one[1])[:most]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--source", help="a folder to import spct from, such as another version's src")
    options = parser.parse_args()
    environment = os.environ | ({"PYTHONPATH": options.source} if options.source else {})
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds + 1):
        for name, code in COMMANDS.items():
            times[name].append(seconds(code, environment))
    empty = None
    for name, measured in times.items():
        cpu, wall = (statistics.median(column) for column in zip(*measured[1:], strict=True))  # the first fills caches
        empty = empty or (cpu, wall)
        print(
            f"{name:22} {1000 * cpu:6.0f} ms {cpu / empty[0]:5.1f}    wall {1000 * wall:6.0f} ms {wall / empty[1]:5.1f}"
        )
    for name in ("from spct import GRM", "spct --help"):
        slow = ", ".join(f"{module} {ms:.1f}" for module, ms in imports(COMMANDS[name], environment, 8))
        print(f"{name}: own time of imports in ms: {slow}")


if __name__ == "__main__":
    main()
