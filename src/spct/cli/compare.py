"""``spct compare``: two runs of one benchmark on the same items, side by side."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click
import orjson

from spct.bench.scoring.curve import CreditRule
from spct.cli.bench import check_extra
from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line


@click.command(cls=Command)
@click.argument("a", type=PATH, metavar="A")
@click.argument("b", type=PATH, metavar="B")
@click.option(
    "-k", "--k", type=click.IntRange(1), help="Vote over the first so many samples  [default: all of the smaller run]."
)
@click.option("--rule", type=click.Choice(["own", "strict", "random"]), default="own", show_default=True,
              help="Count ties as the benchmark does, as wrong (strict), or at random.")  # fmt: skip
@click.option("--benchmark", metavar="NAME", help="Score by this benchmark, where the runs do not name theirs.")
@click.option(
    "--common", is_flag=True, help="Compare the items that are the same in both runs, and leave out the others."
)
@click.option("--seed", default=0, show_default=True, help="Draw picks, bootstrap and test by this seed.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON on stdout, with all flipped units.")
def compare(
    a: Path, b: Path, k: int | None, rule: CreditRule, benchmark: str | None, common: bool, seed: int, as_json: bool
) -> int:
    """Compare the runs in directories A and B: difference, interval, p-value, and the units they differ on.

    Of runs over items of which nothing is known, or over lone responses, it says how far they agree.

    \b
    Example:
      spct compare run-a run-b
    """
    check_extra()
    from spct.bench.report import comparison_lines
    from spct.bench.scoring.compare import compare_directories

    found = compare_directories(a, b, benchmark=benchmark, k=k, rule=rule, seed=seed, common=common)
    lines = [orjson.dumps(asdict(found)).decode()] if as_json else comparison_lines(found)
    for line in lines:
        write_line(sys.stdout, line)
    return 0
