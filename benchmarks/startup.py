"""How long Python takes to begin with spct, as multiples of ``python -c pass``; and what the time goes to.

    python -m benchmarks.startup
    python -m benchmarks.startup --source ../before/src

Each command is started ``--rounds`` times, turn by turn, so that all meet the same machine; medians are told, of wall time.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "python -c pass": "pass",
    "import spct": "import spct",
    "from spct import GRM": "from spct import GRM",
    "spct": "import sys; sys.argv[1:] = []; from spct.cli import main; main()",
    "spct --help": "import sys; sys.argv[1:] = ['--help']; from spct.cli import main; main()",
    "spct judge --help": "import sys; sys.argv[1:] = ['judge', '--help']; from spct.cli import main; main()",
}


def seconds(code: str, environment: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - begun


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
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds + 1):
        for name, code in COMMANDS.items():
            times[name].append(seconds(code, environment))
    medians = {
        name: statistics.median(measured[1:]) for name, measured in times.items()
    }  # the first round fills caches
    for name, median in medians.items():
        print(f"{name:22} {1000 * median:7.1f} ms {median / medians['python -c pass']:6.1f}")
    for name in ("from spct import GRM", "spct --help"):
        slow = ", ".join(f"{module} {ms:.1f}" for module, ms in imports(COMMANDS[name], environment, 8))
        print(f"{name}: own time of imports in ms: {slow}")


if __name__ == "__main__":
    main()
